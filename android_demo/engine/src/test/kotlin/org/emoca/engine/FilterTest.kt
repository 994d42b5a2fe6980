package org.emoca.engine

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

class FilterTest {
    private val still = Smoothing(0.5, 0.0)

    @Test
    fun `a head that stands still does not move with its crop`() {
        val codes = Codes(3, 3, 3)
        val crop = Crop()
        val filter = CodesFilter(codes, FilterSettings(place = still))
        var x = 0.0
        for (frame in 0 until 40) {
            crop.set(300.0 + 10 * (frame % 3), 200.0 - 7 * (frame % 2), 150.0 + 5 * (frame % 4)) // only the crop jumps
            val half = PictureCamera.half(crop)
            codes.cam[0] = (900 / half).toFloat()
            codes.cam[1] = (PictureCamera.imageX(310.0, crop) / codes.cam[0]).toFloat()
            codes.cam[2] = (-PictureCamera.imageY(190.0, crop) / codes.cam[0]).toFloat()
            filter.filter(codes, crop, 640.0, frame / 30.0)
            x = PictureCamera.originX(codes.cam, crop)
            assertEquals(310.0, x, 0.01)
            assertEquals(190.0, PictureCamera.originY(codes.cam, crop), 0.01)
            assertEquals(900.0, codes.cam[0] * half, 0.05)
        }
    }

    @Test
    fun `noise is calmed`() {
        val codes = Codes(3, 3, 1)
        val crop = Crop().also { it.set(300.0, 200.0, 150.0) }
        val filter = CodesFilter(codes, FilterSettings())
        val random = java.util.Random(3)
        var raw = 0.0
        var smooth = 0.0
        for (frame in 0 until 300) {
            codes.cam[0] = 8f
            val noise = 0.02 * random.nextGaussian()
            codes.exp[0] = (0.4 + noise).toFloat()
            filter.filter(codes, crop, 640.0, frame / 30.0)
            if (frame > 30) {
                raw += noise * noise
                smooth += (codes.exp[0] - 0.4) * (codes.exp[0] - 0.4)
            }
        }
        assertTrue(smooth < 0.35 * raw) { "variance falls only to ${smooth / raw}" }
    }
}
