package org.emoca.demo.screen

/** What the person is told in the message line; every case has a sentence in every language. */
enum class Situation {
    STARTING,
    LOOKING,
    NO_FACE,
    TOO_DARK,
    SEVERAL_FACES,
    PAUSED,
    CALIBRATING,
    PERMISSION_ASKED,
    PERMISSION_DENIED,
    CAMERA_BUSY,
    CAMERA_MISSING,
    BUNDLE_MISSING,
    BUNDLE_DAMAGED,
    MODEL_REFUSED,
    GRAPHICS_MISSING,
    ;

    /** Nothing will move until the person does something. */
    val stops get() = this >= PERMISSION_ASKED
}

/** The facts of the moment, and the one sentence that they call for: what stops everything first, then what is seen. */
class Moment {
    @Volatile var obstacle: Situation? = null

    @Volatile var paused = false

    @Volatile var calibrating = false

    /** Faces in the newest frame; negative before the first frame. */
    @Volatile var faces = -1

    /** A face is being followed. */
    @Volatile var following = false

    /** No face is seen, and the picture is dark. */
    @Volatile var dark = false

    fun situation(): Situation = obstacle ?: when {
        paused -> Situation.PAUSED
        faces < 0 -> Situation.STARTING
        !following -> if (dark) Situation.TOO_DARK else Situation.NO_FACE
        calibrating -> Situation.CALIBRATING
        faces > 1 -> Situation.SEVERAL_FACES
        else -> Situation.LOOKING
    }
}
