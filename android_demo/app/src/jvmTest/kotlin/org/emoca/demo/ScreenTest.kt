package org.emoca.demo

import org.emoca.demo.scene.Area
import org.emoca.demo.screen.EmotionPanel
import org.emoca.demo.screen.Moment
import org.emoca.demo.screen.PanelState
import org.emoca.demo.screen.PanelWords
import org.emoca.demo.screen.Pencil
import org.emoca.demo.screen.ScreenLayout
import org.emoca.demo.screen.Side
import org.emoca.demo.screen.Situation
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

class ScreenTest {
    private val screens = listOf(720 to 1280, 1080 to 2340, 2340 to 1080, 1280 to 720, 1600 to 2560, 2560 to 1600)

    @Test fun nothingOverlapsAndButtonsCanBeHit() {
        for ((w, h) in screens) for (density in listOf(2f, 3f)) for (font in listOf(0.85f, 1f, 1.3f, 2f)) {
            if (minOf(w, h) / density < 320) continue // no phone is narrower
            val layout = ScreenLayout(w, h, density, font, 8)
            val areas = listOf(layout.picture, layout.message, layout.panel) + layout.buttons
            val name = "$w x $h at $density, text x $font"
            for ((i, a) in areas.withIndex()) {
                assertTrue(a.left >= 0 && a.top >= 0 && a.right <= w && a.bottom <= h, "$name: $a leaves the screen")
                for (b in areas.drop(i + 1)) assertFalse(overlap(a, b), "$name: $a and $b overlap")
            }
            for (button in layout.buttons) assertTrue(button.height >= 48 * density && button.width >= 48 * density, name)
            assertTrue(layout.picture.height >= 0.35f * h, name)
            assertTrue(layout.panel.height >= minOf(layout.panelWants.toFloat(), 1.5f * layout.textSize), "$name: ${layout.panel}")
        }
    }

    private fun overlap(a: Area, b: Area) =
        a.width > 0 && b.width > 0 && a.height > 0 && b.height > 0 &&
            a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom

    @Test fun thePanelStaysInsideItsSize() {
        for (width in listOf(300, 700, 1040)) for (text in listOf(28f, 56f, 84f)) {
            if (width < 10 * text) continue // 320 dp at twice the size of text are 11 times a letter
            val height = EmotionPanel.height(width, 2f, text)
            val state = state().apply { seen = true; milliseconds = 12f; backend = "CPU without XNNPACK × 4"; valence = 1f; arousal = -1f }
            state.shares[1] = 1f
            var drawn = 0
            EmotionPanel.draw(object : Pencil {
                private fun inside(x: Float, y: Float) {
                    drawn++
                    assertTrue(x >= -1 && x <= width + 1 && y >= -1 && y <= height + 1, "$x, $y of $width x $height")
                }

                override fun bar(left: Float, top: Float, right: Float, bottom: Float, round: Float, colour: Int) {
                    inside(left, top)
                    inside(right, bottom)
                }

                override fun line(fromX: Float, fromY: Float, toX: Float, toY: Float, thick: Float, colour: Int) {
                    inside(fromX, fromY)
                    inside(toX, toY)
                }

                override fun dot(x: Float, y: Float, radius: Float, colour: Int) = inside(x, y)

                override fun text(text: String, x: Float, y: Float, size: Float, colour: Int, side: Side) {
                    inside(x, y)
                    if (side == Side.LEFT) inside(x + 0.6f * size * text.length, y)
                }
            }, state, width, 2f, text)
            assertTrue(drawn > 40)
        }
    }

    private fun state() = PanelState(
        listOf("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt"),
        PanelWords("p", "n", "c", "e", "%1\$.0f ms a frame · %2\$s"),
    )

    @Test fun theSentenceSaysWhatMattersMost() {
        val moment = Moment()
        assertEquals(Situation.STARTING, moment.situation())
        moment.faces = 0
        assertEquals(Situation.NO_FACE, moment.situation())
        moment.dark = true
        assertEquals(Situation.TOO_DARK, moment.situation())
        moment.faces = 3
        moment.following = true
        assertEquals(Situation.SEVERAL_FACES, moment.situation())
        moment.calibrating = true
        assertEquals(Situation.CALIBRATING, moment.situation())
        moment.paused = true
        assertEquals(Situation.PAUSED, moment.situation())
        moment.obstacle = Situation.CAMERA_BUSY
        assertEquals(Situation.CAMERA_BUSY, moment.situation())
        assertTrue(Situation.CAMERA_BUSY.stops && !Situation.NO_FACE.stops)
    }
}
