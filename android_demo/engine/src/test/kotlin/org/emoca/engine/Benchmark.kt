package org.emoca.engine

import java.nio.ByteBuffer
import org.bytedeco.tensorflowlite.global.tensorflowlite.TfLiteVersion
import org.emoca.runtime.InterpreterRuntime

private const val ROUNDS = 200

/** Milliseconds of every stage a frame (median and least), and bytes allocated a frame, on this machine. */
fun main() {
    val bundle = Bundle.load(FolderSource(Given.bundle))
    val photo = RgbImage(640, 480)
    val source = Given.image(Given.pictures().first { it.member("face") is Json.Object })
    for (row in 0 until minOf(480, source.height)) {
        System.arraycopy(source.pixels, 3 * row * source.width, photo.pixels, 3 * row * 640, 3 * minOf(640, source.width))
    }
    println("engine on JDK ${Runtime.version().feature()}, TensorFlow Lite ${TfLiteVersion().string}, ${InterpreterRuntime(threads = 1).name}; bundle: ${bundle.manifest.weights}, head ${bundle.manifest.headName}")
    println("640 x 480 frames, $ROUNDS after warming up. Times of this machine say nothing about phones.")
    camera()
    engine(bundle, photo, "detection in every frame, no smoothing", EngineSettings.PHOTOS)
    engine(bundle, photo, "following: detection every 10th frame, smoothing", EngineSettings())
}

private fun camera() {
    val y = ByteBuffer.allocateDirect(640 * 480)
    val uv = ByteBuffer.allocateDirect(640 * 240)
    val frame = YuvFrame().set(640, 480, y, 640, 1, uv, uv, 640, 2)
    val image = RgbImage()
    val converter = YuvConverter()
    val times = LongArray(ROUNDS)
    repeat(ROUNDS) { converter.convert(frame, 90, true, image) }
    for (round in 0 until ROUNDS) {
        val start = System.nanoTime()
        converter.convert(frame, 90, true, image)
        times[round] = System.nanoTime() - start
    }
    println("\ncamera frame to upright RGB:    ${line(times)}   ${Allocations.perCall(ROUNDS) { converter.convert(frame, 90, true, image) }} bytes")
}

private fun engine(bundle: Bundle, image: RgbImage, title: String, settings: EngineSettings) {
    val runtime = InterpreterRuntime(threads = 1)
    FaceEngine.open(bundle, runtime, settings).use { engine ->
        repeat(ROUNDS) { engine.process(image, it / 30.0) }
        val times = Array(Stage.values().size) { LongArray(ROUNDS) }
        var found = 0
        for (round in 0 until ROUNDS) {
            val result = engine.process(image, (ROUNDS + round) / 30.0)
            if (result.found) found++
            for (stage in Stage.values()) times[stage.ordinal][round] = result.nanos(stage)
        }
        println("\n$title: a face in $found of $ROUNDS; XNNPACK leaves ${runtime.left} operations to the plain kernels")
        println("stage         median ms  least ms")
        for (stage in Stage.values()) println("%-12s  %s".format(stage.name.lowercase(), line(times[stage.ordinal])))
        println("allocated a frame: ${Allocations.perCall(ROUNDS) { engine.process(image, (2 * ROUNDS + it) / 30.0) }} bytes")
    }
}

private fun line(nanos: LongArray): String {
    val sorted = nanos.sorted()
    return "%9.3f %9.3f".format(sorted[sorted.size / 2] / 1e6, sorted.first() / 1e6)
}
