package org.emoca.demo.device

import android.content.ContentProvider
import android.content.ContentValues
import android.content.Context
import android.content.Intent
import android.database.Cursor
import android.database.MatrixCursor
import android.net.Uri
import android.os.ParcelFileDescriptor
import android.provider.OpenableColumns
import java.io.File
import java.io.FileNotFoundException

/**
 * Lets another app read the one file that the person shares with it. Only files of [folder], only for reading, only
 * with the permission that the share sheet grants.
 */
class ShareProvider : ContentProvider() {
    override fun onCreate() = true

    override fun openFile(uri: Uri, mode: String): ParcelFileDescriptor {
        if (mode != "r") throw FileNotFoundException("shared files are for reading")
        return ParcelFileDescriptor.open(file(uri), ParcelFileDescriptor.MODE_READ_ONLY)
    }

    override fun query(
        uri: Uri, projection: Array<String>?, selection: String?, arguments: Array<String>?, order: String?,
    ): Cursor {
        val file = file(uri)
        val wanted = projection ?: arrayOf(OpenableColumns.DISPLAY_NAME, OpenableColumns.SIZE)
        val known = wanted.filter { it == OpenableColumns.DISPLAY_NAME || it == OpenableColumns.SIZE }
        val values = known.map { if (it == OpenableColumns.SIZE) file.length() else file.name }
        return MatrixCursor(known.toTypedArray()).apply { addRow(values) }
    }

    override fun getType(uri: Uri): String = typeOf(uri.lastPathSegment.orEmpty())

    override fun insert(uri: Uri, values: ContentValues?): Uri? = null

    override fun update(uri: Uri, values: ContentValues?, selection: String?, arguments: Array<String>?) = 0

    override fun delete(uri: Uri, selection: String?, arguments: Array<String>?) = 0

    private fun file(uri: Uri): File {
        val name = uri.lastPathSegment.orEmpty()
        val file = File(folder(context ?: throw FileNotFoundException(name)), name)
        if (!NAME.matches(name) || !file.isFile) throw FileNotFoundException("no shared file $name")
        return file
    }

    companion object {
        private val NAME = Regex("[a-z0-9-]+\\.(png|csv|json)")
        private const val AUTHORITY = "org.emoca.demo.shared"

        /** Where files lie that may be shared. */
        fun folder(context: Context): File = File(context.cacheDir, "shared").also { it.mkdirs() }

        /** What opens the share sheet for files of [folder]. */
        fun share(context: Context, files: List<File>, title: String): Intent {
            val addresses = ArrayList(files.map { Uri.parse("content://$AUTHORITY/${it.name}") })
            val one = addresses.size == 1
            val intent = Intent(if (one) Intent.ACTION_SEND else Intent.ACTION_SEND_MULTIPLE)
            intent.type = if (one) typeOf(files[0].name) else "*/*"
            if (one) {
                intent.putExtra(Intent.EXTRA_STREAM, addresses[0])
            } else {
                intent.putParcelableArrayListExtra(Intent.EXTRA_STREAM, addresses)
            }
            val clip = android.content.ClipData.newUri(context.contentResolver, title, addresses[0])
            for (address in addresses.drop(1)) clip.addItem(android.content.ClipData.Item(address))
            intent.clipData = clip
            intent.addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION)
            return Intent.createChooser(intent, title)
        }

        private fun typeOf(name: String) = when (name.substringAfterLast('.')) {
            "png" -> "image/png"
            "csv" -> "text/csv"
            else -> "application/json"
        }
    }
}
