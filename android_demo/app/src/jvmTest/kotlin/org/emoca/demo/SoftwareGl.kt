package org.emoca.demo

import org.emoca.demo.scene.HeadMesh
import org.emoca.demo.scene.Mat4
import org.emoca.demo.scene.Placement
import org.emoca.demo.scene.Shading
import kotlin.math.ceil
import kotlin.math.floor

/**
 * What `HeadLayer` and `PictureLayer` ask of OpenGL, on a processor: the app's own matrices, mesh and shading, pixel by
 * pixel at pixel centres. Row 0 is the top.
 */
class SoftwareGl(val width: Int, val height: Int) {
    val colour = FloatArray(3 * width * height)
    val depth = FloatArray(width * height) { 1f }

    /** Shade of the head at every pixel, 0 where there is none. */
    val shade = FloatArray(width * height)

    fun clear() {
        depth.fill(1f)
        shade.fill(0f)
        for (i in colour.indices) colour[i] = Shading.GROUND[i % 3]
    }

    /** @param rgb the sensor's picture, bytes row by row. */
    fun picture(placement: Placement, rgb: ByteArray, sensorWidth: Int, sensorHeight: Int) {
        val m = placement.picture
        for (y in 0 until height) for (x in 0 until width) {
            val a = (x + 0.5f) / width
            val b = (y + 0.5f) / height
            val (placeX, placeY) = m[0] * a + m[3] * b + m[6] to m[1] * a + m[4] * b + m[7]
            if (placeX !in 0f..1f || placeY !in 0f..1f) continue
            val s = (placeX * sensorWidth - 0.5f).coerceIn(0f, sensorWidth - 1f)
            val t = (placeY * sensorHeight - 0.5f).coerceIn(0f, sensorHeight - 1f)
            for (c in 0..2) colour[3 * (y * width + x) + c] = linear(rgb, sensorWidth, sensorHeight, s, t, c)
        }
    }

    private fun linear(rgb: ByteArray, width: Int, height: Int, s: Float, t: Float, c: Int): Float {
        val x = s.toInt()
        val y = t.toInt()
        val right = minOf(x + 1, width - 1)
        val below = minOf(y + 1, height - 1)
        fun at(px: Int, py: Int) = (rgb[3 * (py * width + px) + c].toInt() and 255) / 255f
        val upper = at(x, y) + (s - x) * (at(right, y) - at(x, y))
        val lower = at(x, below) + (s - x) * (at(right, below) - at(x, below))
        return upper + (t - y) * (lower - upper)
    }

    fun head(placement: Placement, mesh: HeadMesh, vertices: FloatArray, cover: Float) {
        mesh.update(vertices)
        val screen = FloatArray(vertices.size)
        for (v in 0 until mesh.vertexCount) {
            val (x, y, z) = Triple(vertices[3 * v], vertices[3 * v + 1], vertices[3 * v + 2])
            screen[3 * v] = (Mat4.apply(placement.head, 0, x, y, z) + 1) / 2 * width
            screen[3 * v + 1] = (1 - Mat4.apply(placement.head, 1, x, y, z)) / 2 * height
            screen[3 * v + 2] = Mat4.apply(placement.head, 2, x, y, z)
        }
        for (corner in mesh.triangles.indices step 3) triangle(placement, mesh, screen, corner)
        for (pixel in shade.indices) if (shade[pixel] > 0) {
            for (c in 0..2) {
                val at = 3 * pixel + c
                colour[at] += cover * (Shading.CLAY[c] * shade[pixel] - colour[at])
            }
        }
    }

    private fun triangle(placement: Placement, mesh: HeadMesh, screen: FloatArray, corner: Int) {
        val a = 3 * mesh.triangles[corner]
        val b = 3 * mesh.triangles[corner + 1]
        val c = 3 * mesh.triangles[corner + 2]
        val area = edge(screen, a, b, screen[c], screen[c + 1])
        if (area == 0f) return
        val left = maxOf(0, floor(minOf(screen[a], screen[b], screen[c]) - 0.5f).toInt())
        val right = minOf(width - 1, ceil(maxOf(screen[a], screen[b], screen[c])).toInt())
        val top = maxOf(0, floor(minOf(screen[a + 1], screen[b + 1], screen[c + 1]) - 0.5f).toInt())
        val bottom = minOf(height - 1, ceil(maxOf(screen[a + 1], screen[b + 1], screen[c + 1])).toInt())
        for (y in top..bottom) for (x in left..right) {
            val wa = edge(screen, b, c, x + 0.5f, y + 0.5f) / area
            val wb = edge(screen, c, a, x + 0.5f, y + 0.5f) / area
            val wc = 1 - wa - wb
            if (wa < 0 || wb < 0 || wc < 0) continue
            val z = wa * screen[a + 2] + wb * screen[b + 2] + wc * screen[c + 2]
            val pixel = y * width + x
            if (z > depth[pixel]) continue
            depth[pixel] = z
            shade[pixel] = lit(placement, mesh.normals, a, b, c, wa, wb, wc)
        }
    }

    private fun lit(
        placement: Placement, n: FloatArray, a: Int, b: Int, c: Int, wa: Float, wb: Float, wc: Float,
    ): Float {
        val m = placement.turn
        val x = wa * n[a] + wb * n[b] + wc * n[c]
        val y = wa * n[a + 1] + wb * n[b + 1] + wc * n[c + 1]
        val z = wa * n[a + 2] + wb * n[b + 2] + wc * n[c + 2]
        val turned = FloatArray(3) { m[it] * x + m[4 + it] * y + m[8 + it] * z }
        val length = kotlin.math.sqrt(turned[0] * turned[0] + turned[1] * turned[1] + turned[2] * turned[2])
        return Shading.shade(turned[0] / length, turned[1] / length, turned[2] / length)
    }

    private fun edge(s: FloatArray, a: Int, b: Int, x: Float, y: Float) =
        (s[b] - s[a]) * (y - s[a + 1]) - (s[b + 1] - s[a + 1]) * (x - s[a])

    fun toImage(): java.awt.image.BufferedImage {
        val image = java.awt.image.BufferedImage(width, height, java.awt.image.BufferedImage.TYPE_INT_RGB)
        for (pixel in 0 until width * height) {
            var rgb = 0
            for (c in 0..2) rgb = (rgb shl 8) or (colour[3 * pixel + c].coerceIn(0f, 1f) * 255 + 0.5f).toInt()
            image.setRGB(pixel % width, pixel / width, rgb)
        }
        return image
    }
}
