package org.emoca.engine

/**
 * A person's own resting face: the networks see a slight expression in most faces at rest, which is measured over some
 * frames (the median of every axis, so that a blink does not count) and then taken off.
 *
 * @param expressionSize axes of the expression.
 * @param range bounds of the axes, or null.
 */
class NeutralCalibration(private val expressionSize: Int, private val range: List<Pair<Float, Float>>?) {
    /** Expression, jaw, eyelids. */
    private val size = expressionSize + JAW + EYELID
    private val low = FloatArray(expressionSize) { range?.get(it)?.first ?: Float.NEGATIVE_INFINITY }
    private val high = FloatArray(expressionSize) { range?.get(it)?.second ?: Float.POSITIVE_INFINITY }
    private var seen = Array(0) { FloatArray(0) }
    private var count = 0

    /** The resting face: expression, jaw, eyelids; null before a calibration. May be stored and set again. */
    var baseline: FloatArray? = null
        private set

    /** Whether frames are being collected. */
    val running: Boolean get() = count < seen.size

    /** Share of the frames that have been collected, 0..1. */
    val progress: Float get() = if (seen.isEmpty()) 0f else count.toFloat() / seen.size

    /**
     * Begin: the next [frames] frames show the face at rest. The old baseline is dropped.
     *
     * @throws IllegalArgumentException no frames, or more than a minute of them.
     */
    fun start(frames: Int = 20) {
        require(frames in 1..MAX_FRAMES) { "a calibration takes 1 to $MAX_FRAMES frames, not $frames" }
        baseline = null
        count = 0
        seen = Array(frames) { FloatArray(size) }
    }

    /** Forget the baseline, and a calibration that is running. */
    fun clear() {
        baseline = null
        count = 0
        seen = Array(0) { FloatArray(0) }
    }

    /** Use a stored baseline. @throws IllegalArgumentException it belongs to another head, or is not finite. */
    fun restore(stored: FloatArray) {
        require(stored.size == size && stored.all { it.isFinite() }) { "a resting face of ${stored.size} values instead of $size" }
        clear()
        baseline = stored.copyOf()
    }

    /** Collect the codes of a frame while [running]. */
    fun observe(codes: Codes) {
        if (!running) return
        val row = seen[count++]
        System.arraycopy(codes.exp, 0, row, 0, expressionSize)
        System.arraycopy(codes.pose, JAW, row, expressionSize, JAW)
        System.arraycopy(codes.eyelid, 0, row, expressionSize + JAW, EYELID)
        if (!running) finish()
    }

    /** Take the baseline off, within the axes' bounds. */
    fun apply(codes: Codes) {
        val rest = baseline ?: return
        for (i in 0 until expressionSize) codes.exp[i] = (codes.exp[i] - rest[i]).coerceIn(low[i], high[i])
        for (i in 0 until JAW) codes.pose[JAW + i] -= rest[expressionSize + i]
        for (i in 0 until EYELID) codes.eyelid[i] = (codes.eyelid[i] - rest[expressionSize + JAW + i]).coerceIn(0f, 1f)
    }

    private fun finish() {
        val column = FloatArray(seen.size)
        baseline = FloatArray(size) { axis ->
            for (frame in seen.indices) column[frame] = seen[frame][axis]
            column.sort()
            (column[(column.size - 1) / 2] + column[column.size / 2]) / 2
        }
        seen = Array(0) { FloatArray(0) }
        count = 0
    }

    private companion object {
        const val JAW = 3
        const val EYELID = 2
        const val MAX_FRAMES = 1800
    }
}
