package org.emoca.engine

import kotlin.math.max
import kotlin.math.min

/**
 * Finds faces: the detector's network on the whole picture and, where it sees none, on nine overlapping windows of half
 * the longer side, in which a small face is twice as large (`emoca_tf.faces.blazeface.detect`).
 *
 * @param runner the network, with input `input` and outputs `regressors` and `classificators`.
 * @param input its preparation.
 * @param decoder what reads its outputs.
 * @param overlap see [BlazeFace].
 */
class FaceSearch(
    private val runner: TensorRunner,
    private val input: DetectorInput,
    private val decoder: BlazeFace,
    private val overlap: Double = BlazeFace.OVERLAP,
) {
    private val values = runner.input("input")
    private val regressors = runner.output("regressors")
    private val logits = runner.output("classificators")
    private val inWindows = FaceList()
    private val suppression = Suppression(inWindows.capacity)

    /** Nanoseconds of the last search: preparation, network, decoding. */
    val nanos = LongArray(3)

    /**
     * Faces of a picture, largest first.
     *
     * @param windows also look into the windows.
     */
    fun search(image: RgbImage, windows: Boolean, out: FaceList) {
        out.clear()
        nanos.fill(0)
        if (image.width == 0 || image.height == 0) return
        look(image, 0, 0, image.width, image.height, out)
        val side = max(image.width, image.height) / 2
        if (out.size == 0 && windows && side >= input.size) searchWindows(image, side, out)
        out.sort()
    }

    private fun searchWindows(image: RgbImage, side: Int, out: FaceList) {
        inWindows.clear()
        for (row in 0..2) {
            val top = start(row, image.height, side)
            if (row > 0 && top == start(row - 1, image.height, side)) continue
            for (column in 0..2) {
                val left = start(column, image.width, side)
                if (column > 0 && left == start(column - 1, image.width, side)) continue
                look(image, left, top, min(side, image.width - left), min(side, image.height - top), inWindows)
            }
        }
        keepDistinct(out)
    }

    /** First pixel of window 0, 1 or 2 along an axis. */
    private fun start(number: Int, length: Int, side: Int): Int = Math.rint(number * max(0, length - side) / 2.0).toInt()

    private fun look(image: RgbImage, x: Int, y: Int, width: Int, height: Int, out: FaceList) {
        val start = System.nanoTime()
        input.prepare(image, x, y, width, height, values)
        val prepared = System.nanoTime()
        runner.run()
        val run = System.nanoTime()
        decoder.decode(regressors, logits, input.side.toDouble(), input.left.toDouble(), input.top.toDouble(), out)
        nanos[0] += prepared - start
        nanos[1] += run - prepared
        nanos[2] += System.nanoTime() - run
    }

    /** The best of the detections that overlap. */
    private fun keepDistinct(out: FaceList) {
        for (face in 0 until inWindows.size) {
            System.arraycopy(inWindows.boxes, 4 * face, suppression.boxes, 4 * face, 4)
            suppression.scores[face] = inWindows.scores[face]
        }
        suppression.start(inWindows.size)
        while (suppression.nextGroup(overlap) > 0) {
            val face = out.add()
            if (face < 0) return
            out.copy(inWindows, suppression.group[0], face)
        }
    }
}
