package org.emoca.demo.scene

/**
 * Clay under one light: `ambient + diffuse max(n·l, 0)`, the light of the library's own sketches
 * (`emoca_tf/capture/sketch.py`). The shaders take their numbers from here, and so do the tests.
 */
object Shading {
    const val AMBIENT = 0.18f
    const val DIFFUSE = 0.72f

    /** Direction towards the light, unit length; x right, y up, z towards the viewer. */
    val LIGHT = floatArrayOf(0.3504f, 0.4505f, 0.8211f)

    /** Colour that the shade is multiplied with, red green blue. */
    val CLAY = floatArrayOf(0.96f, 0.93f, 0.90f)

    /** How much of the head covers the picture behind it. */
    const val COVER = 0.88f

    /** Colour behind a head alone. */
    val GROUND = floatArrayOf(0.086f, 0.098f, 0.118f)

    fun shade(nx: Float, ny: Float, nz: Float): Float =
        AMBIENT + DIFFUSE * maxOf(0f, nx * LIGHT[0] + ny * LIGHT[1] + nz * LIGHT[2])

    const val HEAD_VERTEX = """#version 300 es
layout(location = 0) in vec3 position;
layout(location = 1) in vec3 normal;
uniform mat4 head;
uniform mat4 turn;
out vec3 turned;
void main() {
    gl_Position = head * vec4(position, 1.0);
    turned = mat3(turn) * normal;
}
"""

    const val HEAD_FRAGMENT = """#version 300 es
precision mediump float;
in vec3 turned;
uniform vec3 light;
uniform vec4 clay;
uniform vec2 strength;
out vec4 colour;
void main() {
    float shade = strength.x + strength.y * max(dot(normalize(turned), light), 0.0);
    colour = vec4(clay.rgb * shade, clay.a);
}
"""

    /** A triangle that covers the screen; `picture` maps the screen's unit square (y down) to the sensor's picture. */
    const val PICTURE_VERTEX = """#version 300 es
uniform mat3 picture;
out vec2 place;
void main() {
    vec2 corner = vec2(float((gl_VertexID & 1) << 2), float((gl_VertexID & 2) << 1)) - 1.0;
    gl_Position = vec4(corner, 1.0, 1.0);
    place = (picture * vec3(corner.x * 0.5 + 0.5, 0.5 - corner.y * 0.5, 1.0)).xy;
}
"""

    /** BT.601 full range, as cameras give `YUV_420_888`; beside the picture the ground stays. */
    const val PICTURE_FRAGMENT = """#version 300 es
precision mediump float;
in vec2 place;
uniform sampler2D luma;
uniform sampler2D blue;
uniform sampler2D red;
out vec4 colour;
void main() {
    if (place.x < 0.0 || place.x > 1.0 || place.y < 0.0 || place.y > 1.0) discard;
    float y = texture(luma, place).r;
    float u = texture(blue, place).r - 0.501961;
    float v = texture(red, place).r - 0.501961;
    colour = vec4(y + 1.402 * v, y - 0.344136 * u - 0.714136 * v, y + 1.772 * u, 1.0);
}
"""
}
