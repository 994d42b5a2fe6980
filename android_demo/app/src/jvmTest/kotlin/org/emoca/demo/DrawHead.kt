package org.emoca.demo

import org.emoca.demo.scene.HeadMesh
import org.emoca.demo.scene.Placement
import java.io.File

/**
 * Draws a head over a crop of 224 × 224 pixels with the app's matrices, for a comparison with the library's renderer.
 *
 * In the folder: `vertices.f32`, `triangles.i32`, `cam.f32`; written: `shade.f32`, 0 where there is no head.
 */
fun main(arguments: Array<String>) {
    val folder = File(arguments[0])
    val size = arguments[1].toInt()
    val vertices = Files.floats(File(folder, "vertices.f32"))
    val mesh = HeadMesh(Files.ints(File(folder, "triangles.i32")), vertices.size / 3)
    val placement = Placement()
    placement.over(size, size, CROP, CROP, 0f, 0f, CROP - 1f, Files.floats(File(folder, "cam.f32")), arguments[2] == "mirrored")
    val gl = SoftwareGl(size, size)
    gl.clear()
    gl.head(placement, mesh, vertices, 1f)
    Files.write(File(folder, "shade.f32"), gl.shade)
}

private const val CROP = 224
