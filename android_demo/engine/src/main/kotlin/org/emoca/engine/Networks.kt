package org.emoca.engine

import java.nio.FloatBuffer

/** The runners of a bundle's stages: each opened once, all closed together. */
internal class Runners(private val bundle: Bundle, private val runtime: TensorRuntime) : AutoCloseable {
    private val opened = LinkedHashMap<String, TensorRunner>()

    /** @throws BundleException there is no such stage. @throws ModelException the runtime refuses its network. */
    fun open(stage: String): TensorRunner = opened.getOrPut(stage) {
        val model = bundle.model(stage)
        try {
            runtime.open(model)
        } catch (error: ModelException) {
            throw ModelException("${bundle.name}: stage '$stage': ${error.message}", error)
        }
    }

    override fun close() {
        for (runner in opened.values.reversed()) runner.close()
        opened.clear()
    }
}

/** The detector of a bundle. @throws BundleException its tensors are not BlazeFace's. */
internal fun openSearch(bundle: Bundle, runners: Runners): FaceSearch {
    val manifest = bundle.manifest
    val runner = runners.open("detector")
    val anchors = if (bundle.hasArray("anchors")) bundle.floats("anchors") else BlazeFace.anchors()
    val count = anchors.size / 2
    val fits = runner.input("input").capacity() == 3 * manifest.detectorSize * manifest.detectorSize &&
        runner.output("regressors").capacity() == count * (4 + 2 * BlazeFace.KEYPOINTS) &&
        runner.output("classificators").capacity() == count
    if (!fits) throw BundleException("${bundle.name}: the detector does not fit its $count anchors and ${manifest.detectorSize} pixels")
    val decoder = BlazeFace(anchors, manifest.detectorSize, manifest.detectorScore, manifest.detectorOverlap)
    return FaceSearch(runner, DetectorInput(manifest.detectorSize), decoder, manifest.detectorOverlap)
}

/** The head of a bundle with its landmarks: all of its vertices, or those of the small mesh. */
internal class HeadNetwork(bundle: Bundle, runners: Runners, codes: Codes, mesh: Mesh) {
    private val head = CodesNetwork(bundle.name, "head", runners.open("head"), codes)
    private val vertexValues = head.runner.output("vertices")

    /** The vertices that are wanted, or null for all. */
    private val chosen: IntArray? = mesh.vertices?.let(bundle::ints)

    /** MediaPipe's points where the head has them (the crop rule was made for them), else the 68. */
    private val landmarkValues: FloatBuffer? = head.runner.outputs.filter { it.name.startsWith("landmarks") && it.size >= 3 }
        .maxByOrNull { it.size }?.let { head.runner.output(it.name) }

    /** x, y, z of every vertex of the mesh, metres. */
    val vertices = FloatArray(if (chosen == null) vertexValues.capacity() else 3 * chosen.size)

    /** x, y, z of every landmark, metres; empty where the head has none. */
    val landmarks = FloatArray(landmarkValues?.capacity() ?: 0)

    init {
        val count = vertexValues.capacity() / 3
        if (count != bundle.manifest.headVertices) {
            throw BundleException("${bundle.name}: the head has $count vertices, its manifest says ${bundle.manifest.headVertices}")
        }
        val sound = (chosen == null || chosen.all { it in 0 until count }) &&
            (!bundle.hasArray(mesh.triangles) || bundle.ints(mesh.triangles).all { it in 0 until vertices.size / 3 })
        if (!sound) throw BundleException("${bundle.name}: the mesh names vertices that the head does not have")
    }

    fun run() {
        head.run()
        if (chosen == null) copy(vertexValues, vertices) else choose(chosen)
        if (landmarkValues != null) copy(landmarkValues, landmarks)
    }

    private fun choose(rows: IntArray) {
        for (i in rows.indices) for (k in 0..2) vertices[3 * i + k] = vertexValues.get(3 * rows[i] + k)
    }

    private fun copy(from: FloatBuffer, to: FloatArray) {
        from.seek(0)
        from.get(to)
        from.seek(0)
    }
}

/** What reads emotions in a bundle: a read-out of the codes, else a network that looks at the crop. */
internal class EmotionNetwork private constructor(
    private val runner: TensorRunner,
    private val ofCodes: CodesNetwork?,
    classes: List<String>,
    smoothing: Smoothing?,
) {
    val readout = EmotionReadout(classes, smoothing)
    private val image = if (ofCodes == null) runner.input("image") else null
    private val logits = runner.output("expression")
    private val valence = optional("valence")
    private val arousal = optional("arousal")

    fun read(crop: Crop, seconds: Double) {
        if (image != null) {
            crop.repeat(image)
            runner.run()
        } else {
            ofCodes?.run()
        }
        readout.read(logits, valence, arousal, seconds)
    }

    private fun optional(name: String): FloatBuffer? = if (runner.outputs.any { it.name == name }) runner.output(name) else null

    companion object {
        /** Null where the bundle reads no emotion. @throws BundleException the network does not fit the manifest. */
        fun open(bundle: Bundle, runners: Runners, codes: Codes, smoothing: Smoothing?): EmotionNetwork? {
            val stage = EMOTION_STAGES.firstOrNull { it in bundle } ?: return null
            val runner = runners.open(stage)
            val classes = bundle.manifest.emotionClasses
            if (runner.output("expression").capacity() != classes.size) {
                throw BundleException("${bundle.name}: stage '$stage' does not tell the ${classes.size} classes of the manifest")
            }
            if (stage == "readout") return EmotionNetwork(runner, CodesNetwork(bundle.name, stage, runner, codes), classes, smoothing)
            val size = bundle.manifest.crop.size
            if (runner.input("image").capacity() != 3 * size * size) throw BundleException("${bundle.name}: stage '$stage' takes another crop")
            return EmotionNetwork(runner, null, classes, smoothing)
        }

        private val EMOTION_STAGES = listOf("readout", "emotion")
    }
}
