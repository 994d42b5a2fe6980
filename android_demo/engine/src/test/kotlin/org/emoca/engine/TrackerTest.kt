package org.emoca.engine

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

class TrackerTest {
    private val rule = CropRule()
    private val tracker = Tracker(TrackingSettings(detectEvery = 5, patience = 2), rule)

    private fun faces(vararg boxes: DoubleArray) = FaceList().apply {
        for (box in boxes) {
            val face = add()
            box.copyInto(this.boxes, 4 * face)
            scores[face] = 0.9
        }
        sort()
    }

    private val face = doubleArrayOf(200.0, 100.0, 300.0, 200.0)
    private val larger = doubleArrayOf(20.0, 10.0, 180.0, 170.0)

    /** Landmarks that give the crop of the face's box again, moved. */
    private fun see(move: Double = 0.0, size: Double = 1.0): Boolean {
        val half = tracker.crop.side / Crop.LANDMARK_MARGIN / Crop.INFERENCE_SCALE / 2 * size
        val x = tracker.crop.left + tracker.crop.side / 2 + move
        val y = tracker.crop.top + tracker.crop.side / 2
        return tracker.seen(x - half, y - half, x + half, y + half, 640, 480)
    }

    private fun start() {
        assertTrue(tracker.needsDetection())
        tracker.detected(faces(face))
        assertTrue(tracker.following && tracker.fresh)
        assertTrue(see())
    }

    @Test
    fun `a face is followed without detections in between`() {
        start()
        for (frame in 1..4) {
            assertFalse(tracker.needsDetection())
            tracker.skipped()
            assertFalse(tracker.fresh)
            val before = tracker.crop.left + tracker.crop.side / 2
            assertTrue(see(move = 250 + 8 * frame - before))
            assertEquals(250.0 + 8 * frame, tracker.crop.left + tracker.crop.side / 2, 0.06 * tracker.crop.side)
        }
        assertTrue(tracker.needsDetection())
    }

    @Test
    fun `a resting crop hardly trembles and a moving one does not lag`() {
        start()
        tracker.skipped()
        val rest = tracker.crop.left
        see(move = 2.0)
        assertTrue(tracker.crop.left - rest < 0.8)
        see(move = 30.0)
        assertTrue(tracker.crop.left - rest > 29)
    }

    @Test
    fun `the followed face stays though a larger one appears`() {
        start()
        tracker.detected(faces(face, larger))
        assertEquals(1, tracker.face)
        assertTrue(tracker.following && !tracker.fresh)
    }

    @Test
    fun `when the followed face is gone the largest other one is taken anew`() {
        start()
        tracker.detected(faces(larger))
        assertTrue(tracker.following && tracker.fresh)
        assertEquals(100.0, tracker.crop.left + tracker.crop.side / 2, 1e-9)
    }

    @Test
    fun `a few missed detections are forgiven, then the face is lost`() {
        start()
        for (miss in 1..2) {
            tracker.detected(faces())
            assertTrue(tracker.following && !tracker.fresh)
            assertTrue(see())
            assertTrue(tracker.needsDetection()) // at once again
        }
        tracker.detected(faces())
        assertFalse(tracker.following)
    }

    @Test
    fun `leaps, collapses, explosions and nonsense are a lost face`() {
        for (landmarks in listOf<() -> Boolean>(
            { see(move = 100.0) }, { see(size = 0.4) }, { see(size = 2.0) },
            { tracker.seen(Double.NaN, 0.0, 1.0, 1.0, 640, 480) },
            { tracker.seen(Double.POSITIVE_INFINITY, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY, Double.NEGATIVE_INFINITY, 640, 480) },
        )) {
            tracker.lose()
            start()
            tracker.skipped()
            assertFalse(landmarks())
            assertFalse(tracker.following)
        }
    }

    @Test
    fun `a face that walks out of the picture is lost`() {
        start()
        var frames = 0
        while (tracker.following && frames < 100) {
            if (tracker.needsDetection()) tracker.detected(faces(doubleArrayOf(tracker.crop.left, tracker.crop.top, tracker.crop.left + 100, tracker.crop.top + 100)))
            else tracker.skipped()
            see(move = 20.0)
            frames++
        }
        assertTrue(frames in 10..40) { "lost after $frames frames" }
    }

    @Test
    fun `without landmarks the detector's box rules`() {
        val boxes = Tracker(TrackingSettings(detectEvery = 1, cropFromLandmarks = false), rule)
        boxes.detected(faces(face))
        boxes.detected(faces(doubleArrayOf(210.0, 100.0, 310.0, 200.0)))
        assertFalse(boxes.fresh)
        assertEquals(260.0, boxes.crop.left + boxes.crop.side / 2, 1e-9)
        boxes.detected(faces())
        assertFalse(boxes.following)
    }
}
