package org.emoca.demo

import android.Manifest
import android.app.Activity
import android.content.Intent
import android.content.pm.PackageManager
import android.net.Uri
import android.os.Build
import android.os.Bundle
import android.os.Handler
import android.os.Looper
import android.provider.Settings
import android.view.Surface
import android.view.WindowManager
import android.widget.Toast
import org.emoca.demo.device.AssetSource
import org.emoca.demo.device.CameraSource
import org.emoca.demo.device.Cameras
import org.emoca.demo.device.Runtimes
import org.emoca.demo.device.Screenshot
import org.emoca.demo.device.ShareProvider
import org.emoca.demo.gl.HeadRenderer
import org.emoca.demo.live.Feed
import org.emoca.demo.live.LiveSession
import org.emoca.demo.live.Prepared
import org.emoca.demo.live.SessionListener
import org.emoca.demo.record.Recording
import org.emoca.demo.record.RecordingFiles
import org.emoca.demo.screen.Moment
import org.emoca.demo.screen.Situation
import org.emoca.demo.ui.Controls
import org.emoca.demo.ui.HeadView
import org.emoca.demo.ui.ScreenView
import org.emoca.demo.ui.Words
import java.io.File
import java.io.IOException
import java.util.concurrent.atomic.AtomicBoolean

/**
 * The one screen: asks for the camera, starts and stops it with the screen, and carries presses of buttons to the
 * session, the renderer and the share sheet. Camera, networks and drawing have threads of their own.
 */
