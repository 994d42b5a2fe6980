package org.emoca.demo.gl

import android.opengl.GLES30

/** The graphics driver refuses something that the app cannot do without. */
class GraphicsException(message: String) : RuntimeException(message)

/**
 * A vertex and a fragment shader, linked.
 *
 * @throws GraphicsException the driver refuses them; with its own words.
 */
class GlProgram(vertex: String, fragment: String) {
    private val program = GLES30.glCreateProgram()

    init {
        val shaders = intArrayOf(compiled(GLES30.GL_VERTEX_SHADER, vertex), compiled(GLES30.GL_FRAGMENT_SHADER, fragment))
        for (shader in shaders) GLES30.glAttachShader(program, shader)
        GLES30.glLinkProgram(program)
        for (shader in shaders) GLES30.glDeleteShader(shader)
        val status = IntArray(1)
        GLES30.glGetProgramiv(program, GLES30.GL_LINK_STATUS, status, 0)
        if (status[0] == 0) throw GraphicsException("shaders do not link: ${GLES30.glGetProgramInfoLog(program)}")
    }

    fun use() = GLES30.glUseProgram(program)

    fun uniform(name: String): Int = GLES30.glGetUniformLocation(program, name)

    private fun compiled(kind: Int, source: String): Int {
        val shader = GLES30.glCreateShader(kind)
        GLES30.glShaderSource(shader, source)
        GLES30.glCompileShader(shader)
        val status = IntArray(1)
        GLES30.glGetShaderiv(shader, GLES30.GL_COMPILE_STATUS, status, 0)
        if (status[0] == 0) throw GraphicsException("a shader does not compile: ${GLES30.glGetShaderInfoLog(shader)}")
        return shader
    }
}
