package org.emoca.demo.ui

import android.annotation.SuppressLint
import android.content.Context
import android.graphics.Rect
import android.os.Build
import android.util.TypedValue
import android.view.View
import android.view.ViewGroup
import android.view.WindowInsets
import android.widget.Button
import android.widget.ScrollView
import android.widget.TextView
import org.emoca.demo.R
import org.emoca.demo.scene.Area
import org.emoca.demo.screen.ScreenLayout

/** Puts the views where [ScreenLayout] says, clear of the system's bars and of cut-outs. */
@SuppressLint("ViewConstructor") // never from a layout file
class ScreenView(context: Context, val head: HeadView, buttonCount: Int) : ViewGroup(context) {
    val message = TextView(context)
    val panel = PanelView(context)
    val buttons = List(buttonCount) { Button(context) }
    private val scroll = ScrollView(context)
    private val bars = Rect()

    init {
        val ink = resources.getColor(R.color.ink, context.theme)
        message.setTextColor(ink)
        message.textSize = TEXT
        message.gravity = android.view.Gravity.CENTER_VERTICAL
        message.accessibilityLiveRegion = View.ACCESSIBILITY_LIVE_REGION_POLITE
        message.isFocusable = true
        scroll.addView(panel)
        addView(head)
        addView(message)
        addView(scroll)
        for (button in buttons) {
            button.isAllCaps = false
            button.textSize = TEXT
            button.maxLines = 2
            button.setAutoSizeTextTypeUniformWithConfiguration(SMALLEST, TEXT.toInt(), 1, TypedValue.COMPLEX_UNIT_SP)
            button.setPadding(0, 0, 0, 0)
            addView(button)
        }
        setBackgroundColor(resources.getColor(R.color.ground, context.theme))
    }

    override fun onApplyWindowInsets(insets: WindowInsets): WindowInsets {
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.R) {
            val taken = insets.getInsets(WindowInsets.Type.systemBars() or WindowInsets.Type.displayCutout())
            bars.set(taken.left, taken.top, taken.right, taken.bottom)
        } else {
            @Suppress("DEPRECATION") // its successor came with API 30
            bars.set(
                insets.systemWindowInsetLeft, insets.systemWindowInsetTop,
                insets.systemWindowInsetRight, insets.systemWindowInsetBottom,
            )
        }
        requestLayout()
        return insets
    }

    override fun onMeasure(widthSpec: Int, heightSpec: Int) {
        val width = MeasureSpec.getSize(widthSpec)
        val height = MeasureSpec.getSize(heightSpec)
        setMeasuredDimension(width, height)
        val layout = layout(width, height)
        measure(head, layout.picture)
        measure(message, layout.message)
        measure(scroll, layout.panel)
        for ((button, area) in buttons.zip(layout.buttons)) measure(button, area)
    }

    override fun onLayout(changed: Boolean, left: Int, top: Int, right: Int, bottom: Int) {
        val layout = layout(right - left, bottom - top)
        place(head, layout.picture)
        place(message, layout.message)
        place(scroll, layout.panel)
        for ((button, area) in buttons.zip(layout.buttons)) place(button, area)
    }

    private fun layout(width: Int, height: Int) = ScreenLayout(
        maxOf(width - bars.left - bars.right, 1), maxOf(height - bars.top - bars.bottom, 1),
        resources.displayMetrics.density, resources.configuration.fontScale, buttons.size,
    )

    private fun measure(view: View, area: Area) = view.measure(
        MeasureSpec.makeMeasureSpec(area.width, MeasureSpec.EXACTLY),
        MeasureSpec.makeMeasureSpec(area.height, MeasureSpec.EXACTLY),
    )

    private fun place(view: View, area: Area) {
        val left = bars.left + area.left
        val top = bars.top + area.top
        view.layout(left, top, left + area.width, top + area.height)
    }

    private companion object {
        const val TEXT = 14f
        const val SMALLEST = 9
    }
}
