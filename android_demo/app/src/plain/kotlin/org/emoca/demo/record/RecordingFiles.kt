package org.emoca.demo.record

import java.io.File
import java.io.IOException
import java.io.Writer

/** A recording as two files, whole or not at all. */
object RecordingFiles {
    private const val NAME = "emoca-recording"

    /**
     * Write both files.
     *
     * @return them: CSV, then JSON.
     * @throws IOException the disk refuses; nothing half-written is left.
     */
    fun write(recording: Recording, folder: File, shape: FloatArray, head: String, weights: String): List<File> = listOf(
        whole(File(folder, "$NAME.csv")) { recording.writeCsv(it) },
        whole(File(folder, "$NAME.json")) { recording.writeJson(it, shape, head, weights) },
    )

    private fun whole(file: File, write: (Writer) -> Unit): File {
        val staged = File(file.path + ".part")
        try {
            staged.bufferedWriter().use(write)
            if (!staged.renameTo(file)) throw IOException("$file cannot be replaced")
        } finally {
            staged.delete()
        }
        return file
    }
}
