package org.emoca.demo.record

import kotlin.math.cos
import kotlin.math.sin
import kotlin.math.sqrt

/** Unit quaternions `x y z w`, the order of glTF 2.0 (section 3.11). */
object Quaternion {
    /** Of an axis-angle vector in radians. */
    fun of(x: Float, y: Float, z: Float): FloatArray {
        val angle = sqrt(x.toDouble() * x + y.toDouble() * y + z.toDouble() * z)
        val factor = if (angle < 1e-8) 0.5 else sin(angle / 2) / angle
        return floatArrayOf((factor * x).toFloat(), (factor * y).toFloat(), (factor * z).toFloat(), cos(angle / 2).toFloat())
    }
}
