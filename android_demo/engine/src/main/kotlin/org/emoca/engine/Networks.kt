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

/** The heads of a bundle: `head` with its landmarks, and the mesh that is drawn. */
internal class HeadNetworks(bundle: Bundle, runners: Runners, codes: Codes, meshStage: String) {
    private val head = CodesNetwork(bundle.name, "head", runners.open("head"), codes)
    private val mesh = if (meshStage == "head") head else CodesNetwork(bundle.name, meshStage, runners.open(meshStage), codes)
    private val vertexValues = mesh.runner.output("vertices")

    /** MediaPipe's points where the head has them (the crop rule was made for them), else the 68. */
    private val landmarkValues: FloatBuffer? = head.runner.outputs.filter { it.name.startsWith("landmarks") && it.size >= 3 }
        .maxByOrNull { it.size }?.let { head.runner.output(it.name) }

    /** x, y, z of every vertex of the mesh, metres. */
    val vertices = FloatArray(vertexValues.capacity())

    /** x, y, z of every landmark, metres; empty where the head has none. */
    val landmarks = FloatArray(landmarkValues?.capacity() ?: 0)

    init {
        if (meshStage == "head" && vertices.size != 3 * bundle.manifest.headVertices) {
            throw BundleException("${bundle.name}: the head has ${vertices.size / 3} vertices, its manifest says ${bundle.manifest.headVertices}")
        }
        val triangles = if (meshStage == "head") "triangles" else "small_triangles"
        if (bundle.hasArray(triangles) && bundle.ints(triangles).any { it < 0 || it >= vertices.size / 3 }) {
            throw BundleException("${bundle.name}: triangles name vertices that the head does not have")
        }
    }

    fun run() {
        head.run()
        if (mesh !== head) mesh.run()
        copy(vertexValues, vertices)
        if (landmarkValues != null) copy(landmarkValues, landmarks)
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
