package org.emoca.demo.screen

/** Something to draw with: a phone's canvas, or a picture on a desktop. Colours are `0xAARRGGBB`. */
interface Pencil {
    fun bar(left: Float, top: Float, right: Float, bottom: Float, round: Float, colour: Int)

    fun line(fromX: Float, fromY: Float, toX: Float, toY: Float, thick: Float, colour: Int)

    fun dot(x: Float, y: Float, radius: Float, colour: Int)

    /** Text whose left (or right, or middle) end is at [x] and whose base line is at [y]. */
    fun text(text: String, x: Float, y: Float, size: Float, colour: Int, side: Side)
}

enum class Side { LEFT, MIDDLE, RIGHT }

/** What the panel shows; reused for every frame. [shares] are in the order of [names]. */
class PanelState(val names: List<String>, val words: PanelWords) {
    val shares = FloatArray(names.size)
    var valence = 0f
    var arousal = 0f

    /** False while there is no face: the bars are empty and no dot is drawn. */
    var seen = false
    var milliseconds = 0f
    var backend = ""

    /** Index of the largest share. */
    val strongest: Int
        get() {
            var best = 0
            for (i in shares.indices) if (shares[i] > shares[best]) best = i
            return best
        }
}

/** Words of the panel in the person's language. */
class PanelWords(
    val positive: String, val negative: String, val calm: String, val excited: String,
    /** With `%1$.0f` for milliseconds and `%2$s` for the backend. */
    val timing: String,
)

/** The bars of the eight expressions beside the plane of valence and arousal, and a line of timing below. */
object EmotionPanel {
    private const val LINE = 1.5f
    private const val NAME_EMS = 5.6f
    private const val NARROW_EMS = 21f
    private const val PLANE_EMS = 9.5f
    private const val PERCENT_EMS = 3.1f
    private const val ROWS = 8
    private const val CJK = 0x2E80
    private const val LATIN_EMS = 0.6
    const val INK = 0xFFE9EDF2.toInt()
    const val FAINT = 0xFF9AA6B4.toInt()
    const val TRACK = 0xFF2C343F.toInt()
    const val ACCENT = 0xFF5BC0BE.toInt()
    const val STRONG = 0xFFFFB454.toInt()

    /** Bars and plane side by side need this much room; with less, the plane goes below. */
    private fun narrow(width: Int, textSize: Float) = width < NARROW_EMS * textSize

    private fun planeSide(width: Int, textSize: Float): Float =
        minOf(width.toFloat(), PLANE_EMS * textSize)

    /** Height in pixels that [draw] needs. */
    fun height(width: Int, density: Float, textSize: Float): Int {
        val rows = ROWS * LINE * textSize
        val below = if (narrow(width, textSize)) planeSide(width, textSize) + LINE * textSize else 0f
        return (rows + below + 1.2f * LINE * textSize + 8 * density).toInt()
    }

    fun draw(pencil: Pencil, state: PanelState, width: Int, density: Float, textSize: Float) {
        val small = narrow(width, textSize)
        val side = planeSide(width, textSize)
        val barsWide = if (small) width.toFloat() else width - side - textSize
        bars(pencil, state, barsWide, density, textSize)
        val rows = ROWS * LINE * textSize
        if (small) {
            plane(pencil, state, (width - side) / 2, rows + 0.4f * textSize, side, density, textSize)
        } else {
            plane(pencil, state, width - side, (rows - side) / 2, side, density, textSize)
        }
        if (state.milliseconds > 0) {
            val text = String.format(java.util.Locale.ROOT, state.words.timing, state.milliseconds, state.backend)
            val base = height(width, density, textSize) - 6 * density
            pencil.text(text, 0f, base, minOf(0.92f * textSize, width / ems(text)), FAINT, Side.LEFT)
        }
    }

    /** Width of a text in units of its size, rather too large: Latin letters are half as wide as Japanese ones. */
    private fun ems(text: String): Float = text.sumOf { if (it.code < CJK) LATIN_EMS else 1.0 }.toFloat()

    private fun bars(pencil: Pencil, state: PanelState, width: Float, density: Float, textSize: Float) {
        val from = NAME_EMS * textSize
        val to = width - PERCENT_EMS * textSize
        val best = state.strongest
        for (i in state.names.indices) {
            val base = i * LINE * textSize + 1.1f * textSize
            val share = if (state.seen) state.shares[i].coerceIn(0f, 1f) else 0f
            val first = state.seen && i == best
            pencil.text(state.names[i], 0f, base, textSize, if (first) INK else FAINT, Side.LEFT)
            val top = base - 0.72f * textSize
            val bottom = base + 0.06f * textSize
            pencil.bar(from, top, to, bottom, 3 * density, TRACK)
            if (share > 0) {
                val end = from + maxOf(share * (to - from), 2 * density)
                pencil.bar(from, top, end, bottom, 3 * density, if (first) STRONG else ACCENT)
            }
            if (state.seen) {
                pencil.text("${(100 * share + 0.5f).toInt()} %", width, base, 0.86f * textSize, FAINT, Side.RIGHT)
            }
        }
    }

    private fun plane(
        pencil: Pencil, state: PanelState, left: Float, top: Float, side: Float, density: Float, textSize: Float,
    ) {
        val label = 0.78f * textSize
        val inset = 1.25f * label
        val middleX = left + side / 2
        val middleY = top + side / 2
        pencil.bar(left, top + inset, left + side, top + side - inset, 6 * density, TRACK)
        pencil.line(left + 4 * density, middleY, left + side - 4 * density, middleY, density, FAINT)
        pencil.line(middleX, top + inset + 4 * density, middleX, top + side - inset - 4 * density, density, FAINT)
        pencil.text(state.words.excited, middleX, top + 0.9f * label, label, FAINT, Side.MIDDLE)
        pencil.text(state.words.calm, middleX, top + side - 0.2f * label, label, FAINT, Side.MIDDLE)
        pencil.text(state.words.negative, left + 4 * density, middleY - 0.4f * label, label, FAINT, Side.LEFT)
        pencil.text(state.words.positive, left + side - 4 * density, middleY - 0.4f * label, label, FAINT, Side.RIGHT)
        if (state.seen) {
            val reach = side / 2 - inset - 6 * density
            val x = middleX + state.valence.coerceIn(-1f, 1f) * (side / 2 - 8 * density)
            val y = middleY - state.arousal.coerceIn(-1f, 1f) * reach
            pencil.dot(x, y, 6 * density, STRONG)
        }
    }
}
