package org.emoca.engine

import java.io.ByteArrayInputStream
import java.io.File
import java.io.FileNotFoundException
import java.io.IOException
import java.io.InputStream
import java.nio.file.Files

/** Where the files of a bundle lie: a folder, or the assets of an app. */
interface BundleSource {
    /** For messages to people. */
    val name: String

    /**
     * Open a file of the bundle by its name in the manifest, such as `models/expression.tflite`.
     *
     * @throws IOException there is no such file, or it cannot be read.
     */
    fun open(file: String): InputStream
}

/** A bundle in a folder; links are not followed. */
class FolderSource(private val folder: File) : BundleSource {
    override val name: String = folder.path

    override fun open(file: String): InputStream {
        val path = folder.toPath().resolve(file)
        if (Files.isSymbolicLink(path) || !Files.isRegularFile(path)) throw FileNotFoundException(file)
        return Files.newInputStream(path)
    }
}

/** A bundle in memory, file name to content. */
class MemorySource(private val files: Map<String, ByteArray>, override val name: String = "the bundle") : BundleSource {
    override fun open(file: String): InputStream = ByteArrayInputStream(files[file] ?: throw FileNotFoundException(file))
}
