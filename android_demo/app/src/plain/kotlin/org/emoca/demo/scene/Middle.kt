package org.emoca.demo.scene

/** Middle and height of a moving head, so calm that a head drawn alone neither jumps nor pumps. */
class Middle {
    val centre = FloatArray(3)
    var height = 0f
        private set

    private val low = FloatArray(3)
    private val high = FloatArray(3)

    /** Take the newest vertices into account; the first are taken as they are. */
    fun follow(vertices: FloatArray) {
        low.fill(Float.POSITIVE_INFINITY)
        high.fill(Float.NEGATIVE_INFINITY)
        for (i in vertices.indices) {
            val axis = i % 3
            if (vertices[i] < low[axis]) low[axis] = vertices[i]
            if (vertices[i] > high[axis]) high[axis] = vertices[i]
        }
        val share = if (height == 0f) 1f else SHARE
        for (axis in 0..2) centre[axis] += share * ((low[axis] + high[axis]) / 2 - centre[axis])
        height += share * (maxOf(high[1] - low[1], LEAST) - height)
    }

    private companion object {
        const val SHARE = 0.05f
        const val LEAST = 0.05f
    }
}
