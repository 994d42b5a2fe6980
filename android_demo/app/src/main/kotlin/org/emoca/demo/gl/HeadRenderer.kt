package org.emoca.demo.gl

import android.opengl.GLES30
import android.opengl.GLSurfaceView
import org.emoca.demo.live.Feed
import org.emoca.demo.live.Scene
import org.emoca.demo.scene.HeadMesh
import org.emoca.demo.scene.Middle
import org.emoca.demo.scene.Placement
import org.emoca.demo.scene.Shading
import javax.microedition.khronos.egl.EGLConfig
import javax.microedition.khronos.opengles.GL10

/**
 * Draws the newest scene: camera picture and head, or the head alone. Runs on the GL thread; the settings may be
 * changed from any thread.
 *
 * @param refused told, on the GL thread, if the driver cannot draw.
 */
class HeadRenderer(private val refused: (String) -> Unit) : GLSurfaceView.Renderer {
    /** Where scenes come from; another camera brings another feed. */
    @Volatile var feed: Feed? = null

    /** The triangles of the drawn head, once they are known. */
    @Volatile var triangles: IntArray? = null

    @Volatile var alone = false

    @Volatile var wireframe = false

    /** Radians that the head alone is turned by hand. */
    @Volatile var yaw = 0f

    @Volatile var pitch = 0f

    private val placement = Placement()
    private val middle = Middle()
    private var mesh: HeadMesh? = null
    private var picture: PictureLayer? = null
    private var head: HeadLayer? = null
    private var source: Feed? = null
    private var shown: Scene? = null
    private var broken = false
    private var width = 1
    private var height = 1

    /** Also called when the surface was lost with everything on it, as after a time in the background. */
    override fun onSurfaceCreated(unused: GL10?, config: EGLConfig?) {
        picture = null
        head = null
        broken = false
        GLES30.glEnable(GLES30.GL_DEPTH_TEST)
        GLES30.glDepthFunc(GLES30.GL_LEQUAL)
        GLES30.glEnable(GLES30.GL_BLEND)
        GLES30.glBlendFunc(GLES30.GL_SRC_ALPHA, GLES30.GL_ONE_MINUS_SRC_ALPHA)
    }

    override fun onSurfaceChanged(unused: GL10?, width: Int, height: Int) {
        this.width = maxOf(width, 1)
        this.height = maxOf(height, 1)
        GLES30.glViewport(0, 0, width, height)
    }

    override fun onDrawFrame(unused: GL10?) {
        val ground = Shading.GROUND
        GLES30.glClearColor(ground[0], ground[1], ground[2], 1f)
        GLES30.glClear(GLES30.GL_COLOR_BUFFER_BIT or GLES30.GL_DEPTH_BUFFER_BIT)
        if (feed !== source) {
            source = feed
            shown = null
        }
        val next = source?.scenes?.take()
        val scene = next ?: shown ?: return
        shown = scene
        if (broken) return
        try {
            if (prepare(scene) || next != null) load(scene)
            draw(scene)
        } catch (error: GraphicsException) {
            broken = true
            refused(error.message.orEmpty())
        }
    }

    /** Make what needs a surface; true if it is new and empty. */
    private fun prepare(scene: Scene): Boolean {
        val corners = triangles ?: return false
        if (head != null) return false
        val known = mesh ?: HeadMesh(corners, scene.vertices.size / 3).also { mesh = it }
        picture = PictureLayer()
        head = HeadLayer(known)
        return true
    }

    private fun load(scene: Scene) {
        picture?.load(scene.frame)
        if (scene.found) {
            head?.load(scene.vertices)
            middle.follow(scene.vertices)
        }
    }

    private fun draw(scene: Scene) {
        val frame = scene.frame
        if (alone) {
            if (!scene.found) return
            placement.alone(width, height, middle.centre, middle.height, yaw, pitch, frame.mirrored)
            head?.draw(placement, 1f, wireframe)
            return
        }
        placement.texture(width, height, frame.width, frame.height, frame.rotation, frame.mirrored)
        picture?.draw(placement)
        if (!scene.found) return
        placement.over(
            width, height, frame.uprightWidth, frame.uprightHeight,
            scene.cropLeft, scene.cropTop, scene.cropSide, scene.cam, frame.mirrored,
        )
        head?.draw(placement, Shading.COVER, wireframe)
    }
}
