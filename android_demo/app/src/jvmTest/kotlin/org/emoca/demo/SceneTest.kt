package org.emoca.demo

import org.emoca.demo.scene.HeadMesh
import org.emoca.demo.scene.Mat4
import org.emoca.demo.scene.Middle
import org.emoca.demo.scene.Placement
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import kotlin.math.PI

class SceneTest {
    private val tetrahedron = intArrayOf(0, 2, 1, 0, 1, 3, 0, 3, 2, 1, 2, 3)
    private val corners = floatArrayOf(0f, 0f, 0f, 1f, 0f, 0f, 0f, 1f, 0f, 0f, 0f, 1f)

    @Test fun everyEdgeOnce() {
        val mesh = HeadMesh(tetrahedron, 4)
        val edges = mesh.edges.toList().chunked(2).map { it.toSet() }
        assertEquals(6, edges.size)
        assertEquals(6, edges.toSet().size)
    }

    @Test fun normalsPointOutAndHaveUnitLength() {
        val mesh = HeadMesh(tetrahedron, 4)
        mesh.update(corners)
        for (v in 0..3) {
            val n = mesh.normals.copyOfRange(3 * v, 3 * v + 3)
            assertEquals(1.0, n.map { it.toDouble() * it }.sum(), 1e-5)
            val outwards = (0..2).sumOf { n[it].toDouble() * (corners[3 * v + it] - 0.25) }
            assertTrue(outwards > 0, "vertex $v")
        }
        mesh.update(FloatArray(12)) // a collapsed head has no normals, and none that is not a number
        assertTrue(mesh.normals.all { it.isFinite() })
    }

    @Test fun trianglesOfOtherHeadsAreRefused() {
        assertThrows(IllegalArgumentException::class.java) { HeadMesh(intArrayOf(0, 1, 4), 4) }
        assertThrows(IllegalArgumentException::class.java) { HeadMesh(intArrayOf(0, 1), 4) }
    }

    @Test fun productsOfMatricesApplyTheSecondFirst() {
        val (move, turn, both) = Triple(FloatArray(16), FloatArray(16), FloatArray(16))
        Mat4.scaleMove(move, 2f, 2f, 2f, 1f, 0f, 0f)
        Mat4.turn(turn, (PI / 2).toFloat(), 0f)
        Mat4.multiply(both, move, turn)
        // z towards the viewer turns to x, is doubled and moved
        assertEquals(3f, Mat4.apply(both, 0, 0f, 0f, 1f), 1e-6f)
        assertEquals(0f, Mat4.apply(both, 1, 0f, 0f, 1f), 1e-6f)
        assertThrows(IllegalArgumentException::class.java) { Mat4.multiply(move, move, turn) }
    }

    /** The photo pixel of a point by the camera's definition, and the screen point of that pixel, for every view. */
    @Test fun theHeadStandsOnItsPixels() {
        val cam = floatArrayOf(7f, 0.01f, -0.02f)
        val placement = Placement()
        for (mirrored in listOf(false, true)) for ((w, h) in listOf(1080 to 1200, 2000 to 900, 480 to 480)) {
            placement.over(w, h, 480, 640, 100f, 150f, 260f, cam, mirrored)
            placement.texture(w, h, 480, 640, 0, mirrored)
            val (x, y) = 0.03f to 0.05f
            val photoX = 100 + 112 * (1 + cam[0] * (x + cam[1])) * 260 / 223
            val photoY = 150 + 112 * (1 - cam[0] * (y + cam[2])) * 260 / 223
            val screenX = (Mat4.apply(placement.head, 0, x, y, 0f) + 1) / 2
            val screenY = (1 - Mat4.apply(placement.head, 1, x, y, 0f)) / 2
            val m = placement.picture
            assertEquals(photoX, (m[0] * screenX + m[3] * screenY + m[6]) * 480, 0.01f)
            assertEquals(photoY, (m[1] * screenX + m[4] * screenY + m[7]) * 640, 0.01f)
        }
    }

    /** However flat the viewport (large text leaves little height), four fifths of the picture stay, and most of its top. */
    @Test fun littleOfThePictureIsCutOffAndLeastOfAllAbove() {
        val placement = Placement()
        for ((w, h) in listOf(450 to 500, 450 to 250, 1080 to 400, 400 to 1200, 300 to 400)) {
            placement.texture(w, h, 480, 640, 0, false)
            val m = placement.picture
            val (left, top) = m[6] to m[7]
            val (right, bottom) = left + m[0] to top + m[4]
            val name = "$w x $h shows $left..$right, $top..$bottom"
            assertTrue(minOf(right, 1f) - maxOf(left, 0f) >= 0.799f && minOf(bottom, 1f) - maxOf(top, 0f) >= 0.799f, name)
            assertTrue(maxOf(top, 0f) <= 0.0501f, name)
            assertTrue((left >= -1e-6f && right <= 1 + 1e-6f) || (top >= -1e-6f && bottom <= 1 + 1e-6f), "$name: small")
            assertEquals(w / (480 * m[0]), h / (640 * m[4]), 1e-4f, "$name: distorted")
        }
    }

    /** Turning a picture in memory and telling so must show the same. */
    @Test fun everyRotationShowsTheSamePixel() {
        val (w, h) = 30 to 20 // upright
        val placement = Placement()
        for (rotation in listOf(0, 90, 180, 270)) {
            val swapped = rotation % 180 != 0
            val (sensorW, sensorH) = if (swapped) h to w else w to h
            placement.texture(60, 40, sensorW, sensorH, rotation, false)
            val m = placement.picture
            val (u, v) = 0.2f to 0.7f // of the upright picture; the view has its shape, so of the screen too
            val s = m[0] * u + m[3] * v + m[6]
            val t = m[1] * u + m[4] * v + m[7]
            // memory -> upright by turning clockwise
            val (backU, backV) = when (rotation) {
                0 -> s to t
                90 -> 1 - t to s
                180 -> 1 - s to 1 - t
                else -> t to 1 - s
            }
            assertEquals(u, backU, 1e-6f, "$rotation")
            assertEquals(v, backV, 1e-6f, "$rotation")
        }
        assertThrows(IllegalArgumentException::class.java) { placement.texture(1, 1, 1, 1, 45, false) }
    }

    @Test fun aHeadAloneFillsTheMiddleAndDoesNotJump() {
        val head = floatArrayOf(-0.1f, 0.9f, -0.1f, 0.1f, 1.2f, 0.1f)
        val middle = Middle().also { it.follow(head) }
        assertArrayEquals(floatArrayOf(0f, 1.05f, 0f), middle.centre, 1e-6f)
        assertEquals(0.3f, middle.height, 1e-6f)
        middle.follow(FloatArray(6) { head[it] + if (it % 3 == 1) 0.1f else 0f })
        assertTrue(middle.centre[1] < 1.06f)
        val placement = Placement()
        placement.alone(800, 600, floatArrayOf(0f, 1.05f, 0f), 0.3f, 0f, 0f, false)
        assertEquals(0f, Mat4.apply(placement.head, 1, 0f, 1.05f, 0f), 1e-6f)
        assertEquals(0.82f, Mat4.apply(placement.head, 1, 0f, 1.2f, 0f), 1e-5f)
        assertTrue(Mat4.apply(placement.head, 2, 0f, 1.05f, 0.1f) < Mat4.apply(placement.head, 2, 0f, 1.05f, 0f), "nearer")
    }
}
