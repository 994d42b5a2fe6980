package org.emoca.demo.live

import org.emoca.engine.YuvFrame
import java.nio.ByteBuffer

/**
 * One picture of the camera, planes without gaps, in memory that is taken once.
 *
 * @param width of the picture as the sensor gives it, even; likewise [height].
 */
class CameraFrame(val width: Int, val height: Int) {
    val luma = ByteArray(width * height)
    val blue = ByteArray(width / 2 * (height / 2))
    val red = ByteArray(blue.size)

    /** Views of the same bytes, for the graphics driver. */
    val lumaView: ByteBuffer = ByteBuffer.wrap(luma)
    val blueView: ByteBuffer = ByteBuffer.wrap(blue)
    val redView: ByteBuffer = ByteBuffer.wrap(red)

    /** Clockwise degrees that make the picture upright. */
    var rotation = 0

    /** Shown as in a mirror (front camera). */
    var mirrored = false

    /** Camera's clock, nanoseconds. */
    var timestamp = 0L

    val uprightWidth get() = if (rotation % 180 == 0) width else height
    val uprightHeight get() = if (rotation % 180 == 0) height else width

    /** Mean of every 61st pixel's luma, 0..255. */
    fun brightness(): Int {
        var sum = 0
        for (at in luma.indices step SAMPLED) sum += luma[at].toInt() and 0xff
        return sum / ((luma.size + SAMPLED - 1) / SAMPLED)
    }

    /** Become a copy of a frame of the same size. */
    fun set(other: CameraFrame) {
        System.arraycopy(other.luma, 0, luma, 0, luma.size)
        System.arraycopy(other.blue, 0, blue, 0, blue.size)
        System.arraycopy(other.red, 0, red, 0, red.size)
        rotation = other.rotation
        mirrored = other.mirrored
        timestamp = other.timestamp
    }

    /** Let the engine look at these planes. */
    fun pointAt(holder: YuvFrame): YuvFrame {
        val half = width / 2
        return holder.set(width, height, lumaView, width, 1, blueView, redView, half, 1)
    }

    private companion object {
        /** No divisor of usual widths, so that samples do not stand in columns. */
        const val SAMPLED = 61
    }
}

/**
 * Copies a camera's plane, which may have gaps between rows and between values, into an array without gaps.
 * Keeps one row of its own, so that nothing is allocated for a frame.
 */
class PlaneCopier {
    private var row = ByteArray(0)

    /**
     * @param source the plane from its first byte; the last row may end with its last value.
     * @param rowStride bytes from row to row.
     * @param pixelStride bytes from value to value.
     * @throws IllegalArgumentException the plane is smaller than it must be.
     */
    fun copy(source: ByteBuffer, rowStride: Int, pixelStride: Int, target: ByteArray, width: Int, height: Int) {
        val used = (width - 1) * pixelStride + 1
        require(rowStride >= used && source.limit() >= (height - 1) * rowStride + used) {
            "a plane of ${source.limit()} bytes is too small for $width x $height at $rowStride and $pixelStride"
        }
        if (row.size < used) row = ByteArray(used)
        for (y in 0 until height) {
            source.position(y * rowStride)
            if (pixelStride == 1) {
                source.get(target, y * width, width)
            } else {
                source.get(row, 0, used)
                for (x in 0 until width) target[y * width + x] = row[x * pixelStride]
            }
        }
    }
}
