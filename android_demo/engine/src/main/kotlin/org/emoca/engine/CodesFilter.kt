package org.emoca.engine

/** Smoothing of every kind of value, tuned by hand for 15 to 30 frames a second; [OFF] changes nothing. */
class FilterSettings(
    val enabled: Boolean = true,
    val shape: Smoothing = Smoothing(0.3, 0.0),
    val expression: Smoothing = Smoothing(1.5, 2.0),
    val pose: Smoothing = Smoothing(1.0, 4.0),
    /** Of the head's place and size, in units of the picture's longer side. */
    val place: Smoothing = Smoothing(1.0, 20.0),
    val emotion: Smoothing = Smoothing(1.0, 0.5),
) {
    companion object {
        val OFF = FilterSettings(enabled = false)
    }
}

/**
 * One-Euro filters over the codes of one person. The camera is smoothed in the picture, not in the crop, since the crop
 * itself moves from frame to frame.
 */
class CodesFilter(codes: Codes, private val settings: FilterSettings) {
    private val shape = OneEuro(codes.shape.size, settings.shape)
    private val tex = OneEuro(codes.tex.size, settings.shape)
    private val exp = OneEuro(codes.exp.size, settings.expression)
    private val eyelid = OneEuro(codes.eyelid.size, settings.expression)
    private val jaw = OneEuro(3, settings.expression)
    private val turn = OneEuro(3, settings.pose)
    private val light = OneEuro(codes.light.size, settings.shape)
    private val place = OneEuro(3, settings.place)
    private val placed = FloatArray(3)

    /** Another person, or the face was lost. */
    fun reset() {
        shape.reset()
        tex.reset()
        exp.reset()
        eyelid.reset()
        jaw.reset()
        turn.reset()
        light.reset()
        place.reset()
    }

    /**
     * Smooth in place.
     *
     * @param crop which the camera refers to.
     * @param unit the picture's longer side, pixels.
     */
    fun filter(codes: Codes, crop: Crop, unit: Double, seconds: Double) {
        if (!settings.enabled) return
        shape.filter(codes.shape, 0, seconds)
        tex.filter(codes.tex, 0, seconds)
        exp.filter(codes.exp, 0, seconds)
        eyelid.filter(codes.eyelid, 0, seconds)
        light.filter(codes.light, 0, seconds)
        jaw.filter(codes.pose, 3, seconds)
        if (turn.started) OneEuro.nearestTurn(codes.pose, 0, turn.last(0), turn.last(1), turn.last(2))
        turn.filter(codes.pose, 0, seconds)
        filterCamera(codes.cam, crop, unit, seconds)
    }

    private fun filterCamera(cam: FloatArray, crop: Crop, unit: Double, seconds: Double) {
        val camera = PictureCamera
        val half = camera.half(crop) / unit
        placed[0] = (cam[0] * half).toFloat()
        placed[1] = (camera.originX(cam, crop) / unit).toFloat()
        placed[2] = (camera.originY(cam, crop) / unit).toFloat()
        place.filter(placed, 0, seconds)
        if (placed[0] == 0f) return
        cam[0] = (placed[0] / half).toFloat()
        cam[1] = (camera.imageX(placed[1] * unit, crop) / cam[0]).toFloat()
        cam[2] = (-camera.imageY(placed[2] * unit, crop) / cam[0]).toFloat()
    }
}

/** Between the camera's image space, [-1, 1] of the crop with crop pixels `(x + 1) size / 2`, and pixels of the picture. */
internal object PictureCamera {
    /** Pixels of the picture per unit of image space. */
    fun half(crop: Crop): Double = crop.size / 2.0 * crop.side / (crop.size - 1)

    fun pictureX(image: Double, crop: Crop): Double = crop.toSourceX((image + 1) * crop.size / 2)

    fun pictureY(image: Double, crop: Crop): Double = crop.toSourceY((image + 1) * crop.size / 2)

    fun imageX(picture: Double, crop: Crop): Double = crop.toCropX(picture) * 2 / crop.size - 1

    fun imageY(picture: Double, crop: Crop): Double = crop.toCropY(picture) * 2 / crop.size - 1

    /** Where the head's origin lies in the picture. */
    fun originX(cam: FloatArray, crop: Crop): Double = pictureX(cam[0].toDouble() * cam[1], crop)

    fun originY(cam: FloatArray, crop: Crop): Double = pictureY(-cam[0].toDouble() * cam[2], crop)
}
