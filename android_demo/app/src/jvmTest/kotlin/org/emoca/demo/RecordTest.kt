package org.emoca.demo

import org.emoca.demo.live.PlaneCopier
import org.emoca.demo.record.Quaternion
import org.emoca.demo.record.Recording
import org.emoca.demo.record.RecordingFiles
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import java.io.File
import java.io.IOException
import java.nio.ByteBuffer
import java.util.Locale
import kotlin.math.PI

class RecordTest {
    @TempDir lateinit var folder: File

    private fun recorded(): Recording {
        val recording = Recording(listOf("jawOpen", "say \"a\", b"), listOf("neutral", "happy"), capacity = 2)
        repeat(3) { frame ->
            recording.add(
                1_000_000_000L + frame * 500_000_000L, floatArrayOf(0.25f, Float.NaN), FloatArray(6).also { it[3] = 0.3f },
                FloatArray(2), floatArrayOf(7f, 0f, 0f), floatArrayOf(0.25f, 0.75f), 0.5f, -0.5f,
            )
        }
        return recording
    }

    @Test fun aFullRecordingEndsByItself() {
        val recording = recorded()
        assertEquals(2, recording.frames)
        assertFalse(recording.open)
    }

    @Test fun filesReadTheSameInEveryLanguage() {
        val before = Locale.getDefault()
        Locale.setDefault(Locale.GERMANY) // a comma as the decimal mark
        try {
            val (csv, json) = RecordingFiles.write(recorded(), folder, floatArrayOf(1.5f), "anny-default", "w")
            val lines = csv.readLines()
            assertEquals(3, lines.size)
            assertTrue(lines[0].startsWith("seconds,jawOpen,\"say \"\"a\"\", b\",global_x"))
            assertEquals(listOf("0.500000", "0.250000", "0"), lines[2].split(",").take(3))
            assertEquals(18, lines[1].split(",").size)
            val text = json.readText()
            assertTrue("\"targets\":[\"jawOpen\",\"say \\\"a\\\", b\"]" in text, text)
            assertTrue("\"times\":[0.00000,0.500000]" in text, text)
            assertTrue("\"weights\":[[0.250000,0],[0.250000,0]]" in text, text)
            assertTrue("\"valence_arousal\":[[0.500000,-0.500000],[0.500000,-0.500000]]}" in text, text)
            assertEquals(listOf("emoca-recording.csv", "emoca-recording.json"), folder.list()!!.sorted())
        } finally {
            Locale.setDefault(before)
        }
    }

    @Test fun aFullDiskLeavesNothingHalfWritten() {
        val missing = File(folder, "gone")
        assertThrows(IOException::class.java) { RecordingFiles.write(recorded(), missing, FloatArray(0), "h", "w") }
        assertEquals(0, folder.list()!!.size)
    }

    @Test fun turnsBecomeQuaternions() {
        assertArrayEquals(floatArrayOf(0f, 0f, 0f, 1f), Quaternion.of(0f, 0f, 0f), 1e-7f)
        val half = kotlin.math.sqrt(0.5).toFloat()
        assertArrayEquals(floatArrayOf(0f, half, 0f, half), Quaternion.of(0f, (PI / 2).toFloat(), 0f), 1e-6f)
    }

    @Test fun planesLoseTheirGaps() {
        val padded = ByteBuffer.wrap(byteArrayOf(1, 9, 2, 9, 8, 8, 3, 9, 4)) // pixels two apart, rows six apart
        val out = ByteArray(4)
        PlaneCopier().copy(padded, 6, 2, out, 2, 2)
        assertArrayEquals(byteArrayOf(1, 2, 3, 4), out)
        PlaneCopier().copy(ByteBuffer.wrap(byteArrayOf(1, 2, 7, 3, 4)), 3, 1, out, 2, 2)
        assertArrayEquals(byteArrayOf(1, 2, 3, 4), out)
        assertThrows(IllegalArgumentException::class.java) { PlaneCopier().copy(ByteBuffer.allocate(8), 6, 2, out, 2, 2) }
    }
}
