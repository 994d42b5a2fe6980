package org.emoca.engine

import java.nio.ByteBuffer
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/** Every stage against the library's golden vectors. */
class StagesTest {
    @Test
    fun `camera frames become upright pictures`() {
        val image = RgbImage()
        val converter = YuvConverter()
        for (case in GoldenCase.of("yuv")) {
            val p = case.parameters
            val (left, top, width, height) = case.ints("crop")
            val frame = YuvFrame().set(
                p.int("width"), p.int("height"), ByteBuffer.wrap(case.bytes("y")), p.int("y_row"), p.int("y_pixel"),
                ByteBuffer.wrap(case.bytes("u")), ByteBuffer.wrap(case.bytes("v")), p.int("uv_row"), p.int("uv_pixel"),
            ).crop(left, top, width, height)
            converter.convert(frame, p.int("rotation"), (p.member("mirror") as Json.Word).text == "true", image)
            assertEquals(case.shape("rgb"), listOf(image.height, image.width, 3))
            assertLevels(case.bytes("rgb"), image.pixels, 1, 0.995, "yuv turned by ${p.int("rotation")}")
        }
    }

    @Test
    fun `frames that do not fit their strides are refused`() {
        val plane = ByteBuffer.allocate(100)
        assertThrows(IllegalArgumentException::class.java) { YuvFrame().set(20, 20, plane, 20, 1, plane, plane, 10, 1) }
        assertThrows(IllegalArgumentException::class.java) { YuvFrame().set(10, 10, plane, 5, 1, plane, plane, 5, 1) }
        assertThrows(IllegalArgumentException::class.java) { YuvFrame().set(10, 10, plane, 10, 1, plane, plane, 5, 1).crop(5, 5, 6, 1) }
    }

    @Test
    fun `the detector's input is the library's`() {
        for (case in GoldenCase.of("detector_input")) {
            val image = case.image("image")
            val out = floatBuffer(3 * 128 * 128)
            val input = DetectorInput()
            val window = if ("window" in case.parameters.members) case.ints("window") else listOf(0, 0, image.width, image.height)
            input.prepare(image, window[0], window[1], window[2], window[3], out)
            assertEquals(case.parameters.double("side"), input.side.toDouble(), 1e-9)
            assertEquals(case.parameters.double("left"), input.left.toDouble(), 1e-9)
            assertEquals(case.parameters.double("top"), input.top.toDouble(), 1e-9)
            val levels = out.all().map { Math.round((it + 1) * 127.5f).toByte() }.toByteArray()
            // OpenCV enlarges with weights of 11 bits; only pictures smaller than the network's input are enlarged.
            val equal = if (input.side > input.size) 0.995 else 0.9
            assertLevels(case.bytes("levels"), levels, 1, equal, "detector input of ${image.width} x ${image.height}")
        }
    }

    @Test
    fun `anchors are the library's`() {
        assertArrayEquals(GoldenCase.of("anchors").single().floats("anchors"), BlazeFace.anchors())
    }

    @Test
    fun `boxes are decoded and merged`() {
        for (case in GoldenCase.of("decoding")) {
            val p = case.parameters
            val faces = FaceList()
            BlazeFace().decode(
                buffer(case.floats("regressors")), buffer(case.floats("logits")), p.double("side"), p.double("left"), p.double("top"), faces,
            )
            faces.sort()
            assertEquals(case.shape("boxes")[0], faces.size)
            assertNear(case.doubles("boxes"), faces.boxes.copyOf(4 * faces.size), 1e-6, "boxes")
            assertNear(case.doubles("keypoints"), faces.keypoints.copyOf(12 * faces.size), 1e-6, "keypoints")
            assertNear(case.doubles("scores"), faces.scores.copyOf(faces.size), 1e-9, "scores")
        }
    }

