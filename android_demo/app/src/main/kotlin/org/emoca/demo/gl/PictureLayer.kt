package org.emoca.demo.gl

import android.opengl.GLES30
import org.emoca.demo.live.CameraFrame
import org.emoca.demo.scene.Placement
import org.emoca.demo.scene.Shading
import java.nio.Buffer

/** The camera picture behind the head: three planes as textures, made RGB by the shader. Lives on the GL thread. */
internal class PictureLayer {
    private val program = GlProgram(Shading.PICTURE_VERTEX, Shading.PICTURE_FRAGMENT)
    private val place = program.uniform("picture")
    private val textures = IntArray(PLANES.size)
    private val vertexArray = IntArray(1)
    private var width = 0
    private var height = 0

    init {
        GLES30.glGenTextures(textures.size, textures, 0)
        GLES30.glGenVertexArrays(1, vertexArray, 0)
        GLES30.glPixelStorei(GLES30.GL_UNPACK_ALIGNMENT, 1)
        program.use()
        for ((unit, name) in PLANES.withIndex()) {
            GLES30.glUniform1i(program.uniform(name), unit)
            GLES30.glBindTexture(GLES30.GL_TEXTURE_2D, textures[unit])
            for (key in FILTERS) GLES30.glTexParameteri(GLES30.GL_TEXTURE_2D, key, GLES30.GL_LINEAR)
            for (key in WRAPS) GLES30.glTexParameteri(GLES30.GL_TEXTURE_2D, key, GLES30.GL_CLAMP_TO_EDGE)
        }
    }

    fun load(frame: CameraFrame) {
        if (frame.width != width || frame.height != height) {
            width = frame.width
            height = frame.height
            for (unit in textures.indices) {
                GLES30.glBindTexture(GLES30.GL_TEXTURE_2D, textures[unit])
                val half = if (unit == 0) 1 else 2
                GLES30.glTexImage2D(
                    GLES30.GL_TEXTURE_2D, 0, GLES30.GL_R8, width / half, height / half, 0,
                    GLES30.GL_RED, GLES30.GL_UNSIGNED_BYTE, null,
                )
            }
        }
        plane(0, width, height, frame.lumaView)
        plane(1, width / 2, height / 2, frame.blueView)
        plane(2, width / 2, height / 2, frame.redView)
    }

    private fun plane(unit: Int, wide: Int, high: Int, bytes: Buffer) {
        GLES30.glActiveTexture(GLES30.GL_TEXTURE0 + unit)
        GLES30.glBindTexture(GLES30.GL_TEXTURE_2D, textures[unit])
        bytes.rewind()
        GLES30.glTexSubImage2D(
            GLES30.GL_TEXTURE_2D, 0, 0, 0, wide, high, GLES30.GL_RED, GLES30.GL_UNSIGNED_BYTE, bytes,
        )
    }

    fun draw(placement: Placement) {
        if (width == 0) return
        program.use()
        GLES30.glUniformMatrix3fv(place, 1, false, placement.picture, 0)
        GLES30.glBindVertexArray(vertexArray[0])
        GLES30.glDisable(GLES30.GL_DEPTH_TEST)
        GLES30.glDrawArrays(GLES30.GL_TRIANGLES, 0, 3)
        GLES30.glEnable(GLES30.GL_DEPTH_TEST)
    }

    private companion object {
        val PLANES = arrayOf("luma", "blue", "red")
        val FILTERS = intArrayOf(GLES30.GL_TEXTURE_MIN_FILTER, GLES30.GL_TEXTURE_MAG_FILTER)
        val WRAPS = intArrayOf(GLES30.GL_TEXTURE_WRAP_S, GLES30.GL_TEXTURE_WRAP_T)
    }
}
