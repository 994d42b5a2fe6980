package org.emoca.engine

import java.io.IOException
import java.io.InputStream
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.security.MessageDigest

/**
 * A folder written by `convert --tflite --bundle`, every file of it verified before any is used: a model file is a
 * program, and a truncated one can end the process that opens it.
 */
class Bundle private constructor(
    val name: String,
    val manifest: Manifest,
    private val contents: Map<String, ByteBuffer>,
) {
    operator fun contains(stage: String): Boolean = stage in manifest.stages

    /**
     * The verified bytes of a stage's network, in a direct buffer as runtimes want it.
     *
     * @throws BundleException the bundle has no such stage.
     */
    fun model(stage: String): ByteBuffer = content(
        manifest.stages[stage] ?: throw BundleException("$name has no stage '$stage'; there are: ${manifest.stages.keys.joinToString()}"),
    )

    /** An array of real numbers: 32-bit floats, or the levels that stand for them. @throws BundleException there is no such array. */
    fun floats(array: String): FloatArray {
        val entry = entry(array)
        if (entry.scale == null) {
            val values = content(entry.typed(array, "<f4").file).asFloatBuffer()
            return FloatArray(values.remaining()).also(values::get)
        }
        val levels = content(entry.file)
        return FloatArray(entry.size) { (entry.offset + entry.scale * (levels.get(it).toInt() and 255)).toFloat() }
    }

    /** An array of whole numbers, such as `triangles`. @throws BundleException there is no such array. */
    fun ints(array: String): IntArray {
        val entry = entry(array)
        if (entry.dtype == "<u2") {
            val values = content(entry.file).asShortBuffer()
            return IntArray(entry.size) { values.get(it).toInt() and 65535 }
        }
        val values = content(entry.typed(array, "<i4").file).asIntBuffer()
        return IntArray(values.remaining()).also(values::get)
    }

    /** An array of bytes. @throws BundleException there is no such array. */
    fun bytes(array: String): ByteArray {
        val values = content(entry(array).typed(array, "|u1").file)
        return ByteArray(values.remaining()).also(values::get)
    }

    fun hasArray(array: String): Boolean = array in manifest.arrays

    private fun entry(array: String): ArrayEntry = manifest.arrays[array] ?: throw BundleException("$name has no array '$array'")

    private fun ArrayEntry.typed(array: String, wanted: String): ArrayEntry {
        if (dtype != wanted) throw BundleException("$name: array '$array' is of type $dtype, not $wanted")
        return this
    }

    private fun content(file: String): ByteBuffer {
        val kept = contents[file] ?: throw BundleException("$name: $file was left out when the bundle was loaded")
        return kept.duplicate().order(ByteOrder.LITTLE_ENDIAN)
    }

    companion object {
        const val MANIFEST = "manifest.json"
        const val MAX_MANIFEST = 4 shl 20
        const val MAX_FILE = 512 shl 20
        private const val BLOCK = 1 shl 16
        private const val GOLDEN = "golden/"

        /**
         * Read and verify a bundle.
         *
         * @param golden keep the golden vectors (they are verified either way).
         * @throws BundleException a file is missing, damaged or changed; one line that names it.
         */
        fun load(source: BundleSource, golden: Boolean = false): Bundle {
            val manifest = readManifest(source)
            val contents = HashMap<String, ByteBuffer>()
            for ((file, entry) in manifest.files) {
                val content = verified(source, file, entry, keep = golden || !file.startsWith(GOLDEN))
                if (content != null) contents[file] = content
            }
            return Bundle(source.name, manifest, contents)
        }

        private fun readManifest(source: BundleSource): Manifest {
            val content = try {
                source.open(MANIFEST).use { stream -> readAtMost(stream, MAX_MANIFEST + 1) }
            } catch (error: IOException) {
                throw BundleException("${source.name} is not a bundle (no $MANIFEST); make one with: convert --tflite --bundle DIR", error)
            }
            if (content.size > MAX_MANIFEST) throw BundleException("${source.name} has a manifest of more than $MAX_MANIFEST bytes")
            return Manifest.parse(content, source.name)
        }

        private fun readAtMost(stream: InputStream, most: Int): ByteArray {
            val out = java.io.ByteArrayOutputStream()
            val block = ByteArray(BLOCK)
            while (out.size() < most) {
                val read = stream.read(block, 0, minOf(block.size, most - out.size()))
                if (read < 0) break
                out.write(block, 0, read)
            }
            return out.toByteArray()
        }

        /** The bytes of a file once they are those that the manifest vouches for; null where they are not kept. */
        private fun verified(source: BundleSource, file: String, entry: FileEntry, keep: Boolean): ByteBuffer? {
            val where = "${source.name}: $file"
            try {
                return source.open(file).use { stream -> read(stream, where, entry, keep) }
            } catch (error: IOException) {
                throw BundleException("$where is missing or cannot be read; ${Manifest.MEND}", error)
            } catch (error: OutOfMemoryError) {
                throw BundleException("$where with ${entry.bytes} bytes does not fit into memory", error)
            }
        }

        private fun read(stream: InputStream, where: String, entry: FileEntry, keep: Boolean): ByteBuffer? {
            val out = if (keep) ByteBuffer.allocateDirect(entry.bytes).order(ByteOrder.LITTLE_ENDIAN) else null
            val hash = MessageDigest.getInstance("SHA-256")
            val block = ByteArray(BLOCK)
            var size = 0L
            while (true) {
                val read = stream.read(block)
                if (read < 0) break
                size += read
                if (size > entry.bytes) throw BundleException("$where has more bytes than ${entry.bytes}; ${Manifest.MEND}")
                hash.update(block, 0, read)
                out?.put(block, 0, read)
            }
            if (size != entry.bytes.toLong()) throw BundleException("$where has $size bytes instead of ${entry.bytes}; ${Manifest.MEND}")
            if (Manifest.hex(hash.digest()) != entry.sha256) {
                throw BundleException("$where was changed or damaged (its SHA-256 does not fit); ${Manifest.MEND}")
            }
            out?.seek(0)
            return out
        }
    }
}
