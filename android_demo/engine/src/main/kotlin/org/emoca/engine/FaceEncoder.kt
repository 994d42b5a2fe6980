package org.emoca.engine

import java.nio.FloatBuffer

/**
 * Crop to codes: networks `pose_shape` and `expression` (mobile; `pose` and `shape` where they have no trunk in common), or
 * `coarse` and `expression` (EMOCA).
 *
 * @throws BundleException the bundle's networks do not make an encoder.
 */
internal class FaceEncoder(bundle: Bundle, private val codes: Codes, opened: Runners) {
    /** The networks that look at the crop, in the order in which they run. */
    val stages: List<String> = when {
        "coarse" in bundle -> listOf("coarse", "expression")
        "pose_shape" in bundle -> listOf("pose_shape", "expression")
        else -> listOf("pose", "shape", "expression")
    }

    private val runners: Array<TensorRunner>
    private val images: Array<FloatBuffer>
    private val links: Array<Array<Link>>

    init {
        for (stage in stages) if (stage !in bundle) throw BundleException("${bundle.name} has no stage '$stage'")
        runners = Array(stages.size) { opened.open(stages[it]) }
        images = Array(stages.size) { runners[it].input("image") }
        links = Array(stages.size) { links(bundle, stages[it], runners[it]).toTypedArray() }
        val needed = 3 * bundle.manifest.crop.size * bundle.manifest.crop.size
        for (input in images) {
            if (input.capacity() != needed) throw BundleException("${bundle.name}: a network's crop is of another size")
        }
    }

    /** Cut the crop into every network's input. */
    fun look(image: RgbImage, crop: Crop) {
        crop.cut(image, images[0])
        for (i in 1 until images.size) crop.repeat(images[i])
    }

    /**
     * Run the networks and gather their outputs in the codes.
     *
     * @param withShape also the network that only tells identity, colour and light, if there is one.
     * @return false where a network gave something that is not finite.
     */
    fun encode(withShape: Boolean): Boolean {
        var sound = true
        for (i in runners.indices) {
            if (stages[i] == "shape" && !withShape) continue
            runners[i].run()
            for (link in links[i]) sound = link.copy() && sound
        }
        return sound
    }

    private fun links(bundle: Bundle, stage: String, runner: TensorRunner): List<Link> = when (stage) {
        "coarse" -> {
            var start = 0
            val found = ArrayList<Link>()
            for ((name, size) in bundle.manifest.codeSizes) {
                val target = codes.group(name) ?: throw BundleException("${bundle.name} has codes '$name' that this app does not know")
                if (name != "exp") found += Link("codes", start, target, 0, size)
                start += size
            }
            found
        }
        "pose" -> pose()
        "shape" -> shape()
        "pose_shape" -> pose() + shape()
        else -> {
            val exp = Link("exp", 0, codes.exp, 0, codes.exp.size)
            val mobile = runner.outputs.any { it.name == "jaw" }
            if (mobile) listOf(exp, Link("jaw", 0, codes.pose, 3, 3), Link("eyelid", 0, codes.eyelid, 0, 2)) else listOf(exp)
        }
    }.onEach { it.open(bundle.name, stage, runner) }

    private fun pose() = listOf(Link("global", 0, codes.pose, 0, 3), Link("cam", 0, codes.cam, 0, 3))

    private fun shape() = listOf(
        Link("shape", 0, codes.shape, 0, codes.shape.size), Link("tex", 0, codes.tex, 0, codes.tex.size),
        Link("light", 0, codes.light, 0, codes.light.size),
    )

    /** Values of an output that become a part of a group. */
    private class Link(val output: String, val start: Int, val target: FloatArray, val at: Int, val size: Int) {
        private lateinit var values: FloatBuffer

        fun open(bundle: String, stage: String, runner: TensorRunner) {
            values = runner.output(output)
            if (start + size > values.capacity() || at + size > target.size) {
                throw BundleException("$bundle: stage '$stage' gives ${values.capacity()} values as '$output', the codes need ${start + size}")
            }
        }

        fun copy(): Boolean {
            values.seek(start)
            values.get(target, at, size)
            values.seek(0)
            for (i in at until at + size) if (!target[i].isFinite()) return false
            return true
        }
    }
}
