package org.emoca.engine

/**
 * A parsed JSON value. Numbers keep the text they were written with, so that a document can be written again byte for
 * byte as Python's `json.dumps` wrote it, which the manifest's digest is taken of.
 */
sealed class Json {
    class Object(val members: Map<String, Json>) : Json()

    class Array(val elements: List<Json>) : Json()

    class Text(val value: String) : Json()

    class Number(val text: String) : Json()

    class Word(val text: String) : Json()

    /** Canonical text: keys in order, no spaces, ASCII (Python's `sort_keys=True, separators=(",", ":")`). */
    fun canonical(out: StringBuilder = StringBuilder()): StringBuilder {
        when (this) {
            is Object -> {
                out.append('{')
                members.keys.sortedWith(BY_CODE_POINT).forEachIndexed { number, key ->
                    if (number > 0) out.append(',')
                    quote(key, out)
                    out.append(':')
                    members.getValue(key).canonical(out)
                }
                out.append('}')
            }
            is Array -> {
                out.append('[')
                elements.forEachIndexed { number, element ->
                    if (number > 0) out.append(',')
                    element.canonical(out)
                }
                out.append(']')
            }
            is Text -> quote(value, out)
            is Number -> out.append(text)
            is Word -> out.append(text)
        }
        return out
    }

    companion object {
        /** Deeper documents are refused. */
        const val MAX_DEPTH = 64

        /** @throws IllegalArgumentException the text is no JSON, or nested too deeply, or names a member twice. */
        fun parse(text: String): Json = Parser(text).document()

        private val BY_CODE_POINT = Comparator<String> { a, b ->
            val p = a.codePoints().toArray()
            val q = b.codePoints().toArray()
            // Arrays.compare came with API 33
            val first = (0 until minOf(p.size, q.size)).firstOrNull { p[it] != q[it] }
            if (first == null) p.size - q.size else p[first].compareTo(q[first])
        }

        private fun quote(text: String, out: StringBuilder) {
            out.append('"')
            for (char in text) {
                when (char) {
                    '"' -> out.append("\\\"")
                    '\\' -> out.append("\\\\")
                    '\n' -> out.append("\\n")
                    '\r' -> out.append("\\r")
                    '\t' -> out.append("\\t")
                    '\b' -> out.append("\\b")
                    '\u000c' -> out.append("\\f")
                    in ' '..'~' -> out.append(char)
                    else -> out.append("\\u").append(char.code.toString(16).padStart(4, '0'))
                }
            }
            out.append('"')
        }
    }

    private class Parser(private val text: String) {
        private var at = 0

        fun document(): Json {
            val value = value(0)
            skip()
            require(at == text.length) { "something follows the document" }
            return value
        }

        private fun value(depth: Int): Json {
            require(depth < MAX_DEPTH) { "nested too deeply" }
            skip()
            return when (val char = peek()) {
                '{' -> members(depth)
                '[' -> elements(depth)
                '"' -> Text(string())
                else -> if (char == '-' || char in '0'..'9') number() else word()
            }
        }

        private fun members(depth: Int): Json {
            val found = LinkedHashMap<String, Json>()
            at++
            skip()
            if (peek() == '}') at++ else do {
                skip()
                val key = string()
                skip()
                expect(':')
                require(found.put(key, value(depth + 1)) == null) { "a member twice" }
            } while (more('}'))
            return Object(found)
        }

        private fun elements(depth: Int): Json {
            val found = ArrayList<Json>()
            at++
            skip()
            if (peek() == ']') at++ else do found.add(value(depth + 1)) while (more(']'))
            return Array(found)
        }

        private fun more(end: Char): Boolean {
            skip()
            val char = peek()
            at++
            require(char == ',' || char == end) { "no '$end' at $at" }
            return char == ','
        }

        private fun string(): String {
            expect('"')
            val out = StringBuilder()
            while (true) {
                val char = peek()
                at++
                when {
                    char == '"' -> return out.toString()
                    char == '\\' -> out.append(escaped())
                    else -> {
                        require(char >= ' ') { "a control character in a text" }
                        out.append(char)
                    }
                }
            }
        }

        private fun escaped(): Char {
            val char = peek()
            at++
            return when (char) {
                '"', '\\', '/' -> char
                'n' -> '\n'
                'r' -> '\r'
                't' -> '\t'
                'b' -> '\b'
                'f' -> '\u000c'
                'u' -> {
                    require(at + 4 <= text.length) { "a cut escape" }
                    val digits = text.substring(at, at + 4)
                    require(digits.all { it in '0'..'9' || it in 'a'..'f' || it in 'A'..'F' }) { "a wrong escape" }
                    at += 4
                    digits.toInt(16).toChar()
                }
                else -> throw IllegalArgumentException("an unknown escape")
            }
        }

        private fun number(): Json {
            val found = NUMBER.find(text, at)
            require(found != null && found.range.first == at) { "a wrong number at $at" }
            at = found.range.last + 1
            return Number(found.value)
        }

        private fun word(): Json {
            for (word in WORDS) {
                if (text.startsWith(word, at)) {
                    at += word.length
                    return Word(word)
                }
            }
            throw IllegalArgumentException("no value at $at")
        }

        private fun skip() {
            while (at < text.length && text[at] in " \n\r\t") at++
        }

        private fun peek(): Char {
            require(at < text.length) { "the document is cut" }
            return text[at]
        }

        private fun expect(char: Char) {
            require(peek() == char) { "no '$char' at $at" }
            at++
        }

        private companion object {
            val NUMBER = Regex("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]+)?")
            val WORDS = listOf("true", "false", "null")
        }
    }
}

// Typed access for schemas; every mismatch is an IllegalArgumentException that names the member.

internal fun Json.Object.member(name: String): Json = requireNotNull(members[name]) { "no '$name'" }

internal fun Json.Object.objectOf(name: String): Json.Object = member(name).let { requireNotNull(it as? Json.Object) { "'$name' is no object" } }

internal fun Json.Object.arrayOf(name: String): List<Json> = member(name).let { requireNotNull(it as? Json.Array) { "'$name' is no list" } }.elements

internal fun Json.Object.text(name: String): String = member(name).asText(name)

internal fun Json.Object.int(name: String): Int = member(name).asInt(name)

internal fun Json.Object.double(name: String): Double = member(name).asDouble(name)

internal fun Json.asText(name: String): String = requireNotNull((this as? Json.Text)?.value) { "'$name' is no text" }

internal fun Json.asInt(name: String): Int = requireNotNull((this as? Json.Number)?.text?.toIntOrNull()) { "'$name' is no whole number" }

internal fun Json.asDouble(name: String): Double {
    val value = (this as? Json.Number)?.text?.toDoubleOrNull()
    require(value != null && value.isFinite()) { "'$name' is no number" }
    return value
}
