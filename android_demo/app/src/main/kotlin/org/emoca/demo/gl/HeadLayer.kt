package org.emoca.demo.gl

import android.opengl.GLES30
import org.emoca.demo.scene.HeadMesh
import org.emoca.demo.scene.Placement
import org.emoca.demo.scene.Shading
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.IntBuffer

/** The head in clay or as a wireframe. Lives on the GL thread; its buffers are taken once. */
internal class HeadLayer(private val mesh: HeadMesh) {
    private val program = GlProgram(Shading.HEAD_VERTEX, Shading.HEAD_FRAGMENT)
    private val head = program.uniform("head")
    private val turn = program.uniform("turn")
    private val light = program.uniform("light")
    private val clay = program.uniform("clay")
    private val strength = program.uniform("strength")
    private val buffers = IntArray(BUFFERS)
    private val vertexArray = IntArray(1)
    private val bytes = Float.SIZE_BYTES * mesh.normals.size
    private val floats = ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder()).asFloatBuffer()

    init {
        GLES30.glGenBuffers(BUFFERS, buffers, 0)
        GLES30.glGenVertexArrays(1, vertexArray, 0)
        GLES30.glBindVertexArray(vertexArray[0])
        for (attribute in POSITIONS..NORMALS) {
            GLES30.glBindBuffer(GLES30.GL_ARRAY_BUFFER, buffers[attribute])
            GLES30.glBufferData(GLES30.GL_ARRAY_BUFFER, bytes, null, GLES30.GL_STREAM_DRAW)
            GLES30.glEnableVertexAttribArray(attribute)
            GLES30.glVertexAttribPointer(attribute, 3, GLES30.GL_FLOAT, false, 0, 0)
        }
        indices(TRIANGLES, mesh.triangles)
        indices(EDGES, mesh.edges)
        GLES30.glBindVertexArray(0)
    }

    private fun indices(buffer: Int, values: IntArray) {
        GLES30.glBindBuffer(GLES30.GL_ELEMENT_ARRAY_BUFFER, buffers[buffer])
        GLES30.glBufferData(
            GLES30.GL_ELEMENT_ARRAY_BUFFER, Int.SIZE_BYTES * values.size, IntBuffer.wrap(values), GLES30.GL_STATIC_DRAW,
        )
    }

    fun load(vertices: FloatArray) {
        mesh.update(vertices)
        send(POSITIONS, vertices)
        send(NORMALS, mesh.normals)
    }

    private fun send(attribute: Int, values: FloatArray) {
        floats.clear()
        floats.put(values).flip()
        GLES30.glBindBuffer(GLES30.GL_ARRAY_BUFFER, buffers[attribute])
        GLES30.glBufferData(GLES30.GL_ARRAY_BUFFER, bytes, floats, GLES30.GL_STREAM_DRAW)
    }

    /** @param cover share of what lies behind that the head hides, 0..1. */
    fun draw(placement: Placement, cover: Float, wireframe: Boolean) {
        program.use()
        GLES30.glUniformMatrix4fv(head, 1, false, placement.head, 0)
        GLES30.glUniformMatrix4fv(turn, 1, false, placement.turn, 0)
        GLES30.glUniform3fv(light, 1, Shading.LIGHT, 0)
        GLES30.glUniform4f(clay, Shading.CLAY[0], Shading.CLAY[1], Shading.CLAY[2], cover)
        GLES30.glUniform2f(strength, Shading.AMBIENT, Shading.DIFFUSE)
        GLES30.glBindVertexArray(vertexArray[0])
        // Depth first: the nearest surface alone is then blended with the picture.
        GLES30.glColorMask(false, false, false, false)
        GLES30.glEnable(GLES30.GL_POLYGON_OFFSET_FILL)
        GLES30.glPolygonOffset(if (wireframe) 1f else 0f, if (wireframe) 2f else 0f)
        elements(TRIANGLES, GLES30.GL_TRIANGLES, mesh.triangles.size)
        GLES30.glDisable(GLES30.GL_POLYGON_OFFSET_FILL)
        GLES30.glColorMask(true, true, true, true)
        if (wireframe) {
            GLES30.glLineWidth(LINE)
            elements(EDGES, GLES30.GL_LINES, mesh.edges.size)
        } else {
            elements(TRIANGLES, GLES30.GL_TRIANGLES, mesh.triangles.size)
        }
        GLES30.glBindVertexArray(0)
    }

    private fun elements(buffer: Int, kind: Int, count: Int) {
        GLES30.glBindBuffer(GLES30.GL_ELEMENT_ARRAY_BUFFER, buffers[buffer])
        GLES30.glDrawElements(kind, count, GLES30.GL_UNSIGNED_INT, 0)
    }

    private companion object {
        const val POSITIONS = 0
        const val NORMALS = 1
        const val TRIANGLES = 2
        const val EDGES = 3
        const val BUFFERS = 4
        const val LINE = 1.5f
    }
}
