package org.emoca.demo.ui

import android.content.Context
import android.graphics.Canvas
import android.view.View
import org.emoca.demo.R
import org.emoca.demo.device.CanvasPencil
import org.emoca.demo.screen.EmotionPanel
import org.emoca.demo.screen.PanelState

/** Emotion bars and the plane of valence and arousal; tells screen readers the strongest one in words. */
class PanelView(context: Context) : View(context) {
    var state: PanelState? = null
        set(value) {
            field = value
            requestLayout()
        }

    private val pencil = CanvasPencil()
    private val density = resources.displayMetrics.density
    private val textSize get() = 14 * density * resources.configuration.fontScale
    private var told = ""

    init {
        importantForAccessibility = IMPORTANT_FOR_ACCESSIBILITY_YES
    }

    /** The state was changed. */
    fun refresh() {
        invalidate()
        val now = words()
        if (now != told) contentDescription = now.also { told = it }
    }

    private fun words(): String {
        val state = state ?: return ""
        if (!state.seen) return resources.getString(R.string.panel_empty)
        val best = state.strongest
        val tens = (10 * state.shares[best] + 0.5f).toInt() * 10 // coarse, so that readers are not told every frame
        val valence = (10 * state.valence).toInt() / 10f
        val arousal = (10 * state.arousal).toInt() / 10f
        return resources.getString(R.string.panel_says, state.names[best], tens, valence, arousal)
    }

    override fun onMeasure(widthSpec: Int, heightSpec: Int) {
        val width = MeasureSpec.getSize(widthSpec)
        setMeasuredDimension(width, EmotionPanel.height(width, density, textSize))
    }

    override fun onDraw(canvas: Canvas) {
        val state = state ?: return
        pencil.canvas = canvas
        EmotionPanel.draw(pencil, state, width, density, textSize)
        pencil.canvas = null
    }
}
