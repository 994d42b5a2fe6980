package org.emoca.engine

import kotlin.concurrent.thread
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.Timeout

class LatestSlotTest {
    private class Frame {
        val values = IntArray(64)
    }

    @Test
    fun `the newest wins`() {
        val slot = LatestSlot { Frame() }
        assertNull(slot.take())
        for (number in 1..3) {
            slot.write().values[0] = number
            slot.publish()
        }
        assertEquals(3, slot.take()!!.values[0])
        assertNull(slot.take())
        assertEquals(2L, slot.dropped)
    }

    @Test
    @Timeout(120)
    fun `two threads never share a frame`() {
        val slot = LatestSlot { Frame() }
        val producer = thread {
            for (number in 1..20_000) {
                slot.write().values.fill(number)
                slot.publish()
            }
            slot.close()
        }
        var last = 0
        while (true) {
            val frame = slot.take(1000) ?: break
            val first = frame.values[0]
            assertTrue(first > last) { "frame $first after $last" }
            for (value in frame.values) assertEquals(first, value)
            last = first
        }
        producer.join()
    }

    @Test
    @Timeout(120)
    fun `closing wakes whoever waits`() {
        val slot = LatestSlot { Frame() }
        val consumer = thread { assertNull(slot.take(60_000)) }
        Thread.sleep(50)
        slot.close()
        consumer.join()
    }
}
