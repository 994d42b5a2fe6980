package org.emoca.engine

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.FloatBuffer
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Assumptions.assumeTrue

/** One case of `src/test/resources/golden`, written by `golden.py`. */
class GoldenCase(private val json: Json.Object) {
    val parameters: Json.Object = json.objectOf("parameters")
    val name: String = json.text("stage")

    fun bytes(name: String): ByteArray = resource(entry(name).text("file"))

    fun shape(name: String): List<Int> = entry(name).arrayOf("shape").map { it.asInt("shape") }

    fun doubles(name: String): DoubleArray {
        val file = entry(name).text("file")
        val data = ByteBuffer.wrap(resource(file)).order(ByteOrder.LITTLE_ENDIAN)
        return if (file.endsWith("f8")) DoubleArray(data.remaining() / 8) { data.getDouble(8 * it) } else DoubleArray(data.remaining() / 4) { data.getFloat(4 * it).toDouble() }
    }

    fun floats(name: String): FloatArray = doubles(name).let { values -> FloatArray(values.size) { values[it].toFloat() } }

    fun ints(name: String): List<Int> = parameters.arrayOf(name).map { it.asInt(name) }

    fun image(name: String): RgbImage = shape(name).let { (height, width) -> rgb(width, height, bytes(name)) }

    private fun entry(name: String): Json.Object {
        val inputs = json.objectOf("inputs")
        return if (name in inputs.members) inputs.objectOf(name) else json.objectOf("outputs").objectOf(name)
    }

    companion object {
        private val index = Json.parse(String(resource("index.json"))) as Json.Object

        /** Every case of a stage; there is at least one. */
        fun of(stage: String): List<GoldenCase> =
            index.arrayOf("cases").map { GoldenCase(it as Json.Object) }.filter { it.name == stage }.also { assertTrue(it.isNotEmpty()) }

        private fun resource(file: String): ByteArray = GoldenCase::class.java.getResourceAsStream("/golden/$file")!!.use { it.readAllBytes() }
    }
}

fun rgb(width: Int, height: Int, pixels: ByteArray): RgbImage {
    val image = RgbImage(width, height)
    System.arraycopy(pixels, 0, image.pixels, 0, 3 * width * height)
    return image
}

fun buffer(values: FloatArray): FloatBuffer = floatBuffer(values.size).also { it.put(values).position(0) }

fun floatBuffer(size: Int): FloatBuffer = ByteBuffer.allocateDirect(4 * size).order(ByteOrder.nativeOrder()).asFloatBuffer()

fun FloatBuffer.all(): FloatArray = FloatArray(capacity()).also { duplicate().position(0).get(it) }

/** Largest absolute difference, which must not be larger than [tolerance]. */
fun assertNear(wanted: FloatArray, found: FloatArray, tolerance: Double, what: String): Double {
    assertEquals(wanted.size, found.size, what)
    var worst = 0.0
    for (i in wanted.indices) {
        val off = Math.abs(wanted[i].toDouble() - found[i])
        assertTrue(off <= tolerance) { "$what: value $i is ${found[i]} instead of ${wanted[i]}, tolerance $tolerance" }
        worst = maxOf(worst, off)
    }
    return worst
}

fun assertNear(wanted: DoubleArray, found: DoubleArray, tolerance: Double, what: String) {
    assertEquals(wanted.size, found.size, what)
    for (i in wanted.indices) assertEquals(wanted[i], found[i], tolerance, "$what: value $i")
}

/** A bundle, and what Python sees with it; tests that need them are skipped, visibly, where they are not given. */
object Given {
    val bundle: File by lazy { folder("emoca.bundle") }
    val expected: File by lazy { folder("emoca.expected") }

    private fun folder(property: String): File {
        val given = System.getProperty(property)
        assumeTrue(given != null, "no -D$property: see jvm.py")
        return File(given!!)
    }

    fun floats(file: File): FloatArray {
        val data = ByteBuffer.wrap(file.readBytes()).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer()
        return FloatArray(data.remaining()).also(data::get)
    }

    /** Pictures of the folder [expected] with what Python saw in them. */
    fun pictures(): List<Json.Object> = index.arrayOf("pictures").map { it as Json.Object }

    private val index: Json.Object by lazy { Json.parse(File(expected, "index.json").readText()) as Json.Object }

    /** How far Python's own `codes`, `vertices` (metres) or `probabilities` move when the last bits of the pixels differ. */
    fun trembling(what: String): Double = index.objectOf("trembling").double(what)

    fun image(picture: Json.Object): RgbImage = rgb(picture.int("width"), picture.int("height"), File(expected, picture.text("file")).readBytes())
}
