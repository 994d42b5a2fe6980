package org.emoca.engine

import kotlin.math.max
import kotlin.math.min

/**
 * Non-maximum suppression: boxes in groups that overlap the best remaining one.
 *
 * Call [start], fill [boxes] and [scores], then [nextGroup] until it gives 0. Nothing is allocated.
 *
 * @param capacity how many boxes at most.
 */
internal class Suppression(capacity: Int) {
    /** left, top, right, bottom of every box. */
    val boxes = DoubleArray(4 * capacity)
    val scores = DoubleArray(capacity)

    /** Numbers of the boxes of the present group, the best first. */
    val group = IntArray(capacity)

    private val order = IntArray(capacity)
    private var left = 0

    /** Begin with the first [count] boxes. */
    fun start(count: Int) {
        left = count
        for (box in 0 until count) { // insertion: few boxes, and equal scores keep their order
            var at = box
            while (at > 0 && scores[order[at - 1]] < scores[box]) {
                order[at] = order[at - 1]
                at--
            }
            order[at] = box
        }
    }

    /** Take the best remaining box and what overlaps it by more than [overlap] (intersection over union); its size. */
    fun nextGroup(overlap: Double): Int {
        if (left == 0) return 0
        val best = order[0]
        var taken = 0
        var kept = 0
        for (i in 0 until left) {
            val box = order[i]
            if (i == 0 || intersectionOverUnion(boxes, best, boxes, box) > overlap) group[taken++] = box else order[kept++] = box
        }
        left = kept
        return taken
    }
}

/** Of box [i] of [a] and box [j] of [b], four values each. */
internal fun intersectionOverUnion(a: DoubleArray, i: Int, b: DoubleArray, j: Int): Double {
    val p = 4 * i
    val q = 4 * j
    val width = max(0.0, min(a[p + 2], b[q + 2]) - max(a[p], b[q]))
    val height = max(0.0, min(a[p + 3], b[q + 3]) - max(a[p + 1], b[q + 1]))
    val shared = width * height
    val areas = (a[p + 2] - a[p]) * (a[p + 3] - a[p + 1]) + (b[q + 2] - b[q]) * (b[q + 3] - b[q + 1])
    return shared / max(areas - shared, 1e-12)
}
