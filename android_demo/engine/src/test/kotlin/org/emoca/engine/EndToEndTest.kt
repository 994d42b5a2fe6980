package org.emoca.engine

import java.io.File
import java.lang.management.ManagementFactory
import java.nio.ByteBuffer
import org.emoca.runtime.InterpreterRuntime
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Assumptions.assumeTrue
import org.junit.jupiter.api.Test

/** The real runtime from picture to head, against what Python computes from the same bundle. */
class EndToEndTest {
    private val bundle by lazy { Bundle.load(FolderSource(Given.bundle)) }

    private fun open(settings: EngineSettings) = FaceEngine.open(bundle, InterpreterRuntime(threads = 1), settings)

    @Test
    fun `photos and every frame of a video give Python's codes, vertices and emotion`() {
        var compared = 0
        var worstCode = 0.0
        var worstVertex = 0.0
        var worstShare = 0.0
        // As near as Python is to itself when the last bits of the pixels differ, and a little more.
        val codesWithin = CODES + 2 * Given.trembling("codes")
        val metresWithin = METRES + 2 * Given.trembling("vertices")
        val sharesWithin = SHARES + 2 * Given.trembling("probabilities")
        open(EngineSettings.PHOTOS).use { engine ->
            for (picture in Given.pictures()) {
                val what = "${picture.text("kind")} ${picture.text("file")}"
                engine.reset() // every picture for itself: the largest face
                val result = engine.process(Given.image(picture), picture.double("seconds"))
                assertEquals(picture.int("faces"), engine.faces.size, what)
                val face = picture.member("face") as? Json.Object
                assertEquals(face != null, result.found, what)
                if (face == null) continue
                val box = face.arrayOf("box").map { it.asDouble("box") }.toDoubleArray()
                assertNear(box, engine.faces.boxes.copyOf(4), 0.05, "$what: box")
                assertEquals(face.double("score"), result.score, 1e-3, what)
                val square = face.arrayOf("square").map { it.asDouble("square") }.toDoubleArray()
                assertNear(square, doubleArrayOf(result.crop.left, result.crop.top, result.crop.side), 0.05, "$what: crop")
                for ((group, file) in face.objectOf("codes").members) {
                    val wanted = Given.floats(File(Given.expected, file.asText(group)))
                    worstCode = maxOf(worstCode, assertNear(wanted, result.codes.group(group)!!, codesWithin, "$what: $group"))
                }
                val vertices = Given.floats(File(Given.expected, face.text("vertices")))
                worstVertex = maxOf(worstVertex, assertNear(vertices, result.vertices, metresWithin, "$what: vertices"))
                if ("emotion" in face.members) worstShare = maxOf(worstShare, compareEmotion(face.objectOf("emotion"), result.emotion!!, sharesWithin, what))
                compared++
            }
        }
        println(
            ("%d pictures compared with Python: codes within %.1e (allowed %.1e), vertices within %.1e mm (%.1e), " +
                "probabilities within %.1e (%.1e)")
                .format(compared, worstCode, codesWithin, 1000 * worstVertex, 1000 * metresWithin, worstShare, sharesWithin),
        )
        assertTrue(compared > 0)
    }

    private fun compareEmotion(wanted: Json.Object, found: EmotionReadout, within: Double, what: String): Double {
        assertEquals(wanted.double("valence"), found.valence.toDouble(), within, what)
        assertEquals(wanted.double("arousal"), found.arousal.toDouble(), within, what)
        val shares = wanted.arrayOf("probabilities").map { it.asDouble("probability").toFloat() }.toFloatArray()
        val best = wanted.int("best")
        assertTrue(found.best == best || shares[best] - shares[found.best] <= 2 * within) { "$what: emotion ${found.best}, not $best" }
        return assertNear(shares, found.probabilities, within, "$what: probabilities")
    }

    @Test
    fun `a camera frame gives what its picture gives`() {
        val picture = Given.pictures().first { it.member("face") is Json.Object }
        val image = Given.image(picture)
        // The sensor lies on its side: the upright picture turned back by 90 degrees, as interleaved planes.
        val width = image.height / 2 * 2
        val height = image.width / 2 * 2
        val y = ByteBuffer.allocateDirect(width * height)
        val vu = ByteBuffer.allocateDirect(width * height / 2)
        for (row in 0 until height) for (column in 0 until width) {
            val at = 3 * ((width - 1 - column) * image.width + row)
            val (r, g, b) = List(3) { image.pixels[at + it].toInt() and 255 }
            y.put(row * width + column, Math.round(0.299 * r + 0.587 * g + 0.114 * b).toInt().toByte())
            if (row % 2 == 0 && column % 2 == 0) {
                val chroma = row / 2 * width + column
                vu.put(chroma, (128 + 0.5 * r - 0.418688 * g - 0.081312 * b).toInt().coerceIn(0, 255).toByte())
                vu.put(chroma + 1, (128 - 0.168736 * r - 0.331264 * g + 0.5 * b).toInt().coerceIn(0, 255).toByte())
            }
        }
        val u = vu.duplicate().position(1).slice()
        val frame = YuvFrame().set(width, height, y, width, 1, u, vu, width, 2)
        val upright = RgbImage()
        // Clockwise by 270: undoes the turn above.
        YuvConverter().convert(frame, 270, false, upright)
        open(EngineSettings.PHOTOS).use { engine ->
            val box = engine.process(image, 0.0).let { engine.faces.boxes.copyOf(4) }
            engine.reset()
            assertTrue(engine.process(upright, 0.0).found)
            assertNear(box, engine.faces.boxes.copyOf(4), 2.5, "box")
        }
    }

