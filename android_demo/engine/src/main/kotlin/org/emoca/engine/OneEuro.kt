package org.emoca.engine

import kotlin.math.PI
import kotlin.math.abs
import kotlin.math.sqrt

/**
 * How strongly a One-Euro filter smooths.
 *
 * @param minCutoff Hz at rest: lower is calmer.
 * @param beta Hz per unit and second of movement: higher follows faster.
 * @param speedCutoff Hz at which the speed itself is smoothed.
 */
class Smoothing(val minCutoff: Double, val beta: Double, val speedCutoff: Double = 1.0) {
    init {
        require(minCutoff > 0 && beta >= 0 && speedCutoff > 0) { "smoothing needs positive frequencies" }
    }
}

/**
 * The One-Euro filter (Casiez, Roussel, Vogel: "1 € Filter", CHI 2012) over the components of a vector, each with its
 * own speed. The first value after [reset] passes unchanged.
 */
class OneEuro(val size: Int, private val smoothing: Smoothing) {
    private val value = DoubleArray(size)
    private val speed = DoubleArray(size)
    private var last = Double.NaN

    /** Forget everything: the next value is the first. */
    fun reset() {
        last = Double.NaN
    }

    /** Whether a value has passed since [reset]. */
    val started: Boolean get() = !last.isNaN()

    /** The last filtered value of a component. */
    fun last(component: Int): Double = value[component]

    /**
     * Smooth a vector in place. A time that does not advance counts as 1 ms later.
     *
     * @param seconds when it was measured.
     */
    fun filter(values: FloatArray, offset: Int, seconds: Double) {
        if (!started) {
            for (i in 0 until size) {
                value[i] = values[offset + i].toDouble()
                speed[i] = 0.0
            }
            last = seconds
            return
        }
        val step = maxOf(seconds - last, MIN_STEP)
        last = seconds
        val speedShare = share(smoothing.speedCutoff, step)
        for (i in 0 until size) {
            val wanted = values[offset + i].toDouble()
            speed[i] += speedShare * ((wanted - value[i]) / step - speed[i])
            value[i] += share(smoothing.minCutoff + smoothing.beta * abs(speed[i]), step) * (wanted - value[i])
            values[offset + i] = value[i].toFloat()
        }
    }

    /** How much of a new value is taken: a low pass of [cutoff] Hz at steps of [step] seconds. */
    private fun share(cutoff: Double, step: Double): Double {
        val turn = 2 * PI * cutoff * step
        return turn / (1 + turn)
    }

    companion object {
        private const val MIN_STEP = 1e-3

        /**
         * Write a rotation as the axis-angle vector that lies nearest to another one: a turn of nearly 180 degrees may
         * flip its sign from frame to frame, which no filter must average.
         *
         * @param values axis-angle at [offset], changed in place.
         */
        fun nearestTurn(values: FloatArray, offset: Int, x: Double, y: Double, z: Double) {
            val a = values[offset].toDouble()
            val b = values[offset + 1].toDouble()
            val c = values[offset + 2].toDouble()
            val angle = sqrt(a * a + b * b + c * c)
            if (!(angle > 1e-6)) return
            var best = 0.0
            var nearest = distance(a - x, b - y, c - z)
            for (turns in -1..1 step 2) {
                val factor = 1 + turns * 2 * PI / angle
                val found = distance(a * factor - x, b * factor - y, c * factor - z)
                if (found < nearest) {
                    nearest = found
                    best = turns * 2 * PI / angle
                }
            }
            values[offset] = (a * (1 + best)).toFloat()
            values[offset + 1] = (b * (1 + best)).toFloat()
            values[offset + 2] = (c * (1 + best)).toFloat()
        }

        private fun distance(x: Double, y: Double, z: Double) = x * x + y * y + z * z
    }
}
