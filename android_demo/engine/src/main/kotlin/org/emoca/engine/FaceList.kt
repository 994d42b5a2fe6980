package org.emoca.engine

/**
 * Detected faces, largest first, in arrays that are used again for every frame.
 *
 * @param capacity how many faces are kept at most.
 */
class FaceList(val capacity: Int = 128) {
    var size = 0
        internal set

    /** left, top, right, bottom of every face, pixels of the picture. */
    val boxes = DoubleArray(4 * capacity)

    /** x, y of right eye, left eye, nose, mouth, right ear, left ear (the person's) of every face, pixels. */
    val keypoints = DoubleArray(2 * BlazeFace.KEYPOINTS * capacity)

    /** Score of every face, 0.5..1. */
    val scores = DoubleArray(capacity)

    fun left(face: Int) = boxes[4 * face]

    fun top(face: Int) = boxes[4 * face + 1]

    fun right(face: Int) = boxes[4 * face + 2]

    fun bottom(face: Int) = boxes[4 * face + 3]

    /** Square pixels. */
    fun area(face: Int) = (right(face) - left(face)) * (bottom(face) - top(face))

    fun clear() {
        size = 0
    }

    /** The next free place, or -1 when the list is full. */
    internal fun add(): Int = if (size < capacity) size++ else -1

    internal fun copy(from: FaceList, source: Int, target: Int) {
        System.arraycopy(from.boxes, 4 * source, boxes, 4 * target, 4)
        System.arraycopy(from.keypoints, POINTS * source, keypoints, POINTS * target, POINTS)
        scores[target] = from.scores[source]
    }

    /** Order by area, largest first; equal ones keep their order. */
    internal fun sort() {
        for (face in 1 until size) {
            var at = face
            while (at > 0 && area(at - 1) < area(at)) {
                swap(at - 1, at)
                at--
            }
        }
    }

    private fun swap(a: Int, b: Int) {
        for (i in 0 until 4) boxes.swap(4 * a + i, 4 * b + i)
        for (i in 0 until POINTS) keypoints.swap(POINTS * a + i, POINTS * b + i)
        scores.swap(a, b)
    }

    private fun DoubleArray.swap(a: Int, b: Int) {
        val value = this[a]
        this[a] = this[b]
        this[b] = value
    }

    private companion object {
        const val POINTS = 2 * BlazeFace.KEYPOINTS
    }
}
