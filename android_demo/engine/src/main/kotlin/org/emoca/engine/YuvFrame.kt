package org.emoca.engine

import java.nio.ByteBuffer

/**
 * One camera frame as `YUV_420_888` delivers it: a plane of brightness and two planes of colour at half resolution, each
 * with its own strides. A holder that is filled anew for every frame; it keeps no copy of the pixels.
 */
class YuvFrame {
    var y: ByteBuffer = EMPTY
        private set
    var u: ByteBuffer = EMPTY
        private set
    var v: ByteBuffer = EMPTY
        private set
    var width = 0
        private set
    var height = 0
        private set
    var yRowStride = 0
        private set
    var yPixelStride = 1
        private set
    var uvRowStride = 0
        private set
    var uvPixelStride = 1
        private set
    var cropLeft = 0
        private set
    var cropTop = 0
        private set
    var cropWidth = 0
        private set
    var cropHeight = 0
        private set

    /**
     * Point at the planes of a frame; the crop becomes the whole frame. Values are read from index 0 of the buffers.
     *
     * @param width of the frame as it lies in memory, pixels; likewise [height].
     * @param yRowStride bytes from row to row of [y]; likewise [uvRowStride] of [u] and [v].
     * @param yPixelStride bytes from pixel to pixel of [y]; likewise [uvPixelStride] (2 where U and V are interleaved).
     * @throws IllegalArgumentException a plane is too short for its strides.
     */
    fun set(
        width: Int, height: Int,
        y: ByteBuffer, yRowStride: Int, yPixelStride: Int,
        u: ByteBuffer, v: ByteBuffer, uvRowStride: Int, uvPixelStride: Int,
    ): YuvFrame {
        require(width > 0 && height > 0 && width.toLong() * height <= RgbImage.MAX_PIXELS) { "a frame of $width x $height pixels" }
        checkPlane("Y", y, width, height, yRowStride, yPixelStride)
        checkPlane("U", u, (width + 1) / 2, (height + 1) / 2, uvRowStride, uvPixelStride)
        checkPlane("V", v, (width + 1) / 2, (height + 1) / 2, uvRowStride, uvPixelStride)
        this.width = width
        this.height = height
        this.y = y
        this.u = u
        this.v = v
        this.yRowStride = yRowStride
        this.yPixelStride = yPixelStride
        this.uvRowStride = uvRowStride
        this.uvPixelStride = uvPixelStride
        return crop(0, 0, width, height)
    }

    /**
     * Look at a part of the frame only (Android's `Image.cropRect`).
     *
     * @throws IllegalArgumentException the rectangle is empty or leaves the frame.
     */
    fun crop(left: Int, top: Int, width: Int, height: Int): YuvFrame {
        require(left >= 0 && top >= 0 && width > 0 && height > 0 && left <= this.width - width && top <= this.height - height) {
            "the crop $left, $top, $width x $height leaves the frame of ${this.width} x ${this.height}"
        }
        cropLeft = left
        cropTop = top
        cropWidth = width
        cropHeight = height
        return this
    }

    private fun checkPlane(name: String, plane: ByteBuffer, width: Int, height: Int, rowStride: Int, pixelStride: Int) {
        require(pixelStride in 1..MAX_PIXEL_STRIDE && rowStride > 0) { "plane $name has strides $rowStride and $pixelStride" }
        require((width - 1L) * pixelStride < rowStride) { "plane $name: $width pixels do not fit a row of $rowStride bytes" }
        // The last row may end with its last pixel.
        val needed = (height - 1L) * rowStride + (width - 1L) * pixelStride + 1
        require(plane.limit() >= needed) { "plane $name has ${plane.limit()} bytes, its strides need $needed" }
    }

    private companion object {
        const val MAX_PIXEL_STRIDE = 16
        val EMPTY: ByteBuffer = ByteBuffer.allocate(0)
    }
}
