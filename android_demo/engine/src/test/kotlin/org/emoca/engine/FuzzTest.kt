package org.emoca.engine

import java.nio.ByteBuffer
import java.time.Duration
import java.util.Random
import org.emoca.runtime.InterpreterRuntime
import org.junit.jupiter.api.Assertions.assertTimeout
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Tag
import org.junit.jupiter.api.Test

/** Mutated bundles and frames: refused in one line, or processed; never a crash (it would end this process) or a hang. */
class FuzzTest {
    @Test
    fun `mutated bundles are refused`() = fuzzBundles(80, 1)

    @Test
    @Tag("slow")
    fun `ten thousand mutated bundles are refused`() = fuzzBundles(10_000, 2)

    @Test
    fun `mutated frames are processed or refused`() = fuzzFrames(60, 3)

    @Test
    @Tag("slow")
    fun `ten thousand mutated frames are processed or refused`() = fuzzFrames(10_000, 4)

    private fun fuzzBundles(count: Int, seed: Long) {
        val random = Random(seed)
        val files = Given.bundle.walk().filter { it.isFile }.sortedBy { it.path }
            .associate { it.relativeTo(Given.bundle).invariantSeparatorsPath to it.readBytes() }
        val names = files.keys.toList()
        var refused = 0
        repeat(count) {
            // Half of the attempts go at the manifest, which is parsed before it is trusted.
            val name = if (random.nextBoolean()) "manifest.json" else names[random.nextInt(names.size)]
            val changed = mutate(files.getValue(name), random)
            if (changed.contentEquals(files.getValue(name))) return@repeat
            val seen = assertTimeout(LIMIT, org.junit.jupiter.api.function.ThrowingSupplier {
                try {
                    Bundle.load(MemorySource(files + (name to changed)))
                    null
                } catch (error: BundleException) {
                    error.message!!
                }
            })
            // White space may change within a manifest, and nothing else anywhere.
            assertTrue(seen != null || name == "manifest.json" && sameJson(files.getValue(name), changed)) { "mutation $it of $name was accepted" }
            if (seen != null) {
                assertTrue('\n' !in seen) { seen }
                refused++
            }
        }
        println("$refused of $count mutated bundles refused")
        assertTrue(refused > 0.9 * count)
    }

    private fun sameJson(a: ByteArray, b: ByteArray): Boolean =
        Json.parse(String(a)).canonical().toString() == Json.parse(String(b)).canonical().toString()

    private fun mutate(content: ByteArray, random: Random): ByteArray {
        val at = random.nextInt(content.size)
        return when (random.nextInt(4)) {
            0 -> content.copyOf(at)
            1 -> content.copyOf().also { it[at] = (it[at].toInt() xor (1 shl random.nextInt(8))).toByte() }
            2 -> content.copyOf(at) + ByteArray(1 + random.nextInt(63)).also(random::nextBytes) + content.copyOfRange(at, content.size)
            else -> content.copyOf(at) + content.copyOfRange(minOf(content.size, at + 1 + random.nextInt(255)), content.size)
        }
    }

    private fun fuzzFrames(count: Int, seed: Long) {
        val random = Random(seed)
        val photo = Given.image(Given.pictures().first { it.member("face") is Json.Object })
        val image = RgbImage()
        val converter = YuvConverter()
        val frame = YuvFrame()
        var refused = 0
        var found = 0
        FaceEngine.open(Bundle.load(FolderSource(Given.bundle)), InterpreterRuntime(threads = 1)).use { engine ->
            repeat(count) { number ->
                assertTimeout(LIMIT) {
                    val good = if (number % 3 == 0) mutatedPicture(photo, image, random) else camera(frame, converter, image, random)
                    if (!good) {
                        refused++
                        return@assertTimeout
                    }
                    val seconds = if (random.nextInt(8) == 0) random.nextGaussian() * 1e9 else number / 30.0
                    val result = engine.process(image, seconds)
                    if (result.found) {
                        found++
                        for (value in result.vertices) assertTrue(value.isFinite()) { "frame $number" }
                        for (value in result.codes.cam) assertTrue(value.isFinite()) { "frame $number" }
                    }
                }
            }
        }
        println("$count mutated frames: $refused refused, a face in $found, the rest without")
        assertTrue(found > 0 && refused > 0 && refused < count)
    }

    /** The photo cut to any size, with blocks of noise and flipped bits. */
    private fun mutatedPicture(photo: RgbImage, out: RgbImage, random: Random): Boolean {
        val width = 1 + random.nextInt(photo.width)
        val height = 1 + random.nextInt(photo.height)
        val whole = random.nextInt(3) == 0
        out.resize(if (whole) photo.width else width, if (whole) photo.height else height)
        for (row in 0 until out.height) System.arraycopy(photo.pixels, 3 * row * photo.width, out.pixels, 3 * row * out.width, 3 * out.width)
        repeat(random.nextInt(200)) {
            val at = random.nextInt(3 * out.width * out.height)
            out.pixels[at] = (out.pixels[at].toInt() xor (1 shl random.nextInt(8))).toByte()
        }
        if (random.nextInt(4) == 0) {
            val from = random.nextInt(3 * out.width * out.height)
            java.util.Arrays.fill(out.pixels, from, minOf(3 * out.width * out.height, from + random.nextInt(100_000)), random.nextInt().toByte())
        }
        return true
    }

    /** Planes of any size, strides and crop: sound ones and wrong ones. */
    private fun camera(frame: YuvFrame, converter: YuvConverter, out: RgbImage, random: Random): Boolean {
        val width = random.nextInt(200) - 2
        val height = random.nextInt(200) - 2
        val planes = List(3) { ByteBuffer.wrap(ByteArray(random.nextInt(90_000)).also(random::nextBytes)) }
        return try {
            frame.set(
                width, height, planes[0], width + random.nextInt(40) - 4, 1 + random.nextInt(2) * random.nextInt(2),
                planes[1], planes[2], width + random.nextInt(20) - 4, random.nextInt(4),
            )
            if (random.nextBoolean()) frame.crop(random.nextInt(20) - 1, random.nextInt(20) - 1, random.nextInt(180), random.nextInt(180))
            converter.convert(frame, 90 * random.nextInt(5), random.nextBoolean(), out)
            true
        } catch (_: IllegalArgumentException) {
            false
        }
    }

    private companion object {
        val LIMIT: Duration = Duration.ofSeconds(60)
    }
}
