package org.emoca.demo.device

import android.annotation.SuppressLint
import android.content.Context
import android.graphics.ImageFormat
import android.hardware.camera2.CameraAccessException
import android.hardware.camera2.CameraCaptureSession
import android.hardware.camera2.CameraCharacteristics
import android.hardware.camera2.CameraDevice
import android.hardware.camera2.CameraManager
import android.hardware.camera2.CaptureRequest
import android.media.Image
import android.media.ImageReader
import android.os.Handler
import android.os.HandlerThread
import android.util.Size
import org.emoca.demo.live.CameraFrame
import org.emoca.demo.live.Feed
import org.emoca.demo.live.PlaneCopier
import org.emoca.demo.screen.Situation
import kotlin.math.abs

/** The camera that was chosen, before it is opened. */
class CameraChoice(val id: String, val front: Boolean, val size: Size, val sensorOrientation: Int)

/** Cameras of this device. */
class Cameras(context: Context) {
    private val manager = context.getSystemService(Context.CAMERA_SERVICE) as CameraManager

    /** The camera on the wished side, else any; `null` if there is none that gives pictures. */
    fun choose(front: Boolean): CameraChoice? = try {
        val choices = manager.cameraIdList.mapNotNull(::describe)
        choices.firstOrNull { it.front == front } ?: choices.firstOrNull()
    } catch (_: CameraAccessException) {
        null
    }

    private fun describe(id: String): CameraChoice? {
        val facts = manager.getCameraCharacteristics(id)
        val facing = facts[CameraCharacteristics.LENS_FACING]
        val sizes = facts[CameraCharacteristics.SCALER_STREAM_CONFIGURATION_MAP]?.getOutputSizes(ImageFormat.YUV_420_888)
        // Other heights than this cost time and show the networks, which see 224 x 224, nothing more.
        val size = sizes?.filter { it.width % 2 == 0 && it.height % 2 == 0 }?.minByOrNull {
            abs(it.width * it.height - WANTED_WIDTH * WANTED_HEIGHT) + abs(it.width * 3 - it.height * 4)
        } ?: return null
        val orientation = facts[CameraCharacteristics.SENSOR_ORIENTATION] ?: 0
        return CameraChoice(id, facing == CameraCharacteristics.LENS_FACING_FRONT, size, orientation)
    }

    /** @return what gives pictures, opening by now. */
    fun open(choice: CameraChoice, feed: Feed, turned: () -> Int, problem: (Situation) -> Unit): CameraSource =
        CameraSource(manager, choice, feed, turned, problem)

    private companion object {
        const val WANTED_WIDTH = 640
        const val WANTED_HEIGHT = 480
    }
}

/**
 * Pictures of one camera, copied into the feed on the cameras' thread. Everything but [close] happens there, one after
 * the other, so that a camera has let go before the next one opens.
 *
 * @param turned degrees that the screen is turned from its natural position, asked for every picture.
 * @param problem told, on the camera's thread, what came between; the camera is closed by then.
 */
class CameraSource internal constructor(
    private val manager: CameraManager, private val choice: CameraChoice, private val feed: Feed,
    private val turned: () -> Int, private val problem: (Situation) -> Unit,
) {
    private val handler = cameraThread
    private val copier = PlaneCopier()
    private val reader = ImageReader.newInstance(choice.size.width, choice.size.height, ImageFormat.YUV_420_888, 3)
    private var device: CameraDevice? = null
    private var closed = false

    init {
        reader.setOnImageAvailableListener({ take() }, handler)
        handler.post(::open)
    }

    /** Stop; returns at once. */
    fun close() {
        handler.post(::letGo)
    }

    @SuppressLint("MissingPermission") // asked for by the activity; a permission taken back meanwhile is caught
    private fun open() {
        if (closed) return
        attempt { manager.openCamera(choice.id, states, handler) }
    }

    private val states = object : CameraDevice.StateCallback() {
        override fun onOpened(camera: CameraDevice) {
            device = camera
            if (closed) camera.close() else attempt { start(camera) }
        }

        override fun onDisconnected(camera: CameraDevice) = fail(camera)

        override fun onError(camera: CameraDevice, error: Int) = fail(camera)

        private fun fail(camera: CameraDevice) {
            camera.close()
            fail()
        }
    }

    @Suppress("DEPRECATION") // its successor came with API 28
    private fun start(camera: CameraDevice) {
        val sessions = object : CameraCaptureSession.StateCallback() {
            override fun onConfigured(session: CameraCaptureSession) {
                if (!closed) attempt { session.setRepeatingRequest(request(camera), null, handler) }
            }

            override fun onConfigureFailed(session: CameraCaptureSession) = fail()
        }
        camera.createCaptureSession(listOf(reader.surface), sessions, handler)
    }

    private fun request(camera: CameraDevice): CaptureRequest {
        val builder = camera.createCaptureRequest(CameraDevice.TEMPLATE_PREVIEW)
        builder.addTarget(reader.surface)
        builder[CaptureRequest.CONTROL_AF_MODE] = CaptureRequest.CONTROL_AF_MODE_CONTINUOUS_PICTURE
        return builder.build()
    }

    /** Camera services throw any of these when the camera goes away between two calls. */
    private fun attempt(step: () -> Unit) {
        try {
            step()
        } catch (_: CameraAccessException) {
            fail()
        } catch (_: SecurityException) {
            fail(Situation.PERMISSION_DENIED)
        } catch (_: IllegalStateException) {
            fail()
        } catch (_: IllegalArgumentException) {
            fail()
        }
    }

    private fun fail(situation: Situation = Situation.CAMERA_BUSY) {
        if (closed) return
        letGo()
        problem(situation)
    }

    private fun letGo() {
        if (closed) return
        closed = true
        device?.close()
        device = null
        reader.close()
    }

    private fun take() {
        if (closed) return
        val image = try {
            reader.acquireLatestImage()
        } catch (_: IllegalStateException) {
            null // all pictures are still in use: the next one will do
        } ?: return
        image.use { copy(it) }
    }

    private fun copy(image: Image) {
        val frame = feed.frames.write()
        if (image.width != frame.width || image.height != frame.height) return
        fill(frame, image)
        feed.frames.publish()
    }

    private fun fill(frame: CameraFrame, image: Image) {
        val planes = image.planes
        for (index in 0..2) {
            val target = if (index == 0) frame.luma else if (index == 1) frame.blue else frame.red
            val half = if (index == 0) 1 else 2
            val plane = planes[index]
            copier.copy(
                plane.buffer, plane.rowStride, plane.pixelStride, target, frame.width / half, frame.height / half,
            )
        }
        val sense = if (choice.front) 1 else -1
        frame.rotation = (choice.sensorOrientation + sense * turned() + FULL_TURN) % FULL_TURN
        frame.mirrored = choice.front
        frame.timestamp = image.timestamp
    }

    private companion object {
        const val FULL_TURN = 360

        /** One for the whole process: a camera that opens while the app goes away still has somebody to close it. */
        val cameraThread by lazy { Handler(HandlerThread("camera").also { it.start() }.looper) }
    }
}
