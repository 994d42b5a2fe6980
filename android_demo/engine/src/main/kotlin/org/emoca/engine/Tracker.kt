package org.emoca.engine

import kotlin.math.abs

/**
 * When to look for faces and when to follow the one that was found.
 *
 * @param detectEvery frames from one detection to the next while a face is followed; 1 detects in every frame.
 * @param cropFromLandmarks while a face is followed, its crop comes from the landmarks of the last head, as the training
 *     crops did; false takes the detector's box only.
 * @param searchWindows look for small faces too where the whole picture shows none.
 * @param patience detections in a row that may miss a face that is followed (a profile, a hand before it).
 */
class TrackingSettings(
    val detectEvery: Int = 10,
    val cropFromLandmarks: Boolean = true,
    val searchWindows: Boolean = true,
    val patience: Int = 2,
) {
    init {
        require(detectEvery >= 1 && patience >= 0) { "detection every $detectEvery frames with a patience of $patience" }
    }
}

/**
 * Track, then detect again: keeps the crop of one face from frame to frame.
 *
 * Every frame: [needsDetection]; if so [detected] with what the detector found; if then [following], use [crop]; at last
 * [seen] with where the landmarks of the new head lie.
 */
internal class Tracker(private val settings: TrackingSettings, private val rule: CropRule) {
    /** The square to look at, while [following]. */
    val crop = Crop(rule.size)

    /** Whether there is a face to look at. */
    var following = false
        private set

    /** True in the first frame of a face: filters start anew. */
    var fresh = false
        private set

    /** Number of the followed face in the last list given to [detected], or -1. */
    var face = -1
        private set

    private val box = DoubleArray(4)
    private val other = DoubleArray(4)
    private val candidate = Crop(rule.size)
    private var sinceDetection = 0
    private var misses = 0

    fun needsDetection(): Boolean = !following || sinceDetection >= settings.detectEvery - 1 || misses > 0

    /** Begin a frame without a detection. */
    fun skipped() {
        sinceDetection++
        fresh = false
        face = -1
    }

    /** Choose among the faces of this frame: the followed one, else the largest. */
    fun detected(faces: FaceList) {
        sinceDetection = 0
        fresh = false
        val same = if (following) overlapping(faces) else -1
        if (same >= 0) {
            misses = 0
            face = same
            if (!settings.cropFromLandmarks) take(faces, same)
            return
        }
        face = -1
        if (faces.size == 0 && following && ++misses <= settings.patience && settings.cropFromLandmarks) return
        lose()
        if (faces.size == 0) return
        take(faces, 0)
        face = 0
        following = true
        fresh = true
    }

    /**
     * The head of this frame: where its landmarks lie in the picture. The next crop comes from them; a crop that
     * leaps, shrinks to nothing or leaves the picture is a lost face.
     *
     * @return false where the face is lost.
     */
    fun seen(left: Double, top: Double, right: Double, bottom: Double, width: Int, height: Int): Boolean {
        if (!settings.cropFromLandmarks) return true
        val sound = candidate.fromExtent(left, top, right, bottom) && plausible(width, height)
        if (sound) approach() else lose()
        return sound
    }

    /**
     * Move the crop towards the candidate: all of the way when the face moves, less when it rests, since landmarks
     * tremble with the crop that they come from.
     */
    private fun approach() {
        val x = crop.left + crop.side / 2
        val y = crop.top + crop.side / 2
        val across = candidate.left + candidate.side / 2 - x
        val down = candidate.top + candidate.side / 2 - y
        val growth = candidate.side - crop.side
        val change = maxOf(abs(across), abs(down), abs(growth)) / crop.side
        val share = CALM + (1 - CALM) * minOf(1.0, change / MOVING)
        crop.set(x + share * across, y + share * down, crop.side + share * growth)
    }

    fun lose() {
        following = false
        fresh = false
        face = -1
        misses = 0
        sinceDetection = 0
    }

    private fun plausible(width: Int, height: Int): Boolean {
        val ratio = candidate.side / crop.side
        val across = candidate.left + candidate.side / 2 - crop.left - crop.side / 2
        val down = candidate.top + candidate.side / 2 - crop.top - crop.side / 2
        val reach = MAX_LEAP * crop.side
        return ratio > 1 / MAX_GROWTH && ratio < MAX_GROWTH && across * across + down * down < reach * reach &&
            candidate.side >= MIN_SIDE && candidate.shareInside(width, height) >= MIN_INSIDE
    }

    private fun take(faces: FaceList, number: Int) {
        crop.fromBox(faces.left(number), faces.top(number), faces.right(number), faces.bottom(number), rule)
    }

    /** The face whose square overlaps the followed one best, or -1. */
    private fun overlapping(faces: FaceList): Int {
        box[0] = crop.left
        box[1] = crop.top
        box[2] = crop.left + crop.side
        box[3] = crop.top + crop.side
        var best = -1
        var most = MIN_OVERLAP
        for (number in 0 until faces.size) {
            candidate.fromBox(faces.left(number), faces.top(number), faces.right(number), faces.bottom(number), rule)
            other[0] = candidate.left
            other[1] = candidate.top
            other[2] = candidate.left + candidate.side
            other[3] = candidate.top + candidate.side
            val overlap = intersectionOverUnion(box, 0, other, 0)
            if (overlap > most) {
                most = overlap
                best = number
            }
        }
        return best
    }

    private companion object {
        /** Between two frames: growth of the crop's side, and way of its centre in sides. */
        const val MAX_GROWTH = 1.6
        const val MAX_LEAP = 0.5

        /** Share of the way that a resting crop goes, and the change, in sides, from which on it goes all of it. */
        const val CALM = 0.25
        const val MOVING = 0.15

        /** Pixels: below, there is nothing to see. */
        const val MIN_SIDE = 24.0

        /** Share of the crop inside the picture. */
        const val MIN_INSIDE = 0.4

        /** Intersection over union of crops above which a detection is the followed face. */
        const val MIN_OVERLAP = 0.3
    }
}
