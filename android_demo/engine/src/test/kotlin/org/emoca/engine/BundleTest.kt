package org.emoca.engine

import java.io.File
import org.emoca.runtime.InterpreterRuntime
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Assumptions.assumeTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows

class BundleTest {
    private val files: Map<String, ByteArray> by lazy {
        Given.bundle.walk().filter { it.isFile }.associate { it.relativeTo(Given.bundle).invariantSeparatorsPath to it.readBytes() }
    }

    private fun refused(changed: Map<String, ByteArray>): String {
        val message = assertThrows<BundleException> { Bundle.load(MemorySource(changed)) }.message!!
        assertTrue('\n' !in message) { message }
        return message
    }

    @Test
    fun `every network repeats its golden output`() {
        val bundle = Bundle.load(FolderSource(Given.bundle), golden = true)
        val runners = Runners(bundle, InterpreterRuntime(threads = 1))
        val seen = ArrayList<String>()
        for (record in bundle.manifest.golden.filter { it.stage in bundle }) {
            val runner = runners.open(record.stage)
            for ((name, array) in record.inputs) runner.input(name).put(bundle.floats(array)).position(0)
            runner.run()
            for ((name, array) in record.outputs) {
                val worst = assertNear(bundle.floats(array), runner.output(name).all(), record.tolerance, "${record.stage} $name")
                seen += "${record.stage}.$name %.1e".format(worst)
            }
        }
        runners.close()
        println("golden outputs of the bundle, worst differences: ${seen.joinToString()}")
        assertTrue(seen.size >= 10)
    }

    @Test
    fun `preparation, detection and crop repeat the golden photo`() {
        val bundle = Bundle.load(FolderSource(Given.bundle), golden = true)
        val records = bundle.manifest.golden.associateBy { it.stage }
        val prepare = records.getValue("prepare")
        val (height, width) = bundle.manifest.arrays.getValue(prepare.inputs.getValue("photo")).shape.toList()
        val photo = rgb(width, height, bundle.bytes(prepare.inputs.getValue("photo")))
        val input = DetectorInput(bundle.manifest.detectorSize)
        val prepared = floatBuffer(3 * input.size * input.size)
        input.prepare(photo, 0, 0, width, height, prepared)
        assertNear(bundle.floats(prepare.outputs.getValue("input")), prepared.all(), prepare.tolerance, "prepare")

        val detection = records.getValue("detection")
        val faces = FaceList()
        BlazeFace(bundle.floats("anchors")).decode(
            buffer(bundle.floats(detection.inputs.getValue("regressors"))), buffer(bundle.floats(detection.inputs.getValue("classificators"))),
            input.side.toDouble(), input.left.toDouble(), input.top.toDouble(), faces,
        )
        faces.sort()
        assertNear(bundle.floats(detection.outputs.getValue("box")), FloatArray(4) { faces.boxes[it].toFloat() }, detection.tolerance, "box")
        assertNear(bundle.floats(detection.outputs.getValue("keypoints")), FloatArray(12) { faces.keypoints[it].toFloat() }, detection.tolerance, "keypoints")

        val record = records.getValue("crop")
        val box = bundle.floats(record.inputs.getValue("box"))
        val crop = Crop(bundle.manifest.crop.size)
        crop.fromBox(box[0].toDouble(), box[1].toDouble(), box[2].toDouble(), box[3].toDouble(), bundle.manifest.crop)
        val cut = floatBuffer(3 * crop.size * crop.size)
        crop.cut(photo, cut)
        val (rows, columns, channels) = bundle.manifest.arrays.getValue(record.outputs.getValue("thumb")).shape.toList()
        val step = crop.size / rows
        val thumb = FloatArray(rows * columns * channels) {
            val (row, column) = step * (it / channels / columns) to step * (it / channels % columns)
            cut.get(channels * (row * crop.size + column) + it % channels)
        }
        assertNear(bundle.floats(record.outputs.getValue("thumb")), thumb, record.tolerance, "crop")
    }

    @Test
    fun `cut, changed, longer and missing files are refused by name`() {
        for (name in listOf("models/expression.tflite", "models/face_detector.tflite", "head/triangles.u16", "golden/image.u8")) {
            val content = files.getValue(name)
            assertTrue(name in refused(files + (name to content.copyOf(content.size / 2))))
            assertTrue("more bytes" in refused(files + (name to content.copyOf(content.size + 1))))
            assertTrue("SHA-256" in refused(files + (name to content.copyOf().also { it[100] = (it[100].toInt() xor 1).toByte() })))
            assertTrue("missing" in refused(files - name))
        }
    }

    @Test
    fun `a changed manifest is refused though it is sound JSON`() {
        val text = String(files.getValue("manifest.json"))
        assertTrue("digest" in refused(files + ("manifest.json" to text.replace("\"down\": -0.025", "\"down\": -0.035").toByteArray())))
        assertTrue("format" in refused(files + ("manifest.json" to text.replace("emoca-tf bundle 2", "emoca-tf bundle 1").toByteArray())))
        assertTrue("not a bundle" in refused(files - "manifest.json"))
        assertTrue("damaged" in refused(files + ("manifest.json" to "{".toByteArray())))
        assertTrue("damaged" in refused(files + ("manifest.json" to ByteArray(100_000) { '['.code.toByte() })))
    }

