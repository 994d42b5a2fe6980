package org.emoca.engine

/**
 * The parameters of one face, by groups, as `emoca_tf.codes` has them.
 *
 * @param shapeSize identity coefficients; likewise [texSize] albedo and [expSize] expression.
 */
class Codes(shapeSize: Int, texSize: Int, expSize: Int) {
    val shape = FloatArray(shapeSize)
    val tex = FloatArray(texSize)
    val exp = FloatArray(expSize)

    /** Axis-angle radians: global rotation 0..2, jaw 3..5. */
    val pose = FloatArray(6)

    /** Scale, tx, ty of the weak-perspective camera: `x_image = scale (x + tx)`, `y_image = -scale (y + ty)` in [-1, 1] of the crop. */
    val cam = FloatArray(3)

    /** Nine spherical-harmonics bands times RGB. */
    val light = FloatArray(27)

    /** Left and right closure, 0..1; 0 where the networks do not tell. */
    val eyelid = FloatArray(2)

    /** A group by its name in the library, or null. */
    fun group(name: String): FloatArray? = when (name) {
        "shape" -> shape
        "tex" -> tex
        "exp" -> exp
        "pose" -> pose
        "cam" -> cam
        "light" -> light
        "eyelid" -> eyelid
        else -> null
    }

    fun set(other: Codes) {
        copy(other.shape, shape)
        copy(other.tex, tex)
        copy(other.exp, exp)
        copy(other.pose, pose)
        copy(other.cam, cam)
        copy(other.light, light)
        copy(other.eyelid, eyelid)
    }

    private fun copy(from: FloatArray, to: FloatArray) = System.arraycopy(from, 0, to, 0, to.size)

    companion object {
        /** Names of the groups. */
        val GROUPS = listOf("shape", "tex", "exp", "pose", "cam", "light", "eyelid")
    }
}
