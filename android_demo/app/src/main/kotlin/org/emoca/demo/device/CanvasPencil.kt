package org.emoca.demo.device

import android.graphics.Canvas
import android.graphics.Paint
import org.emoca.demo.screen.Pencil
import org.emoca.demo.screen.Side

/** Draws on an Android canvas; its paint is taken once. */
class CanvasPencil : Pencil {
    var canvas: Canvas? = null
    private val paint = Paint(Paint.ANTI_ALIAS_FLAG)

    override fun bar(left: Float, top: Float, right: Float, bottom: Float, round: Float, colour: Int) {
        canvas?.drawRoundRect(left, top, right, bottom, round, round, with(colour))
    }

    override fun line(fromX: Float, fromY: Float, toX: Float, toY: Float, thick: Float, colour: Int) {
        paint.strokeWidth = thick
        canvas?.drawLine(fromX, fromY, toX, toY, with(colour))
    }

    override fun dot(x: Float, y: Float, radius: Float, colour: Int) {
        canvas?.drawCircle(x, y, radius, with(colour))
    }

    override fun text(text: String, x: Float, y: Float, size: Float, colour: Int, side: Side) {
        paint.textSize = size
        paint.textAlign = when (side) {
            Side.LEFT -> Paint.Align.LEFT
            Side.MIDDLE -> Paint.Align.CENTER
            Side.RIGHT -> Paint.Align.RIGHT
        }
        canvas?.drawText(text, x, y, with(colour))
    }

    private fun with(colour: Int): Paint = paint.apply { color = colour }
}
