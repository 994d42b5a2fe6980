package org.emoca.demo.screen

import org.emoca.demo.scene.Area

/**
 * Where everything lies on the screen, for any size, density and size of text. Pure arithmetic: the app's view group
 * asks it, and so does the script that draws the picture of the layout.
 *
 * Upright: picture above, then the message line, the emotion panel and the buttons. Lying: picture left, the rest
 * right. Buttons are at least 48 dp high and keep their place, lower where large text leaves little room; the panel
 * scrolls when it is too long.
 *
 * @param width of the screen without the system's bars, pixels; likewise [height].
 * @param density pixels a dp.
 * @param fontScale the person's size of text, 1 = normal.
 * @param buttons how many there are.
 */
class ScreenLayout(val width: Int, val height: Int, val density: Float, val fontScale: Float, buttons: Int) {
    val picture: Area
    val message: Area
    val panel: Area
    val buttons: List<Area>

    /** Height that the panel wants; more than `panel.height` means that it scrolls. */
    val panelWants: Int

    val textSize = 14 * density * fontScale
    private val gap = dp(8)

    init {
        val lying = width > height
        val column = if (lying) Area(width - sideWidth(), 0, sideWidth(), height) else Area(0, 0, width, height)
        panelWants = EmotionPanel.height(column.width - 2 * gap, density, textSize)
        val messageHeight = (MESSAGE_LINES * LINE * textSize).toInt() + gap
        val grid = grid(column.width, buttons)
        val rows = (buttons + grid - 1) / grid
        fun bar(buttonHeight: Int) = rows * (buttonHeight + gap / 2) + gap / 2
        val others = messageHeight + ((if (lying) LEAST_PANEL else LEAST_PANEL + LEAST_PICTURE) * height).toInt()
        val roomy = buttonHeight(TWO_LINES)
        val buttonHeight = if (bar(roomy) + others <= height) roomy else buttonHeight(ONE_LINE)
        val bar = bar(buttonHeight)
        if (lying) {
            picture = Area(0, 0, column.left, height)
            message = Area(column.left + gap, 0, column.width - 2 * gap, messageHeight)
        } else {
            val left = height - bar - messageHeight - panelWants
            val pictureHeight = left.coerceIn((LEAST_PICTURE * height).toInt(), (MOST_PICTURE * height).toInt())
            picture = Area(0, 0, width, pictureHeight)
            message = Area(gap, pictureHeight, width - 2 * gap, messageHeight)
        }
        val panelHeight = minOf(panelWants, maxOf(0, height - bar - message.bottom))
        panel = Area(message.left, message.bottom, message.width, panelHeight)
        this.buttons = List(buttons) { cell(it, grid, column, height - bar, buttonHeight) }
    }

    fun dp(value: Int): Int = (value * density + 0.5f).toInt()

    private fun buttonHeight(lines: Float) = maxOf(dp(MIN_TOUCH), (lines * LINE * textSize).toInt())

    private fun sideWidth(): Int = minOf((0.46f * width).toInt(), maxOf(dp(320), (0.34f * width).toInt()))

    /** Columns of buttons: as many as leave room for a word of the person's size of text. */
    private fun grid(room: Int, buttons: Int): Int =
        (room / (WORD * textSize)).toInt().coerceIn(2, minOf(MOST_COLUMNS, buttons))

    private fun cell(index: Int, grid: Int, column: Area, top: Int, high: Int): Area {
        val wide = (column.width - gap / 2) / grid
        val left = column.left + gap / 2 + index % grid * wide
        return Area(left, top + gap / 2 + index / grid * (high + gap / 2), wide - gap / 2, high)
    }

    private companion object {
        const val MIN_TOUCH = 48
        const val MOST_COLUMNS = 4
        const val WORD = 6.4f
        const val LINE = 1.35f
        const val MESSAGE_LINES = 2
        const val ONE_LINE = 1.4f
        const val TWO_LINES = 2.1f
        const val LEAST_PANEL = 0.12f
        const val LEAST_PICTURE = 0.36f
        const val MOST_PICTURE = 0.62f
    }
}
