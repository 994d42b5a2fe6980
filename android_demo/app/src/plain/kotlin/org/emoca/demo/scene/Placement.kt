package org.emoca.demo.scene

/** A rectangle in pixels, y down. */
data class Area(val left: Int, val top: Int, val width: Int, val height: Int) {
    val right get() = left + width
    val bottom get() = top + height
}

/**
 * Where a picture and the head upon it land in a viewport: the picture covers the viewport, as long as no more than a
 * fifth of it is cut off, mostly below, where no face is; beyond that it leaves the sides free. The head stands where the
 * weak-perspective camera of the networks puts it. All results are OpenGL clip space.
 */
class Placement {
    /** Head space (metres) to clip space. */
    val head = FloatArray(16)

    /** Turns normals of the head the way it is turned on the screen, so that the light stays with the screen. */
    val turn = FloatArray(16).also(Mat4::identity)

    /** Unit square of the screen (0,0 top left) to texture coordinates of the sensor's picture, columns of a 3×3. */
    val picture = FloatArray(9)

    private val base = FloatArray(16)
    private var startX = 0f
    private var startY = 0f
    private var shareX = 1f
    private var shareY = 1f

    /**
     * Put the head over the camera picture.
     *
     * @param pictureWidth width of the upright picture, pixels; likewise [pictureHeight].
     * @param cropLeft left edge of the square that the networks saw, pixels of the upright picture; likewise [cropTop].
     * @param cropSide side of that square.
     * @param cam scale, tx, ty of the networks.
     * @param mirrored the picture is shown as in a mirror.
     */
    fun over(
        viewWidth: Int, viewHeight: Int, pictureWidth: Int, pictureHeight: Int,
        cropLeft: Float, cropTop: Float, cropSide: Float, cam: FloatArray, mirrored: Boolean,
    ) {
        fit(viewWidth, viewHeight, pictureWidth, pictureHeight)
        // Half of the crop network's picture in pixels of the photo: x_photo = left + (x + 1) half (Crop, corners on
        // 0 and 223, landmark pixels (x + 1) 112).
        val half = HALF_CROP * cropSide / CROP_LAST
        val unitsX = 2 / (shareX * pictureWidth)
        val unitsY = 2 / (shareY * pictureHeight)
        val scale = cam[0]
        val flip = if (mirrored) -1f else 1f
        val x = cropLeft + half * (1 + scale * cam[1]) - (startX + shareX / 2) * pictureWidth
        val y = cropTop + half * (1 - scale * cam[2]) - (startY + shareY / 2) * pictureHeight
        Mat4.scaleMove(
            head, flip * unitsX * half * scale, unitsY * half * scale, -DEPTH * scale, flip * unitsX * x, -unitsY * y, 0f,
        )
        Mat4.identity(turn)
        if (mirrored) turn[0] = -1f
    }

    /**
     * The head alone in the middle of the viewport.
     *
     * @param centre x, y, z of the middle of the head, metres.
     * @param height of the head, metres.
     * @param yaw turned by hand, radians; likewise [pitch].
     */
    fun alone(
        viewWidth: Int, viewHeight: Int, centre: FloatArray, height: Float, yaw: Float, pitch: Float, mirrored: Boolean,
    ) {
        val scale = 2 * FILL * minOf(viewWidth, viewHeight) / (height * viewHeight)
        val across = scale * viewHeight / viewWidth
        Mat4.turn(turn, yaw, pitch)
        if (mirrored) for (column in 0..2) turn[4 * column] *= -1f
        Mat4.scaleMove(base, across, scale, -DEPTH / height, 0f, 0f, 0f)
        Mat4.multiply(head, base, turn)
        for (row in 0..2) {
            head[12 + row] = -(head[row] * centre[0] + head[4 + row] * centre[1] + head[8 + row] * centre[2])
        }
    }

    /**
     * Texture coordinates for [picture]: the sensor's picture, upright. Outside of 0..1 there is none.
     *
     * @param sensorWidth of the picture as it lies in memory; likewise [sensorHeight].
     * @param rotation clockwise degrees that make it upright: 0, 90, 180 or 270.
     */
    fun texture(viewWidth: Int, viewHeight: Int, sensorWidth: Int, sensorHeight: Int, rotation: Int, mirrored: Boolean) {
        val swapped = rotation % 180 != 0
        val width = if (swapped) sensorHeight else sensorWidth
        val height = if (swapped) sensorWidth else sensorHeight
        fit(viewWidth, viewHeight, width, height)
        val firstX = if (mirrored) startX + shareX else startX
        val acrossX = if (mirrored) -shareX else shareX
        // upright (u, v) -> memory (s, t): 0: (u, v); 90: (v, 1 - u); 180: (1 - u, 1 - v); 270: (1 - v, u)
        when (rotation) {
            0 -> columns(acrossX, 0f, 0f, shareY, firstX, startY)
            90 -> columns(0f, -acrossX, shareY, 0f, startY, 1 - firstX)
            180 -> columns(-acrossX, 0f, 0f, -shareY, 1 - firstX, 1 - startY)
            270 -> columns(0f, acrossX, -shareY, 0f, 1 - startY, firstX)
            else -> throw IllegalArgumentException("a sensor is turned by 0, 90, 180 or 270 degrees, not $rotation")
        }
    }

    /** Which part of the upright picture the viewport shows, in shares of it. */
    private fun fit(viewWidth: Int, viewHeight: Int, pictureWidth: Int, pictureHeight: Int) {
        val across = viewWidth.toFloat() / pictureWidth
        val down = viewHeight.toFloat() / pictureHeight
        val scale = minOf(maxOf(across, down), minOf(across, down) / LEAST_SHOWN)
        shareX = across / scale
        shareY = down / scale
        startX = (1 - shareX) / 2
        startY = (1 - shareY) * (if (shareY < 1) CUT_ABOVE else 0.5f)
    }

    private fun columns(sx: Float, tx: Float, sy: Float, ty: Float, s: Float, t: Float) {
        picture[0] = sx; picture[1] = tx; picture[2] = 0f
        picture[3] = sy; picture[4] = ty; picture[5] = 0f
        picture[6] = s; picture[7] = t; picture[8] = 1f
    }

    private companion object {
        const val HALF_CROP = 112f
        const val CROP_LAST = 223f

        /** Depth per unit of image space: a head is about 2 units deep, so that it stays well within clip space. */
        const val DEPTH = 0.25f

        /** Share of the picture's width and height that is always shown. */
        const val LEAST_SHOWN = 0.8f

        /** Share of what is cut off that is cut off above. */
        const val CUT_ABOVE = 0.25f

        /** Share of the viewport's shorter side that a head alone takes. */
        const val FILL = 0.82f
    }
}
