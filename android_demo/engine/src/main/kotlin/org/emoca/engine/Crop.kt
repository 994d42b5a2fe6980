package org.emoca.engine

import java.nio.FloatBuffer
import kotlin.math.floor

/** How a detector's box becomes the square that the encoders see (`crop` in the manifest). */
class CropRule(val size: Int = 224, val side: Double = 1.41, val down: Double = -0.025)

/**
 * The square of a picture that the encoders see, and its pixels. The square's corners lie on pixel 0 and `size - 1` of
 * the crop (`emoca_tf.faces.crop`).
 *
 * @param size side of the crop, pixels.
 */
class Crop(val size: Int = 224) {
    /** Left edge of the square, pixels of the picture. */
    var left = 0.0
        private set

    /** Top edge of the square, pixels of the picture. */
    var top = 0.0
        private set

    /** Side of the square, pixels of the picture. */
    var side = 1.0
        private set

    private val columns = IntArray(2 * size)
    private val columnWeights = FloatArray(2 * size)
    private val rows = IntArray(2 * size)
    private val rowWeights = FloatArray(2 * size)
    private val values = FloatArray(3 * size * size)

    /** The square with this centre. @throws IllegalArgumentException [side] is not positive, or a value not finite. */
    fun set(x: Double, y: Double, side: Double) {
        require(side > 0 && side.isFinite() && x.isFinite() && y.isFinite()) { "a crop at $x, $y with side $side" }
        left = x - side / 2
        top = y - side / 2
        this.side = side
    }

    fun set(other: Crop) {
        left = other.left
        top = other.top
        side = other.side
    }

    /** The square of a detected face. */
    fun fromBox(left: Double, top: Double, right: Double, bottom: Double, rule: CropRule) {
        val mean = (right - left + bottom - top) / 2
        set((left + right) / 2, (top + bottom) / 2 + rule.down * mean, mean * rule.side)
    }

    /**
     * The square round landmarks: 1.1 x 1.25 of the mean side of their box, whole pixels
     * (`emoca_tf.faces.crop.crop_from_landmarks`).
     *
     * @return false, and nothing changed, where the landmarks are too close together or not finite.
     */
    fun fromExtent(left: Double, top: Double, right: Double, bottom: Double): Boolean {
        val wanted = floor((right - left + bottom - top) / 2 * LANDMARK_MARGIN * INFERENCE_SCALE)
        if (!(wanted >= 1) || !wanted.isFinite() || !left.isFinite() || !top.isFinite()) return false
        set((left + right) / 2, (top + bottom) / 2, wanted)
        return true
    }

    /** Crop pixels to picture pixels. */
    fun toSourceX(x: Double) = left + x * side / (size - 1)

    fun toSourceY(y: Double) = top + y * side / (size - 1)

    /** Picture pixels to crop pixels. */
    fun toCropX(x: Double) = (x - left) * (size - 1) / side

    fun toCropY(y: Double) = (y - top) * (size - 1) / side

    /** Share of the square that lies inside a picture, 0..1. */
    fun shareInside(width: Int, height: Int): Double {
        val across = minOf(left + side, width - 1.0) - maxOf(left, 0.0)
        val down = minOf(top + side, height - 1.0) - maxOf(top, 0.0)
        return if (across <= 0 || down <= 0) 0.0 else across * down / (side * side)
    }

    /**
     * Cut the square out: bilinear, black outside.
     *
     * @param out receives `3 * size * size` values 0..1 from position 0.
     */
    fun cut(image: RgbImage, out: FloatBuffer) {
        taps(left, image.width, columns, columnWeights)
        taps(top, image.height, rows, rowWeights)
        val pixels = image.pixels
        var at = 0
        for (row in 0 until size) {
            val upper = 3 * rows[2 * row] * image.width
            val lower = 3 * rows[2 * row + 1] * image.width
            val upperWeight = rowWeights[2 * row]
            val lowerWeight = rowWeights[2 * row + 1]
            for (column in 0 until size) {
                val a = 3 * columns[2 * column]
                val b = 3 * columns[2 * column + 1]
                val wa = columnWeights[2 * column]
                val wb = columnWeights[2 * column + 1]
                for (channel in 0..2) {
                    val above = wa * (pixels[upper + a + channel].toInt() and 255) + wb * (pixels[upper + b + channel].toInt() and 255)
                    val below = wa * (pixels[lower + a + channel].toInt() and 255) + wb * (pixels[lower + b + channel].toInt() and 255)
                    values[at++] = (upperWeight * above + lowerWeight * below) / 255f
                }
            }
        }
        repeat(out)
    }

    /** The pixels of the last [cut] once more, for another network. */
    fun repeat(out: FloatBuffer) {
        out.seek(0)
        out.put(values)
        out.seek(0)
    }

    /** Two neighbours of every crop pixel along an axis, and their weights; 0 outside the picture. */
    private fun taps(start: Double, length: Int, index: IntArray, weights: FloatArray) {
        val step = side / (size - 1)
        for (pixel in 0 until size) {
            val position = start + pixel * step
            val low = floor(position)
            val t = (position - low).toFloat()
            tap(low, length, 1 - t, index, weights, 2 * pixel)
            tap(low + 1, length, t, index, weights, 2 * pixel + 1)
        }
    }

    private fun tap(position: Double, length: Int, weight: Float, index: IntArray, weights: FloatArray, at: Int) {
        val inside = position >= 0 && position < length
        index[at] = if (inside) position.toInt() else 0
        weights[at] = if (inside) weight else 0f
    }

    companion object {
        const val LANDMARK_MARGIN = 1.1
        const val INFERENCE_SCALE = 1.25
    }
}