class MainActivity : Activity(), SessionListener {
    private val main = Handler(Looper.getMainLooper())
    private val refreshing = AtomicBoolean()
    private val moment = Moment()
    private lateinit var renderer: HeadRenderer
    private lateinit var screen: ScreenView
    private lateinit var controls: Controls
    private lateinit var words: Words
    private lateinit var cameras: Cameras
    private lateinit var session: LiveSession
    private var camera: CameraSource? = null
    private var prepared: Prepared? = null
    private var front = true
    private var visible = false
    private var asking = false

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        front = state?.getBoolean(FRONT, true) ?: true
        words = Words(resources)
        cameras = Cameras(this)
        renderer = HeadRenderer { main.post { obstacle(Situation.GRAPHICS_MISSING) } }
        screen = ScreenView(this, HeadView(this, renderer), Controls.COUNT)
        controls = Controls(screen.buttons, this)
        screen.message.setOnClickListener { mend() }
        setContentView(screen)
        window.addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON)
        session = LiveSession(AssetSource(assets), Runtimes.cpu, Runtimes::gpu, moment, this)
        session.start()
        refresh()
    }

    override fun onResume() {
        super.onResume()
        visible = true
        screen.head.onResume()
        val mended = moment.obstacle == Situation.PERMISSION_DENIED && mayUseCamera()
        if (mended || moment.obstacle in MENDED_BY_RETURN) moment.obstacle = null
        openCamera()
    }

    override fun onPause() {
        visible = false
        closeCamera()
        screen.head.onPause()
        super.onPause()
    }

    override fun onDestroy() {
        session.stop()
        super.onDestroy()
    }

    override fun onSaveInstanceState(out: Bundle) {
        super.onSaveInstanceState(out)
        out.putBoolean(FRONT, front)
    }

    // --- the camera -------------------------------------------------------------------------------------------------

    private fun openCamera() {
        val facts = prepared
        if (!visible || camera != null || facts == null || moment.obstacle?.stops == true && !asking) return
        if (!mayUseCamera()) return ask()
        moment.obstacle = null
        moment.faces = -1
        moment.following = false
        val choice = cameras.choose(front) ?: return obstacle(Situation.CAMERA_MISSING)
        front = choice.front
        val feed = Feed(choice.size.width, choice.size.height, facts.vertexCount)
        renderer.feed = feed
        session.feed = feed
        camera = cameras.open(choice, feed, ::turned) { main.post { cameraFailed(it) } }
        refresh()
    }

    private fun mayUseCamera() =
        checkSelfPermission(Manifest.permission.CAMERA) == PackageManager.PERMISSION_GRANTED

    private fun closeCamera() {
        camera?.close()
        camera = null
        session.feed = null
    }

    private fun cameraFailed(situation: Situation) {
        if (!visible) return // the system took the camera because the app went away; it comes back with it
        closeCamera()
        obstacle(situation)
    }

    private fun ask() {
        if (asking) return
        asking = true
        moment.obstacle = Situation.PERMISSION_ASKED
        refresh()
        requestPermissions(arrayOf(Manifest.permission.CAMERA), REQUEST)
    }

    override fun onRequestPermissionsResult(request: Int, permissions: Array<String>, results: IntArray) {
        if (request != REQUEST || results.isEmpty()) { // empty: the dialogue was interrupted
            asking = false
            moment.obstacle = null
            return
        }
        if (results[0] == PackageManager.PERMISSION_GRANTED) {
            openCamera()
            asking = false
        } else {
            asking = false
            obstacle(Situation.PERMISSION_DENIED)
        }
    }

    /** The message line was tapped. */
    private fun mend() {
        when (moment.obstacle) {
            Situation.PERMISSION_DENIED, Situation.PERMISSION_ASKED -> startActivity(
                Intent(Settings.ACTION_APPLICATION_DETAILS_SETTINGS, Uri.fromParts("package", packageName, null)),
            )
            Situation.CAMERA_BUSY -> {
                moment.obstacle = null
                openCamera()
            }
            else -> Unit
        }
    }

    /** Degrees that the screen is turned; asked on the camera's thread. */
    private fun turned(): Int {
        @Suppress("DEPRECATION") // its successor came with API 30
        val screen = if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.R) display else windowManager.defaultDisplay
        return when (screen?.rotation) {
            Surface.ROTATION_90 -> 90
            Surface.ROTATION_180 -> 180
            Surface.ROTATION_270 -> 270
            else -> 0
        }
    }

    // --- told by the session, on its thread -------------------------------------------------------------------------

    override fun prepared(facts: Prepared) {
        main.post {
            prepared = facts
            renderer.triangles = facts.triangles
            screen.panel.state = words.panel(facts.emotions)
            openCamera()
        }
    }

    override fun changed() {
        screen.head.requestRender()
        if (refreshing.compareAndSet(false, true)) main.post(::refresh) // one refresh waits at most
    }

    override fun gpuRefused(reason: String) {
        main.post { toast(getString(R.string.gpu_refused, reason)) }
    }

    private fun refresh() {
        refreshing.set(false)
        val recording = session.recording
        val text = if (recording?.open == true && !moment.situation().stops) {
            getString(R.string.recording, recording.frames)
        } else {
            words.sentence(moment.situation())
        }
        if (screen.message.text.toString() != text) screen.message.text = text
        screen.panel.state?.let {
            session.read(it)
            screen.panel.refresh()
        }
        controls.refresh(renderer.alone, renderer.wireframe, moment.paused, recording != null, session.onGpu)
    }

    private fun obstacle(situation: Situation) {
        moment.obstacle = situation
        refresh()
    }

    // --- buttons ----------------------------------------------------------------------------------------------------

    fun pressed(control: Controls.Control) {
        when (control) {
            Controls.Control.CAMERA -> switchCamera()
            Controls.Control.VIEW -> renderer.alone = !renderer.alone
            Controls.Control.WIREFRAME -> renderer.wireframe = !renderer.wireframe
            Controls.Control.NEUTRAL -> session.calibrate()
            Controls.Control.PAUSE -> moment.paused = !moment.paused
            Controls.Control.SCREENSHOT -> takeScreenshot()
            Controls.Control.RECORD -> record()
            Controls.Control.BACKEND -> session.wantGpu = !session.onGpu
        }
        if (!renderer.alone) {
            renderer.yaw = 0f
            renderer.pitch = 0f
        }
        screen.head.requestRender()
        refresh()
    }

    private fun switchCamera() {
        front = !front
        closeCamera()
        openCamera()
    }

    private fun takeScreenshot() {
        val file = File(ShareProvider.folder(this), "emoca-face.png")
        Screenshot.take(screen, screen.head, file, main) { done -> if (done) share(listOf(file)) else failed() }
    }

    private fun record() {
        val recording = session.recording
        val facts = prepared ?: return
        if (recording == null) {
            session.recording = Recording(facts.axes, facts.emotions)
            return
        }
        session.recording = null
        recording.stop()
        if (recording.frames == 0) return toast(getString(R.string.recording_empty))
        val folder = ShareProvider.folder(this)
        val shape = session.shape()
        Thread({ save(recording, folder, shape, facts) }, "saving").start()
    }

    private fun save(recording: Recording, folder: File, shape: FloatArray, facts: Prepared) {
        try {
            val files = RecordingFiles.write(recording, folder, shape, facts.head, facts.weights)
            main.post { share(files) }
        } catch (_: IOException) {
            main.post(::failed)
        }
    }

    private fun share(files: List<File>) {
        if (visible) startActivity(ShareProvider.share(this, files, getString(R.string.share_title)))
    }

    private fun failed() = toast(getString(R.string.saving_failed))

    private fun toast(text: String) = Toast.makeText(this, text, Toast.LENGTH_LONG).show()

    private companion object {
        const val FRONT = "front"
        const val REQUEST = 1
        val MENDED_BY_RETURN = setOf(Situation.CAMERA_BUSY, Situation.CAMERA_MISSING)
    }
}
