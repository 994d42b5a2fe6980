package org.emoca.demo.live

import org.emoca.demo.record.Recording
import org.emoca.demo.screen.Moment
import org.emoca.demo.screen.PanelState
import org.emoca.demo.screen.Situation
import org.emoca.engine.Bundle
import org.emoca.engine.BundleException
import org.emoca.engine.BundleSource
import org.emoca.engine.EngineSettings
import org.emoca.engine.FaceEngine
import org.emoca.engine.FaceResult
import org.emoca.engine.Mesh
import org.emoca.engine.ModelException
import org.emoca.engine.RgbImage
import org.emoca.engine.TensorRuntime
import org.emoca.engine.YuvConverter
import org.emoca.engine.YuvFrame

/** What is known once the bundle is open. */
class Prepared(
    val emotions: List<String>, val axes: List<String>, val head: String, val weights: String, val triangles: IntArray,
    val vertexCount: Int,
)

/** Told on the networks' thread; whoever touches views has to change threads. */
interface SessionListener {
    /** The networks are open; cameras may start. */
    fun prepared(facts: Prepared)

    /** A new scene is in the feed, or the moment changed. */
    fun changed()

    /** The graphics processor is not used, and why. */
    fun gpuRefused(reason: String)
}

/**
 * The networks' thread: opens the bundle, turns the newest camera picture into a scene, records, closes. It never
 * throws at anybody: what goes wrong becomes the [moment]'s obstacle.
 *
 * @param source where the bundle lies.
 * @param cpu runtimes on the processor, the best first: the first one that repeats the bundle's golden vectors is used.
 * @param gpu makes one that may fail.
 */
