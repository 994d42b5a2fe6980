package org.emoca.demo.record

import java.io.IOException
import java.io.Writer
import java.util.Locale

/**
 * Codes of the frames between two presses of a button, kept in memory that is taken once.
 *
 * One thread adds rows ([add]); [stop] first, then write.
 *
 * @param axes names of the expression axes, the first columns.
 * @param emotions names of the expression classes.
 * @param capacity frames; adding more is refused, so that a forgotten recording ends by itself.
 */
class Recording(val axes: List<String>, val emotions: List<String>, val capacity: Int = 20 * 60 * 5) {
    /** Columns of a row. */
    val columns: List<String> = listOf("seconds") + axes + POSE + EYELIDS + CAMERA + emotions.map { "emotion_$it" } +
        listOf("valence", "arousal")
    private val rows = FloatArray(capacity * columns.size)

    @Volatile var frames = 0
        private set

    @Volatile private var running = true

    private var start = Long.MIN_VALUE

    /** Still taking frames. */
    val open get() = running && frames < capacity

    fun stop() {
        running = false
    }

    /**
     * Add a frame. Allocates nothing.
     *
     * @param nanoseconds of the camera's clock.
     * @param exp expression coefficients; groups that the networks do not give may be empty.
     * @param pose global rotation 0:3 and jaw 3:6, axis-angle radians.
     * @return whether it was taken.
     */
    fun add(
        nanoseconds: Long, exp: FloatArray, pose: FloatArray, eyelid: FloatArray, cam: FloatArray, shares: FloatArray,
        valence: Float, arousal: Float,
    ): Boolean {
        if (!open) return false
        if (start == Long.MIN_VALUE) start = nanoseconds
        var at = frames * columns.size
        rows[at++] = (nanoseconds - start) * 1e-9f
        at = put(exp, axes.size, at)
        at = put(pose, POSE.size, at)
        at = put(eyelid, EYELIDS.size, at)
        at = put(cam, CAMERA.size, at)
        at = put(shares, emotions.size, at)
        rows[at++] = valence
        rows[at] = arousal
        frames++
        return true
    }

    private fun put(values: FloatArray, count: Int, at: Int): Int {
        for (i in 0 until count) rows[at + i] = if (i < values.size) values[i] else 0f
        return at + count
    }

    private fun value(frame: Int, column: Int): Float = rows[frame * columns.size + column]

    /**
     * Comma-separated values: one line of names, one line a frame, a point as the decimal mark in every language.
     *
     * @throws IOException the writer refuses.
     */
    fun writeCsv(out: Writer) {
        out.write(columns.joinToString(",") { quoted(it) })
        out.write("\r\n")
        for (frame in 0 until frames) {
            for (column in columns.indices) {
                if (column > 0) out.write(",")
                out.write(number(value(frame, column)))
            }
            out.write("\r\n")
        }
    }

    /**
     * JSON that an animated GLB is made of without further thought: `times` in seconds, `targets` as the morph targets
     * of the library's GLB are named, `weights` a row a frame, the head's and the jaw's turn as quaternions `x y z w`.
     *
     * @param shape the identity, once.
     * @param head name of the head model that the weights belong to.
     * @throws IOException the writer refuses.
     */
    fun writeJson(out: Writer, shape: FloatArray, head: String, weights: String) {
        val first = 1 + axes.size
        out.write("{\"format\":\"emoca-tf recording 1\",\"head\":${text(head)},\"weights_from\":${text(weights)},")
        out.write("\"targets\":${axes.joinToString(",", "[", "]") { text(it) }},")
        out.write("\"emotions\":${emotions.joinToString(",", "[", "]") { text(it) }},")
        out.write("\"shape\":${shape.joinToString(",", "[", "]") { number(it) }},")
        table(out, "times") { out.write(number(value(it, 0))) }
        table(out, "weights") { list(out, it, 1, axes.size) }
        table(out, "rotations") { rotation(out, it, first) }
        table(out, "jaws") { rotation(out, it, first + 3) }
        table(out, "eyelids") { list(out, it, first + POSE.size, EYELIDS.size) }
        table(out, "cameras") { list(out, it, first + POSE.size + EYELIDS.size, CAMERA.size) }
        val emotion = first + POSE.size + EYELIDS.size + CAMERA.size
        table(out, "emotion_shares") { list(out, it, emotion, emotions.size) }
        table(out, "valence_arousal", last = true) { list(out, it, emotion + emotions.size, 2) }
        out.write("}\n")
    }

    private fun table(out: Writer, name: String, last: Boolean = false, row: (Int) -> Unit) {
        out.write("\"$name\":[")
        for (frame in 0 until frames) {
            if (frame > 0) out.write(",")
            row(frame)
        }
        out.write(if (last) "]" else "],")
    }

    private fun list(out: Writer, frame: Int, first: Int, count: Int) {
        out.write("[")
        for (i in 0 until count) {
            if (i > 0) out.write(",")
            out.write(number(value(frame, first + i)))
        }
        out.write("]")
    }

    private fun rotation(out: Writer, frame: Int, first: Int) {
        val q = Quaternion.of(value(frame, first), value(frame, first + 1), value(frame, first + 2))
        out.write(q.joinToString(",", "[", "]") { number(it) })
    }

    private companion object {
        val POSE = listOf("global_x", "global_y", "global_z", "jaw_x", "jaw_y", "jaw_z")
        val EYELIDS = listOf("eyelid_left", "eyelid_right")
        val CAMERA = listOf("cam_scale", "cam_x", "cam_y")

        /** Shortest plain text of a number; JSON and spreadsheets know no NaN, so that a fault reads as 0. */
        fun number(value: Float): String = if (value.isFinite()) String.format(Locale.ROOT, "%.6g", value) else "0"

        fun quoted(name: String): String =
            if (name.any { it in ",\"\r\n" }) "\"" + name.replace("\"", "\"\"") + "\"" else name

        fun text(value: String): String = buildString {
            append('"')
            for (c in value) when {
                c == '"' || c == '\\' -> append('\\').append(c)
                c < ' ' -> append(String.format(Locale.ROOT, "\\u%04x", c.code))
                else -> append(c)
            }
            append('"')
        }
    }
}
