package org.emoca.engine

/** What is timed in a frame. */
enum class Stage { PREPARE, DETECTOR, DECODE, CROP, ENCODE, FILTER, HEAD, EMOTION, TOTAL }

/** What the engine saw in a frame. One object is filled anew for every frame: copy what must outlive the next one. */
class FaceResult internal constructor(
    /** Smoothed, with the resting face taken off: what the head shows. */
    val codes: Codes,
    /** As the networks gave them. */
    val rawCodes: Codes,
    /** x, y, z of every vertex, metres. */
    val vertices: FloatArray,
    /** x, y, z of every landmark, metres; empty where the head has none. */
    val landmarks: FloatArray,
    cropSize: Int,
    /** What the face shows; null where the bundle reads no emotion. */
    val emotion: EmotionReadout?,
) {
    /** Whether there is a face; all below but the timings is undefined without one. */
    var found = false
        internal set

    /** Faces of the last detection. */
    var faceCount = 0
        internal set

    /** Whether the detector ran in this frame. */
    var detected = false
        internal set

    /** Whether this is the first frame of this face. */
    var fresh = false
        internal set

    /** Detector's score of the face, 0.5..1; that of the last detection while the face is followed. */
    var score = 0.0
        internal set

    /** The square of the picture that the networks saw; [Codes.cam] refers to it. */
    val crop = Crop(cropSize)

    /** When the frame was taken, as given. */
    var seconds = 0.0
        internal set

    private val nanos = LongArray(Stage.values().size)

    /** Nanoseconds of a stage in this frame. */
    fun nanos(stage: Stage): Long = nanos[stage.ordinal]

    internal fun time(stage: Stage, value: Long) {
        nanos[stage.ordinal] = value
    }

    internal fun clear(seconds: Double) {
        this.seconds = seconds
        found = false
        detected = false
        fresh = false
        nanos.fill(0)
    }
}