class LiveSession(
    private val source: BundleSource, private val cpu: List<() -> TensorRuntime>, private val gpu: () -> TensorRuntime,
    private val moment: Moment, private val listener: SessionListener,
) {
    /** Where pictures come from; `null` while no camera is open. */
    @Volatile var feed: Feed? = null

    /** Codes go there while it is open. */
    @Volatile var recording: Recording? = null

    /** Wish for the graphics processor; [onGpu] tells what became of it. */
    @Volatile var wantGpu = false

    @Volatile var onGpu = false
        private set

    @Volatile private var wantCalibration = false

    @Volatile private var stopping = false

    private val thread = Thread(::work, "networks")
    private val yuv = YuvFrame()
    private val picture = RgbImage()
    private val converter = YuvConverter()
    private val latest = Any()
    private var shares = FloatArray(0)
    private var shape = FloatArray(0)
    private var valence = 0f
    private var arousal = 0f
    private var milliseconds = 0f
    private var backend = ""
    private var lastFeed: Feed? = null
    private var processor: (() -> TensorRuntime)? = null

    fun start() = thread.start()

    /** Ends after the present frame; the networks are closed on their own thread. */
    fun stop() {
        stopping = true
    }

    /** Wait for the end after [stop]. */
    fun join(milliseconds: Long) = thread.join(milliseconds)

    /** Take the next frames as the person's resting face. */
    fun calibrate() {
        wantCalibration = true
    }

    /** Copy the newest emotion and timing. */
    fun read(panel: PanelState) = synchronized(latest) {
        System.arraycopy(shares, 0, panel.shares, 0, minOf(shares.size, panel.shares.size))
        panel.valence = valence
        panel.arousal = arousal
        panel.milliseconds = milliseconds
        panel.backend = backend
        panel.seen = moment.following
    }

    /** Identity codes of the face that is followed. */
    fun shape(): FloatArray = synchronized(latest) { shape.copyOf() }

    private fun work() {
        val bundle = load() ?: return
        var engine = open(bundle) ?: return
        try {
            listener.prepared(facts(bundle))
            while (!stopping) {
                if (wantGpu != onGpu) engine = changeRuntime(bundle, engine) ?: return
                step(engine)
            }
        } catch (_: ModelException) {
            obstacle(Situation.MODEL_REFUSED)
        } catch (_: RuntimeException) { // the last line of defence: a message instead of a crash
            obstacle(Situation.MODEL_REFUSED)
        } finally {
            engine.close()
        }
    }

    private fun load(): Bundle? = try {
        source.open(Bundle.MANIFEST).close()
        Bundle.load(source, golden = true)
    } catch (_: java.io.IOException) {
        obstacle(Situation.BUNDLE_MISSING)
    } catch (_: BundleException) {
        obstacle(Situation.BUNDLE_DAMAGED)
    }

    private fun open(bundle: Bundle): FaceEngine? = try {
        val chosen = processor ?: cpu.firstOrNull { SelfTest.complaint(bundle, it()) == null }
        processor = chosen
        if (chosen == null) obstacle(Situation.MODEL_REFUSED) else start(bundle, chosen())
    } catch (_: ModelException) {
        obstacle(Situation.MODEL_REFUSED)
    } catch (_: BundleException) {
        obstacle(Situation.BUNDLE_DAMAGED)
    }

    private fun start(bundle: Bundle, runtime: TensorRuntime): FaceEngine {
        val engine = FaceEngine.open(bundle, runtime, EngineSettings(mesh = Mesh.WHOLE))
        synchronized(latest) { backend = engine.runtimeName }
        return engine
    }

    private fun obstacle(situation: Situation): Nothing? {
        moment.obstacle = situation
        listener.changed()
        return null
    }

    private fun facts(bundle: Bundle): Prepared {
        val manifest = bundle.manifest
        synchronized(latest) { shares = FloatArray(manifest.emotionClasses.size) }
        return Prepared(
            manifest.emotionClasses, manifest.expressionAxes, manifest.headName, manifest.weights, bundle.ints(Mesh.WHOLE.triangles), manifest.headVertices,
        )
    }

    /** The other runtime, if it computes what it should; else the processor, and the reason is told. */
    private fun changeRuntime(bundle: Bundle, engine: FaceEngine): FaceEngine? {
        val rest = engine.calibration.baseline
        engine.close()
        var reason: String? = null
        val next = if (wantGpu) onGpu(bundle) { reason = it } else null
        onGpu = next != null
        if (next == null) wantGpu = false
        reason?.let(listener::gpuRefused)
        val opened = next ?: open(bundle)
        if (rest != null) opened?.calibration?.restore(rest)
        listener.changed()
        return opened
    }

    private fun onGpu(bundle: Bundle, refused: (String) -> Unit): FaceEngine? = try {
        val runtime = gpu()
        val complaint = SelfTest.complaint(bundle, runtime)
        complaint?.let(refused)
        if (complaint == null) start(bundle, runtime) else null
    } catch (error: ModelException) {
        refused(error.message.orEmpty())
        null
    }

    private fun step(engine: FaceEngine) {
        val feed = feed
        if (feed !== lastFeed) {
            lastFeed = feed
            engine.reset() // another camera, or back from a pause: another place and perhaps another face
        }
        if (feed == null) return Thread.sleep(IDLE)
        val frame = feed.frames.take(PATIENCE) ?: return
        if (moment.paused) return
        if (wantCalibration) {
            wantCalibration = false
            engine.calibration.start(CALIBRATION_FRAMES)
        }
        val began = System.nanoTime()
        converter.convert(frame.pointAt(yuv), frame.rotation, false, picture)
        val result = engine.process(picture, frame.timestamp * 1e-9)
        note(engine, result, System.nanoTime() - began)
        moment.dark = !result.found && frame.brightness() < DARK
        publish(feed, frame, result)
        listener.changed()
    }

    private fun publish(feed: Feed, frame: CameraFrame, result: FaceResult) {
        val scene = feed.scenes.write()
        scene.frame.set(frame)
        scene.found = result.found
        if (result.found) {
            System.arraycopy(result.vertices, 0, scene.vertices, 0, scene.vertices.size)
            System.arraycopy(result.codes.cam, 0, scene.cam, 0, scene.cam.size)
            scene.cropLeft = result.crop.left.toFloat()
            scene.cropTop = result.crop.top.toFloat()
            scene.cropSide = result.crop.side.toFloat()
        }
        feed.scenes.publish()
    }

    private fun note(engine: FaceEngine, result: FaceResult, nanoseconds: Long) {
        moment.following = result.found
        moment.calibrating = engine.calibration.running
        moment.faces = result.faceCount
        val emotion = result.emotion
        synchronized(latest) {
            val newest = nanoseconds * 1e-6f
            milliseconds = if (milliseconds == 0f) newest else milliseconds + CALM * (newest - milliseconds)
            if (!result.found) return
            if (shape.size != result.codes.shape.size) shape = FloatArray(result.codes.shape.size)
            System.arraycopy(result.codes.shape, 0, shape, 0, shape.size)
            if (emotion == null) return@synchronized
            System.arraycopy(emotion.probabilities, 0, shares, 0, shares.size)
            valence = emotion.valence
            arousal = emotion.arousal
        }
        val codes = result.codes
        val nanos = (result.seconds * 1e9).toLong()
        recording?.add(nanos, codes.exp, codes.pose, codes.eyelid, codes.cam, shares, valence, arousal)
    }

    private companion object {
        const val IDLE = 50L
        const val PATIENCE = 100L
        const val CALIBRATION_FRAMES = 40
        const val CALM = 0.1f

        /** Mean luma below which a picture without a face is said to be too dark for one. */
        const val DARK = 32
    }
}