    @Test
    fun `hostile detections end nowhere`() {
        for (value in listOf(Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, 1e38f, -1e38f)) {
            val faces = FaceList()
            BlazeFace().decode(buffer(FloatArray(896 * 16) { value }), buffer(FloatArray(896) { 5f }), 640.0, 0.0, 0.0, faces)
            for (face in 0 until faces.size) assertTrue(faces.area(face).isFinite())
        }
        val full = FaceList(4)
        BlazeFace().decode(
            buffer(FloatArray(896 * 16) { if (it % 16 in 2..3) 3f else 0f }), buffer(FloatArray(896) { 5f }), 640.0, 0.0, 0.0, full,
        )
        assertEquals(4, full.size)
    }

    @Test
    fun `crops are the library's`() {
        for (case in GoldenCase.of("crop")) {
            val crop = Crop(case.parameters.int("size"))
            val (left, top, right, bottom) = case.doubles("box").toList()
            crop.fromBox(left, top, right, bottom, CropRule(size = crop.size))
            assertNear(case.doubles("square"), doubleArrayOf(crop.left, crop.top, crop.side), 1e-9, "square")
            val out = floatBuffer(3 * crop.size * crop.size)
            crop.cut(case.image("image"), out)
            assertNear(case.floats("pixels"), out.all(), 2e-6, "crop")
        }
    }

    @Test
    fun `crops round landmarks are the library's`() {
        for (case in GoldenCase.of("landmark_crop")) {
            val points = case.doubles("points")
            val x = points.filterIndexed { i, _ -> i % 2 == 0 }
            val y = points.filterIndexed { i, _ -> i % 2 == 1 }
            val crop = Crop()
            assertTrue(crop.fromExtent(x.min(), y.min(), x.max(), y.max()))
            assertNear(case.doubles("square"), doubleArrayOf(crop.left, crop.top, crop.side), 1e-9, "square")
        }
        val crop = Crop()
        assertFalse(crop.fromExtent(3.0, 3.0, 3.0, 3.0))
        assertFalse(crop.fromExtent(Double.NaN, 0.0, 10.0, 10.0))
    }

    @Test
    fun `points are projected as the library does`() {
        val case = GoldenCase.of("project").single()
        val (left, top, right, bottom) = case.doubles("box").toList()
        val crop = Crop()
        crop.fromBox(left, top, right, bottom, CropRule())
        val cam = case.doubles("cam")
        val points = case.doubles("points")
        val found = DoubleArray(points.size / 3 * 2) {
            val point = 3 * (it / 2)
            if (it % 2 == 0) PictureCamera.pictureX(cam[0] * (points[point] + cam[1]), crop)
            else PictureCamera.pictureY(-cam[0] * (points[point + 1] + cam[2]), crop)
        }
        assertNear(case.doubles("pixels"), found, 1e-9, "projection")
    }

    @Test
    fun `the filter is the paper's`() {
        for (case in GoldenCase.of("one_euro")) {
            val p = case.parameters
            val size = case.shape("signal")[1]
            val filter = OneEuro(size, Smoothing(p.double("min_cutoff"), p.double("beta"), p.double("speed_cutoff")))
            val values = case.floats("signal")
            case.doubles("seconds").forEachIndexed { row, seconds -> filter.filter(values, size * row, seconds) }
            assertNear(case.floats("smooth"), values, 1e-5, "filter")
        }
    }

    @Test
    fun `the filter starts anew after a reset`() {
        val filter = OneEuro(1, Smoothing(0.1, 0.0))
        val value = floatArrayOf(0f)
        filter.filter(value, 0, 0.0)
        value[0] = 10f
        filter.filter(value, 0, 0.04)
        assertTrue(value[0] < 1)
        filter.reset()
        value[0] = 10f
        filter.filter(value, 0, 0.08)
        assertEquals(10f, value[0])
    }

