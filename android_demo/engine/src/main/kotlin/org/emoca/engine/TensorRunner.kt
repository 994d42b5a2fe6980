package org.emoca.engine

import java.nio.Buffer
import java.nio.ByteBuffer
import java.nio.FloatBuffer

/** Name and shape of one float32 input or output of a network. */
class TensorSpec(val name: String, vararg val shape: Int) {
    /** Number of values. */
    val size: Int = shape.fold(1) { product, length -> Math.multiplyExact(product, length) }

    override fun toString(): String = "$name ${shape.contentToString()}"
}

/**
 * One opened network. The buffers belong to the runner and stay the same from run to run, so that a frame allocates
 * nothing. Not thread-safe: whoever opened a runner runs and closes it on the same thread.
 */
interface TensorRunner : AutoCloseable {
    val inputs: List<TensorSpec>
    val outputs: List<TensorSpec>

    /**
     * Where the values of an input go, at positions 0 until its size.
     *
     * @throws ModelException the network has no such input.
     */
    fun input(name: String): FloatBuffer

    /**
     * Where the values of an output lie after [run], at positions 0 until its size.
     *
     * @throws ModelException the network has no such output.
     */
    fun output(name: String): FloatBuffer

    /**
     * Compute the outputs of the present inputs.
     *
     * @throws ModelException the runtime failed.
     */
    fun run()

    override fun close()
}

/** Opens networks: TensorFlow Lite on the processor (`../runtime`), or a phone's graphics processor. */
interface TensorRuntime {
    /** What is really used, for people: "XNNPACK, 2 threads". */
    val name: String

    /**
     * Open a network.
     *
     * @param model the file's verified bytes, a direct buffer that lives as long as the runner.
     * @throws ModelException the runtime refuses the file, or its tensors are not float32.
     */
    fun open(model: ByteBuffer): TensorRunner
}

/** Change the position by `Buffer`'s own method: those of its subclasses exist on Android only since version 9. */
internal fun Buffer.seek(position: Int) {
    position(position)
}

/** A network that cannot be opened or run; one line for people. */
class ModelException(message: String, cause: Throwable? = null) : Exception(message, cause)

/** A bundle that is missing, damaged, changed or not understood; one line for people. */
class BundleException(message: String, cause: Throwable? = null) : Exception(message, cause)
