package org.emoca.engine

/**
 * A picture of 8-bit RGB triples, row by row, in a buffer that is used again for pictures of other sizes.
 *
 * @param width pixels; likewise [height].
 */
class RgbImage(width: Int = 0, height: Int = 0) {
    var width = 0
        private set
    var height = 0
        private set

    /** `3 * width * height` bytes from the start; the buffer may be longer. */
    var pixels = ByteArray(0)
        private set

    init {
        resize(width, height)
    }

    /**
     * Change the size; the content is undefined afterwards. Allocates only when the picture grows.
     *
     * @throws IllegalArgumentException negative sizes, or more than [MAX_PIXELS].
     */
    fun resize(width: Int, height: Int) {
        require(width >= 0 && height >= 0 && width.toLong() * height <= MAX_PIXELS) { "no picture has $width x $height pixels" }
        if (3 * width * height > pixels.size) pixels = ByteArray(3 * width * height)
        this.width = width
        this.height = height
    }

    companion object {
        /** 100 megapixels. */
        const val MAX_PIXELS = 100_000_000L
    }
}
