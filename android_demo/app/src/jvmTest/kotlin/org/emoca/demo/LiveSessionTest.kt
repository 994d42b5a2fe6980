package org.emoca.demo

import org.emoca.demo.live.CameraFrame
import org.emoca.demo.live.Feed
import org.emoca.demo.live.LiveSession
import org.emoca.demo.live.Prepared
import org.emoca.demo.live.Scene
import org.emoca.demo.live.SessionListener
import org.emoca.demo.record.Recording
import org.emoca.demo.record.RecordingFiles
import org.emoca.demo.screen.Moment
import org.emoca.demo.screen.PanelState
import org.emoca.demo.screen.PanelWords
import org.emoca.demo.screen.Situation
import org.emoca.engine.Bundle
import org.emoca.engine.BundleSource
import org.emoca.engine.FolderSource
import org.emoca.engine.MemorySource
import org.emoca.engine.ModelException
import org.emoca.engine.TensorRuntime
import org.emoca.runtime.InterpreterRuntime
import org.junit.jupiter.api.AfterEach
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Assumptions.assumeTrue
import org.junit.jupiter.api.Test
import java.io.ByteArrayInputStream
import java.io.File
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.TimeUnit

/** The networks' thread with real networks, on TensorFlow Lite for desktops. */
class LiveSessionTest {
    private val moment = Moment()
    private val prepared = LinkedBlockingQueue<Prepared>()
    private val refusals = LinkedBlockingQueue<String>()
    private var session: LiveSession? = null

    private val listener = object : SessionListener {
        override fun prepared(facts: Prepared) = prepared.put(facts)

        override fun changed() = Unit

        override fun gpuRefused(reason: String) = refusals.put(reason)
    }

    @AfterEach fun end() {
        session?.stop()
        session?.join(30_000)
    }

    private fun folder(): File {
        val given = System.getProperty("emoca.bundle")
        assumeTrue(given != null, "no bundle was given")
        return File(given)
    }

    private fun start(
        source: BundleSource, cpu: List<() -> TensorRuntime> = listOf({ InterpreterRuntime(threads = 1) }),
        gpu: () -> TensorRuntime = { throw ModelException("none here") },
    ): LiveSession = LiveSession(source, cpu, gpu, moment, listener).also { session = it; it.start() }

    /** Computes, and then changes the first number of every output. */
    private fun lying(): TensorRuntime = object : TensorRuntime {
        override val name = "lies"

        override fun open(model: java.nio.ByteBuffer) = InterpreterRuntime(threads = 1).open(model).let { runner ->
            object : org.emoca.engine.TensorRunner by runner {
                override fun run() {
                    runner.run()
                    for (spec in outputs) runner.output(spec.name).let { it.put(0, it.get(0) + 10f) }
                }
            }
        }
    }

    @Test fun aMissingBundleIsASentence() {
        start(MemorySource(emptyMap())).join(30_000)
        assertEquals(Situation.BUNDLE_MISSING, moment.situation())
    }

    @Test fun aDamagedBundleIsASentence() {
        start(MemorySource(mapOf("manifest.json" to "{}".toByteArray()))).join(30_000)
        assertEquals(Situation.BUNDLE_DAMAGED, moment.situation())
    }

    @Test fun oneFlippedByteIsASentence() {
        val whole = FolderSource(folder())
        val flipped = object : BundleSource {
            override val name = "flipped"

            override fun open(file: String) =
                if (!file.endsWith("pose_shape.tflite")) whole.open(file)
                else ByteArrayInputStream(whole.open(file).readBytes().also { it[it.size / 2] = (it[it.size / 2] + 1).toByte() })
        }
        start(flipped).join(60_000)
        assertEquals(Situation.BUNDLE_DAMAGED, moment.situation())
    }

