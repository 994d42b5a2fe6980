package org.emoca.runtime

import org.emoca.engine.ModelException
import org.emoca.engine.TensorRunner
import org.emoca.engine.TensorRuntime
import java.nio.ByteBuffer

/**
 * TensorFlow Lite's interpreter with XNNPACK, on the processor: the same classes on a phone and on a desktop JVM, so that
 * what is proved on one is what the other runs. Libraries are those of the JavaCPP presets (`org.bytedeco:tensorflow-lite`),
 * which for Android are linked for pages of 16 KB.
 *
 * @param threads of every network.
 * @param accelerated with XNNPACK; without it the plain kernels compute, several times slower.
 */
class InterpreterRuntime(private val threads: Int = fastCores(), private val accelerated: Boolean = true) : TensorRuntime {
    private var whole = accelerated

    /** Operations of the networks opened so far that XNNPACK leaves to the plain kernels: slow ones, if they are convolutions. */
    var left = 0
        private set

    /** What computes; it says so if a network was opened of which XNNPACK takes nothing. */
    override val name: String
        get() = "${if (whole) "XNNPACK CPU" else "CPU without XNNPACK"} × $threads"

    override fun open(model: ByteBuffer): TensorRunner = try {
        InterpreterRunner(model, threads, accelerated).also {
            whole = whole && it.delegated
            left += it.left
        }
    } catch (error: LinkageError) { // no native library for this processor
        throw ModelException("TensorFlow Lite cannot be loaded: ${error.message.orEmpty().lineSequence().first().take(160)}", error)
    }

    private companion object {
        /** Half the cores: the fast ones, on phones that have two kinds. */
        fun fastCores() = (Runtime.getRuntime().availableProcessors() / 2).coerceIn(1, 4)
    }
}
