package org.emoca.engine

import java.nio.charset.CharacterCodingException
import java.nio.charset.CodingErrorAction
import java.nio.ByteBuffer
import java.security.MessageDigest

/**
 * An array of a bundle: little-endian, row by row.
 *
 * @param scale where real numbers are stored as levels: `offset + scale * level`; else null.
 */
class ArrayEntry(val file: String, val dtype: String, val shape: IntArray, val scale: Double?, val offset: Double) {
    val size: Int = shape.fold(1) { product, length -> Math.multiplyExact(product, length) }
    val bytes: Int = Math.multiplyExact(size, WIDTHS.getValue(dtype))

    companion object {
        /** Bytes of a number by its type. */
        val WIDTHS = mapOf("|u1" to 1, "<u2" to 2, "<i4" to 4, "<f4" to 4)
    }
}

/** What the manifest says of a file. */
class FileEntry(val bytes: Int, val sha256: String)

/** Inputs and outputs of one stage on the bundle's photo; the values are names of arrays. */
class GoldenRecord(val stage: String, val inputs: Map<String, String>, val outputs: Map<String, String>, val tolerance: Double)

/** `manifest.json` of a bundle, checked in every member that the engine relies on. */
class Manifest private constructor(root: Json.Object) {
    val weights: String = root.text("weights")
    val family: String = root.text("family")
    val headName: String
    val headLicence: String
    val headVertices: Int

    /** Names of the expression axes. */
    val expressionAxes: List<String> = root.arrayOf("expression_axes").map { it.asText("expression_axes") }

    /** Lowest and highest useful value of every expression axis, or null where the axes have no bounds. */
    val expressionRange: List<Pair<Float, Float>>?

    /** Sizes of the parameter groups in the order of the coarse encoder's output. */
    val codeSizes: Map<String, Int> = root.objectOf("code_sizes").let { sizes -> sizes.members.keys.associateWith { sizes.int(it) } }

    /** Names of the emotion classes in the order of the logits. */
    val emotionClasses: List<String> = root.arrayOf("emotion_classes").map { it.asText("emotion_classes") }

    val detectorSize: Int
    val detectorScore: Double
    val detectorOverlap: Double
    val crop: CropRule

    /** Stage to the file of its network. */
    val stages: Map<String, String> = root.objectOf("stages").let { stages -> stages.members.keys.associateWith { stages.text(it) } }

    val arrays: Map<String, ArrayEntry> = root.objectOf("arrays").let { arrays -> arrays.members.keys.associateWith { array(arrays.objectOf(it)) } }
    val files: Map<String, FileEntry> = root.objectOf("files").let { files -> files.members.keys.associateWith { file(files.objectOf(it)) } }
    val golden: List<GoldenRecord>

    init {
        val head = root.objectOf("head")
        headName = head.text("name")
        headLicence = (head.members["licence"] as? Json.Text)?.value ?: ""
        headVertices = head.int("vertices")
        expressionRange = (root.member("expression_range") as? Json.Array)?.elements?.map(::range)
        val detector = root.objectOf("detector")
        detectorSize = detector.int("input")
        detectorScore = detector.double("score")
        detectorOverlap = detector.double("overlap")
        val rule = root.objectOf("crop")
        crop = CropRule(rule.int("size"), rule.double("side"), rule.double("down"))
        golden = if ("golden" in root.members) root.arrayOf("golden").map(::record) else emptyList()
        require(range(detector.member("range")) == -1f to 1f) { "the detector's range is not -1..1" }
        require(range(rule.member("range")) == 0f to 1f && rule.text("colour") == "RGB") { "the crop is not RGB in 0..1" }
        check()
    }

    private fun check() {
        require(headVertices in 1..MAX_COUNT) { "a head of $headVertices vertices" }
        require(expressionAxes.size in 1..MAX_COUNT && emotionClasses.size in 1..MAX_COUNT) { "no axes or no classes" }
        require(expressionRange == null || expressionRange.size == expressionAxes.size) { "as many ranges as axes are needed" }
        require(detectorSize in 16..1024 && detectorScore > 0 && detectorScore < 1) { "a detector of size $detectorSize" }
        require(detectorOverlap > 0 && detectorOverlap < 1) { "a detector's overlap of $detectorOverlap" }
        require(crop.size in 16..1024 && crop.side > 0 && crop.side <= 10 && crop.down >= -5 && crop.down <= 5) { "a crop that cannot be" }
        require(codeSizes.values.all { it in 1..MAX_COUNT }) { "code sizes that cannot be" }
        require(files.keys.all { NAME.matches(it) && ".." !in it }) { "file names that a bundle cannot have" }
        require((stages.values + arrays.values.map { it.file }).all { it in files }) { "stages or arrays without a file" }
        for (array in arrays.values) {
            require(files.getValue(array.file).bytes == array.bytes) { "an array that does not fit its file" }
        }
        require(golden.all { (it.inputs.values + it.outputs.values).all(arrays::containsKey) }) { "golden vectors without an array" }
    }