    /** The bundle's photo as a camera would give it, turned by 90 degrees; then a dark and a grey picture. */
    @Test fun aFaceComesAndGoes() {
        val running = start(FolderSource(folder()))
        val facts = checkNotNull(prepared.poll(120, TimeUnit.SECONDS)) { "not prepared: ${moment.situation()}" }
        val photo = Bundle.load(FolderSource(folder()), golden = true).bytes("golden/photo")
        val feed = Feed(PHOTO, PHOTO, facts.vertexCount)
        val recording = Recording(facts.axes, facts.emotions)
        running.recording = recording
        running.feed = feed
        val scene = show(feed) { turned(photo, it) }
        assertTrue(scene.found)
        assertEquals(Situation.LOOKING, moment.situation())
        assertTrue(scene.cropLeft in -60f..60f && scene.cropTop in -60f..60f && scene.cropSide in 160f..290f, "${scene.cropLeft} ${scene.cropSide}")
        assertTrue(scene.vertices.all { it.isFinite() && it in -1f..3f })
        val panel = PanelState(facts.emotions, PanelWords("", "", "", "", ""))
        running.read(panel)
        assertTrue(panel.seen && panel.milliseconds > 0 && panel.backend.isNotEmpty())
        assertEquals(1f, panel.shares.sum(), 1e-3f)
        assertTrue(recording.frames >= 1)
        System.getProperty("emoca.recordings")?.let {
            RecordingFiles.write(recording, File(it), running.shape(), facts.head, facts.weights)
        }
        // A followed face may be hidden for a moment: it is looked for again every ten frames, three times.
        val left = (1..20).firstOrNull { !show(feed) { frame -> grey(frame, 8) }.found }
        assertTrue(left != null, "a black picture still shows a face")
        assertEquals(Situation.TOO_DARK, moment.situation())
        assertTrue(!show(feed) { frame -> grey(frame, 140) }.found)
        assertEquals(Situation.NO_FACE, moment.situation())
    }

    @Test fun kernelsThatComputeSomethingElseAreNotUsed() {
        val running = start(FolderSource(folder()), listOf(::lying, { InterpreterRuntime(threads = 1, accelerated = false) }))
        val facts = checkNotNull(prepared.poll(120, TimeUnit.SECONDS)) { "not prepared: ${moment.situation()}" }
        val panel = PanelState(facts.emotions, PanelWords("", "", "", "", ""))
        running.read(panel)
        assertTrue(panel.backend.endsWith("CPU without XNNPACK × 1"), panel.backend)
    }

    @Test fun aPhoneOnWhichNothingComputesTheNetworksIsASentence() {
        start(FolderSource(folder()), listOf(::lying)).join(120_000)
        assertEquals(Situation.MODEL_REFUSED, moment.situation())
    }

    @Test fun theGraphicsProcessorIsNotUsedWhereItComputesSomethingElse() {
        val running = start(FolderSource(folder()), gpu = ::lying)
        checkNotNull(prepared.poll(120, TimeUnit.SECONDS))
        running.wantGpu = true
        val reason = refusals.poll(120, TimeUnit.SECONDS)
        assertTrue(reason != null && "off by" in reason, "$reason")
        assertTrue(!running.onGpu && !running.wantGpu)
        assertNull(moment.obstacle)
    }

    @Test fun anHonestOneIsUsed() {
        val running = start(FolderSource(folder()), gpu = { InterpreterRuntime(threads = 1) })
        checkNotNull(prepared.poll(120, TimeUnit.SECONDS))
        running.wantGpu = true
        val end = System.nanoTime() + TimeUnit.SECONDS.toNanos(120)
        while (!running.onGpu && refusals.isEmpty() && System.nanoTime() < end) Thread.sleep(20)
        assertTrue(running.onGpu, "${refusals.peek()}")
    }

    private fun show(feed: Feed, fill: (CameraFrame) -> Unit): Scene {
        fill(feed.frames.write().also { it.timestamp = System.nanoTime() })
        feed.frames.publish()
        return checkNotNull(feed.scenes.take(60_000)) { "no scene: ${moment.situation()}" }
    }

    private fun grey(frame: CameraFrame, luma: Int) {
        frame.luma.fill(luma.toByte())
        frame.blue.fill(-128)
        frame.red.fill(-128)
    }

    /** Upright RGB to YUV turned so that it must be turned clockwise by 90 degrees. */
    private fun turned(rgb: ByteArray, frame: CameraFrame) {
        frame.rotation = 90
        for (t in 0 until PHOTO) for (s in 0 until PHOTO) {
            val at = 3 * (s * PHOTO + (PHOTO - 1 - t)) // upright x = 1 - t, y = s
            val (r, g, b) = Triple(rgb[at].toInt() and 255, rgb[at + 1].toInt() and 255, rgb[at + 2].toInt() and 255)
            frame.luma[t * PHOTO + s] = (0.299 * r + 0.587 * g + 0.114 * b).toInt().coerceIn(0, 255).toByte()
            val half = t / 2 * (PHOTO / 2) + s / 2
            frame.blue[half] = (128 - 0.168736 * r - 0.331264 * g + 0.5 * b).toInt().coerceIn(0, 255).toByte()
            frame.red[half] = (128 + 0.5 * r - 0.418688 * g - 0.081312 * b).toInt().coerceIn(0, 255).toByte()
        }
    }

    private companion object {
        const val PHOTO = 224
    }
}
