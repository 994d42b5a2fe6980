package org.emoca.demo.ui

import android.widget.Button
import org.emoca.demo.MainActivity
import org.emoca.demo.R

/** The buttons: what stands on them now, and what a screen reader says of them. */
class Controls(private val buttons: List<Button>, private val activity: MainActivity) {
    enum class Control { CAMERA, VIEW, WIREFRAME, NEUTRAL, PAUSE, SCREENSHOT, RECORD, BACKEND }

    init {
        for (control in Control.values()) buttons[control.ordinal].setOnClickListener { activity.pressed(control) }
    }

    fun refresh(alone: Boolean, wireframe: Boolean, paused: Boolean, recording: Boolean, gpu: Boolean) {
        set(Control.CAMERA, R.string.switch_camera, R.string.switch_camera_says)
        either(Control.VIEW, alone, R.string.head_over, R.string.head_over_says, R.string.head_alone, R.string.head_alone_says)
        either(Control.WIREFRAME, wireframe, R.string.solid, R.string.solid_says, R.string.wireframe, R.string.wireframe_says)
        set(Control.NEUTRAL, R.string.neutral, R.string.neutral_says)
        either(Control.PAUSE, paused, R.string.resume, R.string.resume, R.string.pause, R.string.pause)
        set(Control.SCREENSHOT, R.string.screenshot, R.string.screenshot_says)
        either(Control.RECORD, recording, R.string.stop, R.string.stop_says, R.string.record, R.string.record_says)
        either(Control.BACKEND, gpu, R.string.backend_cpu, R.string.backend_cpu_says, R.string.backend, R.string.backend_says)
    }

    private fun either(control: Control, on: Boolean, text: Int, says: Int, otherText: Int, otherSays: Int) =
        if (on) set(control, text, says) else set(control, otherText, otherSays)

    private fun set(control: Control, text: Int, says: Int) {
        val button = buttons[control.ordinal]
        val words = activity.getString(text)
        if (button.text.toString() == words) return
        button.text = words
        button.contentDescription = activity.getString(says)
    }

    companion object {
        val COUNT = Control.values().size
    }
}