    /** Manifests that vouch for themselves but cannot be: the digest alone does not make them sound. */
    @Test
    fun `a manifest with a fitting digest is still checked member by member`() {
        val text = String(files.getValue("manifest.json"))
        val size = files.getValue("models/expression.tflite").size
        for ((from, to) in listOf(
            "\"models/expression.tflite\"" to "\"models/../expression.tflite\"",
            "\"side\": 1.41" to "\"side\": 0",
            "\"side\": 1.41" to "\"side\": 1e999",
            "\"size\": 224" to "\"size\": 2000000000",
            "\"overlap\": 0.3" to "\"overlap\": \"0.3\"",
            "\"colour\": \"RGB\"" to "\"colour\": \"BGR\"",
            "\"bytes\": $size" to "\"bytes\": -5",
            "\"bytes\": $size" to "\"bytes\": 99999999999",
            "\"dtype\": \"<f4\"" to "\"dtype\": \"<f8\"",
            "\"dtype\": \"<u2\"" to "\"dtype\": \"|u1\"",
            "\"offset\": -1.0" to "\"offset\": \"-1\"",
            "\"scale\": 0.00" to "\"scale\": null, \"was\": 0.00",
            "\"stages\": {" to "\"stages\": {\"more\": \"models/none.tflite\",",
            "\"emotion_classes\": [" to "\"emotion_classes\": [7,",
        )) {
            val changed = text.replace(from, to)
            assertTrue(changed != text) { from }
            val message = refused(files + ("manifest.json" to sign(changed)))
            assertTrue("digest" !in message && "damaged manifest" in message) { "$from: $message" }
        }
        Bundle.load(MemorySource(files + ("manifest.json" to sign(text))))
    }

    @Test
    fun `a mesh that is missing or names other vertices is refused`() {
        val text = String(files.getValue("manifest.json"))
        for (changed in listOf(
            text.replace("\"small_vertices\"", "\"other\""),
            text.replace("\"small_triangles\"", "\"other\"").replace("\"triangles\"", "\"small_triangles\""),
        )) {
            val bundle = Bundle.load(MemorySource(files + ("manifest.json" to sign(changed))))
            assertThrows<BundleException> { FaceEngine.open(bundle, InterpreterRuntime(threads = 1), EngineSettings(mesh = Mesh.SMALL)) }
        }
    }

    /** Both networks in one file, or each in its own: the same codes. */
    @Test
    fun `pose and shape may be networks of their own`() {
        val text = String(files.getValue("manifest.json"))
        val stage = Regex("\"pose_shape\": (\"models/pose_shape.tflite\")")
        assumeTrue(stage.containsMatchIn(text))
        val apart = files + ("manifest.json" to sign(stage.replace(text) { "\"pose\": ${it.groupValues[1]}, \"shape\": ${it.groupValues[1]}" }))
        val image = Given.image(Given.pictures().first { it.member("face") is Json.Object })
        val (one, two) = listOf(files, apart).map { content ->
            FaceEngine.open(Bundle.load(MemorySource(content)), InterpreterRuntime(threads = 1), EngineSettings.PHOTOS).use { engine ->
                val codes = engine.process(image, 0.0).rawCodes
                Codes.GROUPS.flatMap { codes.group(it)!!.toList() }
            }
        }
        assertEquals(one, two)
        assertTrue(one.any { it != 0f })
    }

    /** A manifest with the digest that belongs to it. */
    private fun sign(text: String): ByteArray {
        val root = Json.parse(text) as Json.Object
        val rest = Json.Object(root.members - "digest")
        val digest = Manifest.sha256(rest.canonical().toString().toByteArray())
        return Json.Object(rest.members + ("digest" to Json.Text(digest))).canonical().toString().toByteArray()
    }

    @Test
    fun `links and other heads are refused`(@org.junit.jupiter.api.io.TempDir folder: File) {
        Given.bundle.copyRecursively(folder, overwrite = true)
        val model = File(folder, "models/expression.tflite")
        model.delete()
        java.nio.file.Files.createSymbolicLink(model.toPath(), File(folder, "models/face_detector.tflite").toPath())
        assertTrue("missing" in assertThrows<BundleException> { Bundle.load(FolderSource(folder)) }.message!!)
        val bundle = Bundle.load(FolderSource(Given.bundle))
        assertThrows(BundleException::class.java) { bundle.bytes("triangles") }
    }

    @Test
    fun `canonical JSON is Python's`() {
        val json = Json.parse("""{"b": [1, -2.5e-05, true, null], "a": "\u00e9\n\"\\ \ud83d\ude00\u007f", "\ufb01": {}, "😀": []}""")
        assertEquals(
            """{"a":"\u00e9\n\"\\ \ud83d\ude00\u007f","b":[1,-2.5e-05,true,null],"\ufb01":{},"\ud83d\ude00":[]}""",
            json.canonical().toString(),
        )
        for (bad in listOf("", "{", "[1,]", "{\"a\":1,\"a\":2}", "01", "1.", "+1", "nul", "\"\u0001\"", "\"\\x\"", "\"\\u12g4\"", "[] []", "NaN")) {
            assertThrows<IllegalArgumentException>(bad) { Json.parse(bad) }
        }
    }
}