    @Test
    fun `time that stands still or runs back is survived`() {
        val filter = OneEuro(1, Smoothing(1.0, 5.0))
        for (seconds in listOf(1.0, 1.0, 0.5, 2.0)) {
            val value = floatArrayOf(seconds.toFloat())
            filter.filter(value, 0, seconds)
            assertTrue(value[0].isFinite())
        }
    }

    @Test
    fun `half turns do not flip`() {
        val turn = floatArrayOf(0f, -3.1f, 0f) // nearly the same turn as (0, 3.1, 0)
        OneEuro.nearestTurn(turn, 0, 0.0, 3.1, 0.0)
        assertEquals(2 * Math.PI - 3.1, turn[1].toDouble(), 1e-5)
        val small = floatArrayOf(0.1f, 0.2f, 0f)
        OneEuro.nearestTurn(small, 0, 0.0, 0.0, 0.0)
        assertArrayEquals(floatArrayOf(0.1f, 0.2f, 0f), small)
    }

    @Test
    fun `emotions are read as the library does`() {
        for (case in GoldenCase.of("readout")) {
            val readout = EmotionReadout(case.parameters.arrayOf("classes").map { it.asText("class") }, null)
            readout.read(buffer(case.floats("logits")), null, null, 0.0)
            assertNear(case.floats("probabilities"), readout.probabilities, 1e-6, "probabilities")
            assertEquals(case.parameters.int("best"), readout.best)
            assertNear(case.floats("place"), floatArrayOf(readout.valence, readout.arousal), 1e-6, "valence and arousal")
            readout.read(buffer(case.floats("logits")), buffer(floatArrayOf(0.25f)), buffer(floatArrayOf(-0.5f)), 0.0)
            assertEquals(0.25f, readout.valence)
            assertEquals(-0.5f, readout.arousal)
        }
    }

    @Test
    fun `a resting face is taken off`() {
        for (case in GoldenCase.of("neutral")) {
            val (frames, axes) = case.shape("exp")
            val calibration = NeutralCalibration(axes, List(axes) { 0f to 1f })
            val codes = Codes(4, 4, axes)
            calibration.start(frames)
            for (frame in 0 until frames) {
                assertTrue(calibration.running)
                put(codes, case.floats("exp"), axes * frame, case.floats("jaw"), 3 * frame, case.floats("eyelid"), 2 * frame)
                calibration.observe(codes)
            }
            assertFalse(calibration.running)
            assertNear(case.floats("rest"), calibration.baseline!!, 1e-6, "resting face")
            val face = case.floats("face")
            put(codes, face, 0, face, axes, face, axes + 3)
            calibration.apply(codes)
            assertNear(case.floats("found"), codes.exp + codes.pose.copyOfRange(3, 6) + codes.eyelid, 1e-6, "calibrated")
            val again = NeutralCalibration(axes, null).also { it.restore(calibration.baseline!!) }
            assertArrayEquals(calibration.baseline, again.baseline)
        }
        assertThrows(IllegalArgumentException::class.java) { NeutralCalibration(5, null).restore(FloatArray(3)) }
    }

    private fun put(codes: Codes, exp: FloatArray, e: Int, jaw: FloatArray, j: Int, lids: FloatArray, l: Int) {
        System.arraycopy(exp, e, codes.exp, 0, codes.exp.size)
        System.arraycopy(jaw, j, codes.pose, 3, 3)
        System.arraycopy(lids, l, codes.eyelid, 0, 2)
    }

    /** Bytes that differ by at most [most] levels, and in the share [equal] of them not at all. */
    private fun assertLevels(wanted: ByteArray, found: ByteArray, most: Int, equal: Double, what: String) {
        var same = 0
        for (i in wanted.indices) {
            val off = Math.abs((wanted[i].toInt() and 255) - (found[i].toInt() and 255))
            assertTrue(off <= most) { "$what: value $i is ${found[i]} instead of ${wanted[i]}" }
            if (off == 0) same++
        }
        assertTrue(same >= equal * wanted.size) { "$what: only $same of ${wanted.size} values are equal" }
    }
}
