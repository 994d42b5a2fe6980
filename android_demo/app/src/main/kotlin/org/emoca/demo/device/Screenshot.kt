package org.emoca.demo.device

import android.graphics.Bitmap
import android.graphics.Canvas
import android.os.Handler
import android.view.PixelCopy
import android.view.SurfaceView
import android.view.View
import java.io.File
import java.io.FileOutputStream
import java.io.IOException

/** A picture of the whole screen: the drawn head, which has a surface of its own, and everything else over it. */
object Screenshot {
    /**
     * Take it into [file].
     *
     * @param root of all views, [head] among them.
     * @param done told, on [handler]'s thread, whether the file is there.
     */
    fun take(root: View, head: SurfaceView, file: File, handler: Handler, done: (Boolean) -> Unit) {
        if (head.width == 0 || head.height == 0 || !head.holder.surface.isValid) return done(false)
        val under = Bitmap.createBitmap(head.width, head.height, Bitmap.Config.ARGB_8888)
        val over = Bitmap.createBitmap(root.width, root.height, Bitmap.Config.ARGB_8888)
        root.draw(Canvas(over)) // leaves a hole where the surface shows through
        try {
            PixelCopy.request(head, under, { result ->
                done(result == PixelCopy.SUCCESS && write(under, over, head, file))
            }, handler)
        } catch (_: IllegalArgumentException) {
            done(false) // the surface went away
        }
    }

    private fun write(under: Bitmap, over: Bitmap, head: View, file: File): Boolean {
        val whole = Bitmap.createBitmap(over.width, over.height, Bitmap.Config.ARGB_8888)
        val canvas = Canvas(whole)
        canvas.drawBitmap(under, head.left.toFloat(), head.top.toFloat(), null)
        canvas.drawBitmap(over, 0f, 0f, null)
        return try {
            FileOutputStream(file).use { whole.compress(Bitmap.CompressFormat.PNG, 100, it) }
        } catch (_: IOException) {
            file.delete()
            false
        }
    }
}
