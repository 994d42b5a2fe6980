package org.emoca.demo.ui

import android.annotation.SuppressLint
import android.content.Context
import android.opengl.GLSurfaceView
import android.view.MotionEvent
import org.emoca.demo.R
import org.emoca.demo.gl.HeadRenderer
import kotlin.math.PI

/** The drawn head; turned by a finger while it is alone. */
@SuppressLint("ViewConstructor") // never from a layout file
class HeadView(context: Context, val renderer: HeadRenderer) : GLSurfaceView(context) {
    private var lastX = 0f
    private var lastY = 0f

    init {
        setEGLContextClientVersion(3)
        setEGLConfigChooser(true) // with a depth buffer
        setRenderer(renderer)
        renderMode = RENDERMODE_WHEN_DIRTY
        contentDescription = resources.getString(R.string.head_view_says)
    }

    @SuppressLint("ClickableViewAccessibility") // turning the head tells a screen reader nothing
    override fun onTouchEvent(event: MotionEvent): Boolean {
        if (!renderer.alone) return false
        if (event.actionMasked == MotionEvent.ACTION_MOVE) {
            val turn = PI.toFloat() / maxOf(width, 1)
            renderer.yaw += (event.x - lastX) * turn
            renderer.pitch = (renderer.pitch + (event.y - lastY) * turn).coerceIn(-STEEPEST, STEEPEST)
            requestRender()
        }
        lastX = event.x
        lastY = event.y
        return true
    }

    private companion object {
        const val STEEPEST = 1.2f
    }
}
