package org.emoca.engine

/**
 * One place between two threads in which the newest value wins: the camera never waits, and the consumer never sees an
 * old frame. Three values circulate, so nothing is allocated and nobody writes what another one reads.
 *
 * The producer calls [write], fills the value, and [publish]es it. The consumer calls [take] and keeps the value until its next [take].
 *
 * @param create makes a value; called three times.
 */
class LatestSlot<T : Any>(create: () -> T) {
    @Suppress("PLATFORM_CLASS_MAPPED_TO_KOTLIN") // a plain monitor: waiting allocates nothing
    private val lock = Object()
    private var writing = create()
    private var waiting = create()
    private var reading = create()
    private var fresh = false
    private var closed = false

    /** Values that were replaced before anybody took them. */
    @Volatile
    var dropped = 0L
        private set

    /** The value to fill; the same one until [publish]. Producer only. */
    fun write(): T = writing

    /** Hand the filled value over; it replaces one that was not taken. Producer only. */
    fun publish() {
        synchronized(lock) {
            if (fresh) dropped++
            val value = waiting
            waiting = writing
            writing = value
            fresh = true
            lock.notifyAll()
        }
    }

    /**
     * The newest value that was not taken yet. Consumer only.
     *
     * @param milliseconds to wait for one; 0 does not wait.
     * @return null when there is none in time, or after [close].
     */
    fun take(milliseconds: Long = 0): T? {
        synchronized(lock) {
            val end = System.nanoTime() + milliseconds * 1_000_000
            while (!fresh && !closed) {
                val left = (end - System.nanoTime()) / 1_000_000
                if (left <= 0) return null
                lock.wait(left)
            }
            if (closed) return null
            val value = reading
            reading = waiting
            waiting = value
            fresh = false
            return reading
        }
    }

    /** Wake the consumer for the last time. */
    fun close() {
        synchronized(lock) {
            closed = true
            lock.notifyAll()
        }
    }
}
