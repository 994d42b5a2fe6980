package org.emoca.demo.ui

import android.content.res.Resources
import org.emoca.demo.R
import org.emoca.demo.screen.PanelState
import org.emoca.demo.screen.PanelWords
import org.emoca.demo.screen.Situation

/** Sentences and names in the person's language. */
class Words(private val resources: Resources) {
    fun sentence(situation: Situation): String = resources.getString(
        when (situation) {
            Situation.STARTING -> R.string.situation_starting
            Situation.LOOKING -> R.string.situation_looking
            Situation.NO_FACE -> R.string.situation_no_face
            Situation.TOO_DARK -> R.string.situation_too_dark
            Situation.SEVERAL_FACES -> R.string.situation_several_faces
            Situation.PAUSED -> R.string.situation_paused
            Situation.CALIBRATING -> R.string.situation_calibrating
            Situation.PERMISSION_ASKED -> R.string.situation_permission_asked
            Situation.PERMISSION_DENIED -> R.string.situation_permission_denied
            Situation.CAMERA_BUSY -> R.string.situation_camera_busy
            Situation.CAMERA_MISSING -> R.string.situation_camera_missing
            Situation.BUNDLE_MISSING -> R.string.situation_bundle_missing
            Situation.BUNDLE_DAMAGED -> R.string.situation_bundle_damaged
            Situation.MODEL_REFUSED -> R.string.situation_model_refused
            Situation.GRAPHICS_MISSING -> R.string.situation_graphics_missing
        },
    )

    /** @param emotions classes as the bundle names them; one that the app does not know keeps the bundle's name. */
    fun panel(emotions: List<String>): PanelState {
        val words = PanelWords(
            positive = resources.getString(R.string.plane_positive),
            negative = resources.getString(R.string.plane_negative),
            calm = resources.getString(R.string.plane_calm),
            excited = resources.getString(R.string.plane_excited),
            timing = resources.getString(R.string.timing),
        )
        return PanelState(emotions.map(::name), words)
    }

    private fun name(emotion: String): String = when (emotion) {
        "neutral" -> resources.getString(R.string.emotion_neutral)
        "happy" -> resources.getString(R.string.emotion_happy)
        "sad" -> resources.getString(R.string.emotion_sad)
        "surprise" -> resources.getString(R.string.emotion_surprise)
        "fear" -> resources.getString(R.string.emotion_fear)
        "disgust" -> resources.getString(R.string.emotion_disgust)
        "anger" -> resources.getString(R.string.emotion_anger)
        "contempt" -> resources.getString(R.string.emotion_contempt)
        else -> emotion
    }
}
