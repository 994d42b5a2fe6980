package org.emoca.engine

import kotlin.math.abs
import org.emoca.runtime.InterpreterRuntime

/**
 * How the engine follows a face through the frames of a video (`expected.py BUNDLE DIR --video FILE`), with its usual
 * settings: frames with a face, detections, new starts, how the crop agrees with the detector's, how calm the codes are.
 */
fun main() {
    val pictures = Given.pictures().filter { it.text("kind") == "frame" }
    val bundle = Bundle.load(FolderSource(Given.bundle))
    println("${pictures.size} frames; bundle: ${bundle.manifest.weights}, head ${bundle.manifest.headName}")
    for ((title, settings) in listOf(
        "usual settings" to EngineSettings(),
        "without smoothing" to EngineSettings(filters = FilterSettings.OFF),
        "the detector's box in every frame, without smoothing" to EngineSettings.PHOTOS,
    )) {
        FaceEngine.open(bundle, InterpreterRuntime(threads = 1), settings).use { follow(it, pictures, title) }
    }
}

private fun follow(engine: FaceEngine, pictures: List<Json.Object>, title: String) {
    var found = 0
    var detections = 0
    var starts = 0
    val overlaps = ArrayList<Double>()
    val turns = ArrayList<FloatArray>()
    val expressions = ArrayList<FloatArray>()
    for (picture in pictures) {
        val result = engine.process(Given.image(picture), picture.double("seconds"))
        if (result.detected) detections++
        if (!result.found) continue
        found++
        if (result.fresh) starts++
        turns += result.codes.pose.copyOf(3)
        expressions += result.codes.exp.copyOf()
        val face = picture.member("face") as? Json.Object ?: continue
        val square = face.arrayOf("square").map { it.asDouble("square") }
        val wanted = doubleArrayOf(square[0], square[1], square[0] + square[2], square[1] + square[2])
        val crop = result.crop
        overlaps += intersectionOverUnion(wanted, 0, doubleArrayOf(crop.left, crop.top, crop.left + crop.side, crop.top + crop.side), 0)
    }
    println("\n$title: a face in $found frames, $detections detections, $starts starts")
    if (overlaps.isNotEmpty()) {
        println("crop against the detector's, intersection over union: mean %.2f, least %.2f".format(overlaps.average(), overlaps.min()))
    }
    println("trembling (mean second difference): expression %.4f, head %.4f rad".format(trembling(expressions), trembling(turns)))
}

private fun trembling(rows: List<FloatArray>): Double {
    var sum = 0.0
    var count = 0
    for (t in 1 until rows.size - 1) for (i in rows[t].indices) {
        sum += abs(rows[t - 1][i] - 2.0 * rows[t][i] + rows[t + 1][i])
        count++
    }
    return if (count == 0) 0.0 else sum / count
}
