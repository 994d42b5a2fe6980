package org.emoca.engine

import java.nio.ByteBuffer

/**
 * Camera frames to upright RGB pictures: colours, crop rectangle, rotation and mirror in one pass.
 *
 * Colours follow JFIF (BT.601 at full range), which Android's cameras write into `YUV_420_888`; every colour sample is
 * used for its 2 x 2 pixels. Rows are copied in bulk, since reading a direct buffer byte by byte is slow on a phone.
 */
class YuvConverter {
    private var yRow = ByteArray(0)
    private var uRow = ByteArray(0)
    private var vRow = ByteArray(0)

    /**
     * Convert the frame's crop.
     *
     * @param rotation clockwise degrees that make the picture upright: 0, 90, 180 or 270.
     * @param mirror swap left and right of the upright picture.
     * @param out becomes the picture; its size changes with the frame's.
     * @throws IllegalArgumentException another rotation.
     */
    fun convert(frame: YuvFrame, rotation: Int, mirror: Boolean, out: RgbImage) {
        require(rotation == 0 || rotation == 90 || rotation == 180 || rotation == 270) {
            "pictures are turned by 0, 90, 180 or 270 degrees, not $rotation"
        }
        require(frame.cropWidth > 0) { "an empty frame" }
        val width = frame.cropWidth
        val height = frame.cropHeight
        val upright = rotation % 180 == 0
        out.resize(if (upright) width else height, if (upright) height else width)

        // Where pixel (0, 0) of the crop goes, and how far one step right and one step down move it, in pixels of out.
        val last = out.width - 1
        var start: Int
        var right: Int
        var down: Int
        when (rotation) {
            0 -> { start = 0; right = 1; down = out.width }
            90 -> { start = last; right = out.width; down = -1 }
            180 -> { start = out.width * out.height - 1; right = -1; down = -out.width }
            else -> { start = out.width * (out.height - 1); right = -out.width; down = 1 }
        }
        if (mirror) {
            start = start / out.width * out.width + last - start % out.width
            if (upright) right = -right else down = -down
        }

        grow(frame)
        val firstU = frame.cropLeft / 2
        for (row in 0 until height) {
            val y = frame.cropTop + row
            read(frame.y, y * frame.yRowStride + frame.cropLeft * frame.yPixelStride, yRow, (width - 1) * frame.yPixelStride + 1)
            if (row == 0 || y % 2 == 0) {
                val bytes = ((frame.cropLeft + width - 1) / 2 - firstU) * frame.uvPixelStride + 1
                val from = y / 2 * frame.uvRowStride + firstU * frame.uvPixelStride
                read(frame.u, from, uRow, bytes)
                read(frame.v, from, vRow, bytes)
            }
            row(frame, width, firstU, out.pixels, 3 * (start + row * down), 3 * right)
        }
    }

    private fun row(frame: YuvFrame, width: Int, firstU: Int, out: ByteArray, from: Int, step: Int) {
        val yStride = frame.yPixelStride
        val uvStride = frame.uvPixelStride
        val left = frame.cropLeft
        var at = from
        for (x in 0 until width) {
            val luma = (yRow[x * yStride].toInt() and 255) * ONE + HALF
            val chroma = ((left + x) / 2 - firstU) * uvStride
            val u = (uRow[chroma].toInt() and 255) - 128
            val v = (vRow[chroma].toInt() and 255) - 128
            out[at] = level(luma + RED_V * v)
            out[at + 1] = level(luma - GREEN_U * u - GREEN_V * v)
            out[at + 2] = level(luma + BLUE_U * u)
            at += step
        }
    }

    private fun level(fixed: Int): Byte {
        val value = fixed shr SHIFT
        return (if (value < 0) 0 else if (value > 255) 255 else value).toByte()
    }

    private fun read(plane: ByteBuffer, from: Int, row: ByteArray, bytes: Int) {
        plane.seek(from)
        plane.get(row, 0, bytes)
        plane.seek(0)
    }

    private fun grow(frame: YuvFrame) {
        val luma = frame.width * frame.yPixelStride
        val chroma = (frame.width + 1) / 2 * frame.uvPixelStride
        if (luma > yRow.size) yRow = ByteArray(luma)
        if (chroma > uRow.size) {
            uRow = ByteArray(chroma)
            vRow = ByteArray(chroma)
        }
    }

    private companion object {
        const val SHIFT = 16
        const val ONE = 1 shl SHIFT
        const val HALF = ONE / 2
        const val RED_V = 91881 // 1.402
        const val GREEN_U = 22554 // 0.344136
        const val GREEN_V = 46802 // 0.714136
        const val BLUE_U = 116130 // 1.772
    }
}
