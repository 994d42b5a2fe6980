package org.emoca.engine

import java.nio.FloatBuffer
import kotlin.math.ceil
import kotlin.math.floor
import kotlin.math.max
import kotlin.math.min

/**
 * The detector's input: a picture or a window of it, black borders to a square, scaled to [size] x [size], -1..1.
 *
 * Shrinking averages areas and growing is bilinear, both rounded to whole levels: what
 * `emoca_tf.faces.blazeface.prepare` does with OpenCV's `INTER_AREA` and `INTER_LINEAR`.
 *
 * @param size side of the network's input, pixels.
 */
class DetectorInput(val size: Int = BlazeFace.SIZE) {
    /** Side of the last square, pixels of the picture. */
    var side = 0
        private set

    /** Left edge of the last square in the picture; negative where there is a border. */
    var left = 0
        private set

    /** Top edge of the last square in the picture. */
    var top = 0
        private set

    // Source positions and weights of output position o are taps first[o] until first[o + 1].
    private val first = IntArray(size + 1)
    private var index = IntArray(0)
    private var weight = FloatArray(0)
    private var tapsFor = 0
    private val line = FloatArray(3 * size)
    private val sums = FloatArray(3 * size)
    private val values = FloatArray(3 * size * size)

    /**
     * Prepare the window `x, y, width, height` of a picture.
     *
     * @param out receives `3 * size * size` values from position 0.
     * @throws IllegalArgumentException the window is empty or leaves the picture.
     */
    fun prepare(image: RgbImage, x: Int, y: Int, width: Int, height: Int, out: FloatBuffer) {
        require(x >= 0 && y >= 0 && width > 0 && height > 0 && x <= image.width - width && y <= image.height - height) {
            "the window $x, $y, $width x $height leaves the picture of ${image.width} x ${image.height}"
        }
        side = max(width, height)
        val borderX = (side - width) / 2
        val borderY = (side - height) / 2
        left = x - borderX
        top = y - borderY
        if (tapsFor != side) taps()
        for (row in 0 until size) {
            sums.fill(0f)
            for (tap in first[row] until first[row + 1]) {
                val source = index[tap] - borderY
                if (source < 0 || source >= height) continue
                shrinkRow(image, x, y + source, width, borderX)
                val share = weight[tap]
                for (i in line.indices) sums[i] += share * line[i]
            }
            val at = row * line.size
            for (i in line.indices) values[at + i] = round(sums[i]) / 127.5f - 1f
        }
        out.seek(0)
        out.put(values)
        out.seek(0)
    }

    private fun shrinkRow(image: RgbImage, x: Int, y: Int, width: Int, border: Int) {
        val pixels = image.pixels
        val start = 3 * (y * image.width + x)
        for (column in 0 until size) {
            var red = 0f
            var green = 0f
            var blue = 0f
            for (tap in first[column] until first[column + 1]) {
                val source = index[tap] - border
                if (source < 0 || source >= width) continue
                val share = weight[tap]
                val at = start + 3 * source
                red += share * (pixels[at].toInt() and 255)
                green += share * (pixels[at + 1].toInt() and 255)
                blue += share * (pixels[at + 2].toInt() and 255)
            }
            line[3 * column] = red
            line[3 * column + 1] = green
            line[3 * column + 2] = blue
        }
    }

    /** To the nearest level; halves to even, but up where 2 x 2 pixels are averaged (as OpenCV does). */
    private fun round(value: Float): Float {
        if (side == 2 * size) return floor(value + 0.5f)
        return min(max(Math.rint(value.toDouble()).toFloat(), 0f), 255f)
    }

    private fun taps() {
        val most = if (side > size) side + 2 * size else 2 * size
        if (index.size < most) {
            index = IntArray(most)
            weight = FloatArray(most)
        }
        var count = 0
        for (output in 0 until size) {
            first[output] = count
            count = if (side > size) areaTaps(output, count) else linearTaps(output, count)
        }
        first[size] = count
        tapsFor = side
    }

    private fun areaTaps(output: Int, from: Int): Int {
        val scale = side.toDouble() / size
        val low = output * scale
        val high = min(low + scale, side.toDouble())
        var at = from
        for (source in floor(low).toInt() until min(ceil(high).toInt(), side)) {
            val shared = min(source + 1.0, high) - max(source.toDouble(), low)
            if (shared <= SLIVER) continue
            index[at] = source
            weight[at++] = (shared / (high - low)).toFloat()
        }
        return at
    }

    private fun linearTaps(output: Int, from: Int): Int {
        val position = (output + 0.5) * side / size - 0.5
        val low = floor(position).toInt()
        val t = (position - low).toFloat()
        index[from] = low.coerceIn(0, side - 1)
        weight[from] = 1 - t
        index[from + 1] = (low + 1).coerceIn(0, side - 1)
        weight[from + 1] = t
        return from + 2
    }

    private companion object {
        /** Shares of a pixel below this are rounding noise of the scale. */
        const val SLIVER = 1e-3
    }
}
