package org.emoca.engine

/**
 * Meshes of a bundle's head.
 *
 * @property vertices array of the vertices of the head that it consists of; null for all.
 * @property triangles array of its triangles.
 */
enum class Mesh(val vertices: String?, val triangles: String) {
    WHOLE(null, "triangles"),

    /** A quarter of the triangles, for slow renderers. */
    SMALL("small_vertices", "small_triangles"),
}

/**
 * How the engine works.
 *
 * @param mesh whose vertices are wanted.
 * @param shapeEvery frames from one look at identity, colour and light to the next where they have a network of their own;
 *     they hardly change in one person.
 */
class EngineSettings(
    val tracking: TrackingSettings = TrackingSettings(),
    val filters: FilterSettings = FilterSettings(),
    val mesh: Mesh = Mesh.WHOLE,
    val shapeEvery: Int = 5,
) {
    init {
        require(shapeEvery >= 1) { "identity every $shapeEvery frames" }
    }

    companion object {
        /** Every picture for itself, as `emoca_tf.capture.bundle.Bundle` treats photos. */
        val PHOTOS = EngineSettings(TrackingSettings(detectEvery = 1, cropFromLandmarks = false), FilterSettings.OFF, shapeEvery = 1)
    }
}

/**
 * Picture to head and emotion, frame after frame, with the networks of a bundle: [open], [process] every frame,
 * [close], all on one thread. After the first frames [process] allocates nothing.
 */
