package org.emoca.demo

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder

/** Little-endian arrays as Python's `tofile` writes them. */
object Files {
    fun floats(file: File): FloatArray {
        val values = ByteBuffer.wrap(file.readBytes()).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer()
        return FloatArray(values.remaining()).also(values::get)
    }

    fun ints(file: File): IntArray {
        val values = ByteBuffer.wrap(file.readBytes()).order(ByteOrder.LITTLE_ENDIAN).asIntBuffer()
        return IntArray(values.remaining()).also(values::get)
    }

    fun write(file: File, values: FloatArray) {
        val bytes = ByteBuffer.allocate(4 * values.size).order(ByteOrder.LITTLE_ENDIAN)
        bytes.asFloatBuffer().put(values)
        file.writeBytes(bytes.array())
    }
}
