package org.emoca.demo.scene

import kotlin.math.sqrt

/**
 * The triangles of a head whose vertices move: smooth normals, and the edges for a wireframe.
 *
 * @param triangles three vertex numbers a triangle, counter-clockwise seen from outside.
 * @param vertexCount how many vertices there are.
 * @throws IllegalArgumentException a triangle names a vertex that does not exist.
 */
class HeadMesh(val triangles: IntArray, val vertexCount: Int) {
    /** Unit normals, three floats a vertex; filled by [update]. */
    val normals = FloatArray(3 * vertexCount)

    /** Two vertex numbers an edge, every edge once. */
    val edges: IntArray

    init {
        require(triangles.size % 3 == 0) { "${triangles.size} corners do not make whole triangles" }
        require(triangles.all { it in 0 until vertexCount }) { "a triangle names a vertex beyond the $vertexCount" }
        edges = uniqueEdges()
    }

    /**
     * Normals of the present vertices: the mean of the normals of the triangles round a vertex, weighted by their
     * areas, as the library's renderer has them (`emoca_tf/rendering/normals.py`). Allocates nothing.
     *
     * @param vertices `x y z` of every vertex.
     */
    fun update(vertices: FloatArray) {
        normals.fill(0f)
        var corner = 0
        while (corner < triangles.size) {
            addNormal(vertices, 3 * triangles[corner], 3 * triangles[corner + 1], 3 * triangles[corner + 2])
            corner += 3
        }
        var at = 0
        while (at < normals.size) {
            val length = length(normals[at], normals[at + 1], normals[at + 2])
            for (axis in 0..2) normals[at + axis] /= length
            at += 3
        }
    }

    private fun addNormal(v: FloatArray, a: Int, b: Int, c: Int) {
        val ux = v[b] - v[a]
        val uy = v[b + 1] - v[a + 1]
        val uz = v[b + 2] - v[a + 2]
        val wx = v[c] - v[a]
        val wy = v[c + 1] - v[a + 1]
        val wz = v[c + 2] - v[a + 2]
        val x = uy * wz - uz * wy
        val y = uz * wx - ux * wz
        val z = ux * wy - uy * wx
        add(a, x, y, z)
        add(b, x, y, z)
        add(c, x, y, z)
    }

    private fun add(at: Int, x: Float, y: Float, z: Float) {
        normals[at] += x
        normals[at + 1] += y
        normals[at + 2] += z
    }

    private fun uniqueEdges(): IntArray {
        val seen = HashSet<Long>(triangles.size)
        val found = IntArray(2 * triangles.size)
        var count = 0
        for (corner in triangles.indices) {
            val next = if (corner % 3 == 2) corner - 2 else corner + 1
            val low = minOf(triangles[corner], triangles[next])
            val high = maxOf(triangles[corner], triangles[next])
            if (low != high && seen.add(low.toLong() * vertexCount + high)) {
                found[count++] = low
                found[count++] = high
            }
        }
        return found.copyOf(count)
    }

    private companion object {
        const val TINY = 1e-12f

        fun length(x: Float, y: Float, z: Float): Float = maxOf(sqrt(x * x + y * y + z * z), TINY)
    }
}
