package org.emoca.demo.scene

import kotlin.math.cos
import kotlin.math.sin

/**
 * 4×4 matrices as OpenGL takes them: 16 floats, column by column. Nothing is allocated; every function fills `out`.
 *
 * `android.opengl.Matrix` would do the same on a phone only; this file has no `android.*`, so that tests on a desktop
 * JVM draw with the very matrices of the app.
 */
object Mat4 {
    fun identity(out: FloatArray) {
        out.fill(0f)
        for (i in 0..3) out[5 * i] = 1f
    }

    /** `out = scale and move`: `x' = sx x + tx`, and so on. */
    fun scaleMove(out: FloatArray, sx: Float, sy: Float, sz: Float, tx: Float, ty: Float, tz: Float) {
        identity(out)
        out[0] = sx; out[5] = sy; out[10] = sz
        out[12] = tx; out[13] = ty; out[14] = tz
    }

    /** Turn by [yaw] about y, then by [pitch] about x; radians. */
    fun turn(out: FloatArray, yaw: Float, pitch: Float) {
        identity(out)
        val cy = cos(yaw)
        val sy = sin(yaw)
        val cp = cos(pitch)
        val sp = sin(pitch)
        out[0] = cy; out[4] = 0f; out[8] = sy
        out[1] = sp * sy; out[5] = cp; out[9] = -sp * cy
        out[2] = -cp * sy; out[6] = sp; out[10] = cp * cy
    }

    /** `out = a b`; [out] must be another array than [a] and [b]. */
    fun multiply(out: FloatArray, a: FloatArray, b: FloatArray) {
        require(out !== a && out !== b) { "the product needs an array of its own" }
        for (column in 0..3) for (row in 0..3) {
            var sum = 0f
            for (k in 0..3) sum += a[4 * k + row] * b[4 * column + k]
            out[4 * column + row] = sum
        }
    }

    /** Row [row] of `m (x, y, z, 1)`. */
    fun apply(m: FloatArray, row: Int, x: Float, y: Float, z: Float): Float =
        m[row] * x + m[4 + row] * y + m[8 + row] * z + m[12 + row]
}