    private fun range(json: Json): Pair<Float, Float> {
        val bounds = (json as? Json.Array)?.elements.orEmpty()
        require(bounds.size == 2) { "a range has two bounds" }
        val low = bounds[0].asDouble("range").toFloat()
        val high = bounds[1].asDouble("range").toFloat()
        require(low <= high) { "a range from $low to $high" }
        return low to high
    }

    private fun array(json: Json.Object): ArrayEntry {
        val dtype = json.text("dtype")
        require(dtype in ArrayEntry.WIDTHS) { "arrays of type $dtype" }
        val shape = json.arrayOf("shape").map { it.asInt("shape") }.toIntArray()
        require(shape.size <= MAX_RANK && shape.all { it >= 0 }) { "an array's shape that cannot be" }
        val scaled = "scale" in json.members
        require(!scaled || dtype == "|u1") { "levels of type $dtype" }
        return ArrayEntry(
            json.text("file"), dtype, shape, if (scaled) json.double("scale") else null, if (scaled) json.double("offset") else 0.0,
        )
    }

    private fun file(json: Json.Object): FileEntry {
        val bytes = json.int("bytes")
        val sha256 = json.text("sha256")
        require(bytes in 0..Bundle.MAX_FILE) { "a file of $bytes bytes" }
        require(SHA256.matches(sha256)) { "a hash that is none" }
        return FileEntry(bytes, sha256)
    }

    private fun record(json: Json): GoldenRecord {
        require(json is Json.Object) { "a golden record is an object" }
        return GoldenRecord(json.text("stage"), names(json.objectOf("inputs")), names(json.objectOf("outputs")), json.double("tolerance"))
    }

    private fun names(json: Json.Object): Map<String, String> = json.members.keys.associateWith { json.text(it) }

    companion object {
        const val FORMAT = "emoca-tf bundle 2"
        private const val MAX_COUNT = 1_000_000
        private const val MAX_RANK = 8
        private val NAME = Regex("[a-z0-9_]+(/[a-zA-Z0-9_.-]+)+")
        private val SHA256 = Regex("[0-9a-f]{64}")

        /**
         * Read `manifest.json`; its digest is checked before anything else in it is believed.
         *
         * @param where for messages.
         * @throws BundleException another format, a changed or a damaged manifest.
         */
        fun parse(content: ByteArray, where: String): Manifest {
            try {
                val decoder = Charsets.UTF_8.newDecoder()
                    .onMalformedInput(CodingErrorAction.REPORT).onUnmappableCharacter(CodingErrorAction.REPORT)
                val root = Json.parse(decoder.decode(ByteBuffer.wrap(content)).toString())
                require(root is Json.Object) { "it is no object" }
                val format = root.text("format")
                if (format != FORMAT) {
                    throw BundleException("$where is of format '${printable(format)}'; this app reads '$FORMAT'")
                }
                val rest = Json.Object(root.members - "digest").canonical().toString().toByteArray()
                if (sha256(rest) != root.text("digest")) throw BundleException("$where was changed (its digest does not fit); $MEND")
                return Manifest(root)
            } catch (error: IllegalArgumentException) {
                throw BundleException("$where has a damaged manifest (${printable(error.message ?: "")}); $MEND", error)
            } catch (error: ArithmeticException) {
                throw BundleException("$where has a damaged manifest (sizes out of range); $MEND", error)
            } catch (error: CharacterCodingException) {
                throw BundleException("$where has a damaged manifest (no UTF-8); $MEND", error)
            }
        }

        internal const val MEND = "copy the bundle again, or write it anew with: convert --tflite --bundle DIR"

        internal fun printable(text: String): String = text.take(80).map { if (it < ' ') ' ' else it }.joinToString("")

        internal fun sha256(content: ByteArray): String = hex(MessageDigest.getInstance("SHA-256").digest(content))

        internal fun hex(bytes: ByteArray): String = bytes.joinToString("") { (it.toInt() and 255).toString(16).padStart(2, '0') }
    }
}
