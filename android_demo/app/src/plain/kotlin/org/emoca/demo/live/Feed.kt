package org.emoca.demo.live

import org.emoca.engine.LatestSlot

/** A camera picture and the head found in it, as the screen draws them. */
class Scene(val frame: CameraFrame, vertices: Int) {
    /** x, y, z of every vertex of the drawn head, metres; stale unless [found]. */
    val vertices = FloatArray(3 * vertices)

    /** Scale, tx, ty of the weak-perspective camera. */
    val cam = FloatArray(3)

    /** Square that the networks saw, pixels of the upright picture. */
    var cropLeft = 0f
    var cropTop = 0f
    var cropSide = 0f

    var found = false
}

/**
 * The way of one camera's pictures: camera thread to networks to screen. In both places the newest wins, and all
 * memory is taken here, once.
 *
 * @param width of the pictures as the sensor gives them; likewise [height].
 * @param vertices of the drawn head.
 */
class Feed(width: Int, height: Int, vertices: Int) {
    val frames = LatestSlot { CameraFrame(width, height) }
    val scenes = LatestSlot { Scene(CameraFrame(width, height), vertices) }
}