    @Test
    fun `the small mesh consists of vertices of the head`() {
        val image = Given.image(Given.pictures().first { it.member("face") is Json.Object })
        val whole = open(EngineSettings()).use { it.process(image, 0.0).vertices.copyOf() }
        val rows = bundle.ints("small_vertices")
        open(EngineSettings(mesh = Mesh.SMALL)).use { engine ->
            val result = engine.process(image, 0.0)
            assertTrue(result.found && result.landmarks.isNotEmpty())
            assertTrue(rows.size in 1 until bundle.manifest.headVertices)
            assertArrayEquals(FloatArray(3 * rows.size) { whole[3 * rows[it / 3] + it % 3] }, result.vertices)
        }
    }

    @Test
    fun `a video is followed, lost and found again`() {
        val pictures = Given.pictures().filter { it.text("kind") == "frame" }
        assumeTrue(pictures.any { it.member("face") !is Json.Object })
        open(EngineSettings(TrackingSettings(detectEvery = 2, cropFromLandmarks = false))).use { engine ->
            var detections = 0
            var starts = 0
            for (picture in pictures) {
                val result = engine.process(Given.image(picture), picture.double("seconds"))
                if (result.detected) detections++
                if (result.fresh) starts++
                for (value in result.vertices) assertTrue(value.isFinite())
            }
            assertTrue(detections < pictures.size * 2 / 3) { "$detections detections" }
            assertEquals(2, starts)
        }
    }

    @Test
    fun `a resting face is calibrated within the engine`() {
        val image = Given.image(Given.pictures().first { it.member("face") is Json.Object })
        open(EngineSettings.PHOTOS).use { engine ->
            engine.calibration.start(3)
            for (frame in 0..2) engine.process(image, frame / 30.0)
            assertFalse(engine.calibration.running)
            val result = engine.process(image, 0.2)
            assertEquals(0f, result.codes.exp.maxOf { Math.abs(it) }, 1e-5f)
            assertTrue(result.rawCodes.exp.maxOf { Math.abs(it) } > 1e-3)
        }
    }

    @Test
    fun `a frame allocates nothing`() {
        val image = Given.image(Given.pictures().first { it.member("face") is Json.Object })
        val empty = RgbImage(640, 480)
        for (settings in listOf(EngineSettings(), EngineSettings.PHOTOS)) {
            open(settings).use { engine ->
                val face = Allocations.perCall(60) { engine.process(image, it / 30.0) }
                val nobody = Allocations.perCall(10) { engine.process(empty, it / 30.0) }
                println("bytes allocated a frame: $face with a face, $nobody without (the meter reads ${Allocations.ofNothing()} for nothing)")
                assertTrue(face == 0L && nobody == 0L) { "$face and $nobody bytes a frame" }
            }
        }
    }

    @Test
    fun `converting a camera frame allocates nothing`() {
        val plane = ByteBuffer.allocateDirect(640 * 480)
        val frame = YuvFrame()
        val image = RgbImage()
        val converter = YuvConverter()
        val bytes = Allocations.perCall(20) {
            frame.set(640, 480, plane, 640, 1, plane, plane, 640, 2)
            converter.convert(frame, 90, true, image)
        }
        assertEquals(0, bytes)
    }

    private companion object {
        const val CODES = 1e-3
        const val METRES = 1e-4
        const val SHARES = 2e-3
    }
}

/** Bytes that this thread allocates in the steady state. */
object Allocations {
    private val threads = ManagementFactory.getThreadMXBean() as com.sun.management.ThreadMXBean

    /** Of the quietest of several rounds: the JVM itself allocates a little now and then. */
    inline fun perCall(calls: Int, call: (Int) -> Unit): Long { // inline: a lambda would box the numbers beyond 127
        repeat(calls) { call(it) }
        var least = Long.MAX_VALUE
        repeat(3) {
            val before = now()
            for (i in 0 until calls) call(i)
            least = minOf(least, (now() - before) / calls)
        }
        return least
    }

    fun ofNothing(): Long = -now() + now()

    fun now(): Long = threads.getThreadAllocatedBytes(Thread.currentThread().id)
}
