package org.emoca.engine

import java.nio.FloatBuffer
import kotlin.math.exp

/**
 * MediaPipe's short-range face detector behind its network: anchors, decoding, weighted non-maximum suppression.
 * The steps are those of `emoca_tf.faces.blazeface`.
 *
 * @param anchors x, y of every anchor, 0..1 of the square.
 * @param size side of the network's input, pixels.
 * @param minScore faces below are dropped.
 * @param overlap intersection over union above which two boxes are one face.
 */
class BlazeFace(
    private val anchors: FloatArray = anchors(),
    private val size: Int = SIZE,
    private val minScore: Double = SCORE,
    private val overlap: Double = OVERLAP,
) {
    /** Values of one box in the network's output. */
    private val width = 4 + 2 * KEYPOINTS
    private val count = anchors.size / 2
    private val regressors = FloatArray(width * count)
    private val logits = FloatArray(count)
    private val chosen = IntArray(count)
    private val suppression = Suppression(count)
    private val sum = DoubleArray(width)

    /**
     * Append the faces in the network's outputs to a list, in no order.
     *
     * @param regressorValues `count * 16` values: box centre, box size and six points, pixels of the input.
     * @param logitValues `count` logits.
     * @param side of the square that the network saw, pixels of the picture.
     * @param left of that square; likewise [top].
     */
    fun decode(regressorValues: FloatBuffer, logitValues: FloatBuffer, side: Double, left: Double, top: Double, out: FaceList) {
        regressorValues.seek(0)
        regressorValues.get(regressors)
        regressorValues.seek(0)
        logitValues.seek(0)
        logitValues.get(logits)
        logitValues.seek(0)
        val found = choose()
        suppression.start(found)
        while (true) {
            val together = suppression.nextGroup(overlap)
            if (together == 0) return
            merge(together, side, left, top, out)
        }
    }

    /** Boxes with a good enough score into [suppression], 0..1 of the square; how many. */
    private fun choose(): Int {
        var found = 0
        for (anchor in 0 until count) {
            val score = 1 / (1 + exp(-logits[anchor].toDouble().coerceIn(-80.0, 80.0)))
            if (!(score > minScore)) continue // NaN is no face
            val at = width * anchor
            val x = anchors[2 * anchor] + regressors[at].toDouble() / size
            val y = anchors[2 * anchor + 1] + regressors[at + 1].toDouble() / size
            val halfWidth = regressors[at + 2].toDouble() / size / 2
            val halfHeight = regressors[at + 3].toDouble() / size / 2
            suppression.boxes[4 * found] = x - halfWidth
            suppression.boxes[4 * found + 1] = y - halfHeight
            suppression.boxes[4 * found + 2] = x + halfWidth
            suppression.boxes[4 * found + 3] = y + halfHeight
            suppression.scores[found] = score
            chosen[found++] = anchor
        }
        return found
    }

    /** The mean of a group weighted by score becomes one face, with the best score. */
    private fun merge(together: Int, side: Double, left: Double, top: Double, out: FaceList) {
        var total = 0.0
        for (i in 0 until together) total += suppression.scores[suppression.group[i]]
        sum.fill(0.0)
        for (i in 0 until together) {
            val box = suppression.group[i]
            val weight = suppression.scores[box] / total
            for (k in 0 until 4) sum[k] += weight * suppression.boxes[4 * box + k]
            val anchor = chosen[box]
            for (k in 4 until width) {
                sum[k] += weight * (anchors[2 * anchor + k % 2] + regressors[width * anchor + k].toDouble() / size)
            }
        }
        for (k in 0 until width) {
            sum[k] = sum[k] * side + if (k % 2 == 0) left else top
            if (!sum[k].isFinite()) return
        }
        if (sum[2] - sum[0] < 1 || sum[3] - sum[1] < 1) return // nothing to cut out
        val face = out.add()
        if (face < 0) return
        System.arraycopy(sum, 0, out.boxes, 4 * face, 4)
        System.arraycopy(sum, 4, out.keypoints, 2 * KEYPOINTS * face, 2 * KEYPOINTS)
        out.scores[face] = suppression.scores[suppression.group[0]]
    }

    companion object {
        const val SIZE = 128
        const val SCORE = 0.5
        const val OVERLAP = 0.3
        const val KEYPOINTS = 6

        /** 896 anchor centres x, y: a 16 x 16 grid with two anchors a cell, then an 8 x 8 grid with six, row by row. */
        fun anchors(): FloatArray {
            val out = FloatArray(2 * (2 * 16 * 16 + 6 * 8 * 8))
            var at = 0
            for ((grid, repeats) in listOf(16 to 2, 8 to 6)) {
                for (cell in 0 until grid * grid) {
                    repeat(repeats) {
                        out[at++] = ((cell % grid + 0.5) / grid).toFloat()
                        out[at++] = ((cell / grid + 0.5) / grid).toFloat()
                    }
                }
            }
            return out
        }
    }
}