class FaceEngine private constructor(
    val bundle: Bundle,
    /** What runs the networks, for people. */
    val runtimeName: String,
    private val runners: Runners,
    private val settings: EngineSettings,
) : AutoCloseable {
    private val codes = codesOf(bundle)
    private val shapeKept = codesOf(bundle)
    private val search = openSearch(bundle, runners)
    private val encoder = FaceEncoder(bundle, codes, runners)
    private val head = HeadNetwork(bundle, runners, codes, settings.mesh)
    private val emotion = EmotionNetwork.open(bundle, runners, codes, settings.filters.emotion.takeIf { settings.filters.enabled })
    private val filter = CodesFilter(codes, settings.filters)
    private val tracker = Tracker(settings.tracking, bundle.manifest.crop)
    private val result = FaceResult(codes, codesOf(bundle), head.vertices, head.landmarks, bundle.manifest.crop.size, emotion?.readout)
    private var sinceShape = 0

    /** Faces of the last detection, largest first. */
    val faces = FaceList()

    /** A person's resting face. */
    val calibration = NeutralCalibration(codes.exp.size, bundle.manifest.expressionRange)

    init {
        if (settings.tracking.cropFromLandmarks && head.landmarks.isEmpty()) {
            throw BundleException("${bundle.name}: the head has no landmarks to follow a face by")
        }
    }

    /**
     * Look at a picture.
     *
     * @param image upright, not mirrored.
     * @param seconds when it was taken, on any clock that advances.
     * @return the same object every time.
     * @throws ModelException the runtime failed.
     */
    fun process(image: RgbImage, seconds: Double): FaceResult {
        val start = System.nanoTime()
        result.clear(seconds)
        find(image)
        if (tracker.following) look(image, seconds)
        result.time(Stage.TOTAL, System.nanoTime() - start)
        return result
    }

    /** Forget the face that is followed, for instance when the camera changes. The calibration stays. */
    fun reset() {
        tracker.lose()
        forget()
    }

    override fun close() = runners.close()

    private fun find(image: RgbImage) {
        if (!tracker.needsDetection()) {
            tracker.skipped()
            return
        }
        val followed = tracker.following
        search.search(image, settings.tracking.searchWindows && !followed, faces)
        tracker.detected(faces)
        result.detected = true
        result.faceCount = faces.size
        result.time(Stage.PREPARE, search.nanos[0])
        result.time(Stage.DETECTOR, search.nanos[1])
        result.time(Stage.DECODE, search.nanos[2])
        if (tracker.face >= 0) result.score = faces.scores[tracker.face]
        if (tracker.fresh || followed && !tracker.following) forget()
    }

    private fun look(image: RgbImage, seconds: Double) {
        result.crop.set(tracker.crop)
        val start = System.nanoTime()
        encoder.look(image, result.crop)
        val cut = System.nanoTime()
        if (!encode()) return reset()
        result.rawCodes.set(codes)
        val encoded = System.nanoTime()
        filter.filter(codes, result.crop, maxOf(image.width, image.height).toDouble(), seconds)
        calibration.observe(codes)
        calibration.apply(codes)
        val filtered = System.nanoTime()
        head.run()
        val decoded = System.nanoTime()
        emotion?.read(result.crop, seconds)
        result.time(Stage.CROP, cut - start)
        result.time(Stage.ENCODE, encoded - cut)
        result.time(Stage.FILTER, filtered - encoded)
        result.time(Stage.HEAD, decoded - filtered)
        result.time(Stage.EMOTION, System.nanoTime() - decoded)
        result.fresh = tracker.fresh
        result.found = true
        if (!follow(image)) forget()
    }

    /** Codes of the crop; false where they are not finite. Identity, colour and light are renewed when it is their turn. */
    private fun encode(): Boolean {
        val withShape = tracker.fresh || ++sinceShape >= settings.shapeEvery
        if (withShape) {
            sinceShape = 0
        } else {
            // The filter has written over them, and the head may have been another person's.
            copy(shapeKept.shape, codes.shape)
            copy(shapeKept.tex, codes.tex)
            copy(shapeKept.light, codes.light)
        }
        if (!encoder.encode(withShape)) return false
        if (withShape) shapeKept.set(codes)
        return true
    }

    private fun copy(from: FloatArray, to: FloatArray) = System.arraycopy(from, 0, to, 0, to.size)

    /** Where the landmarks of the new head lie in the picture, for the next crop; false where the face is lost. */
    private fun follow(image: RgbImage): Boolean {
        if (!settings.tracking.cropFromLandmarks) return true
        var left = Double.POSITIVE_INFINITY
        var top = Double.POSITIVE_INFINITY
        var right = Double.NEGATIVE_INFINITY
        var bottom = Double.NEGATIVE_INFINITY
        val cam = result.rawCodes.cam
        val landmarks = head.landmarks
        var at = 0
        while (at < landmarks.size) {
            val x = cam[0].toDouble() * (landmarks[at] + cam[1])
            val y = -cam[0].toDouble() * (landmarks[at + 1] + cam[2])
            left = minOf(left, x)
            right = maxOf(right, x)
            top = minOf(top, y)
            bottom = maxOf(bottom, y)
            at += 3
        }
        val crop = result.crop
        return tracker.seen(
            PictureCamera.pictureX(left, crop), PictureCamera.pictureY(top, crop),
            PictureCamera.pictureX(right, crop), PictureCamera.pictureY(bottom, crop), image.width, image.height,
        )
    }

    private fun forget() {
        filter.reset()
        result.emotion?.reset()
    }

    companion object {
        /**
         * Open the networks of a bundle.
         *
         * @throws BundleException the bundle's parts do not fit together.
         * @throws ModelException the runtime refuses a network.
         */
        fun open(bundle: Bundle, runtime: TensorRuntime, settings: EngineSettings = EngineSettings()): FaceEngine {
            val runners = Runners(bundle, runtime)
            try {
                return FaceEngine(bundle, runtime.name, runners, settings)
            } catch (error: Exception) {
                runners.close()
                throw error
            }
        }

        private fun codesOf(bundle: Bundle): Codes {
            val manifest = bundle.manifest
            return Codes(manifest.codeSizes["shape"] ?: 100, manifest.codeSizes["tex"] ?: 50, manifest.expressionAxes.size)
        }
    }
}
