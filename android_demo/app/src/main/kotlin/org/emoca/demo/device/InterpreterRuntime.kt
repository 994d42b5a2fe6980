package org.emoca.demo.device

import org.emoca.engine.ModelException
import org.emoca.engine.TensorRunner
import org.emoca.engine.TensorRuntime
import org.emoca.engine.TensorSpec
import org.tensorflow.lite.DataType
import org.tensorflow.lite.Delegate
import org.tensorflow.lite.Interpreter
import org.tensorflow.lite.Tensor
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.FloatBuffer

/**
 * LiteRT's interpreter: XNNPACK on the processor, or a delegate.
 *
 * @param threads of every network.
 * @param delegate made for every network, closed with it; the processor alone if `null`.
 */
class InterpreterRuntime(
    private val threads: Int = defaultThreads(), private val delegateName: String = "",
    private val delegate: (() -> Delegate)? = null,
) : TensorRuntime {
    override val name: String
        get() = if (delegate != null) delegateName else "XNNPACK CPU × $threads"

    override fun open(model: ByteBuffer): TensorRunner {
        val attached = delegate?.invoke()
        val interpreter = try {
            val options = Interpreter.Options().setNumThreads(threads).setUseXNNPACK(attached == null)
            if (attached != null) options.addDelegate(attached)
            Interpreter(model, options)
        } catch (error: IllegalArgumentException) {
            attached?.close()
            throw ModelException(oneLine(error), error)
        } catch (error: IllegalStateException) {
            attached?.close()
            throw ModelException(oneLine(error), error)
        } catch (error: LinkageError) { // no native library for this processor
            attached?.close()
            throw ModelException("LiteRT cannot be loaded: ${oneLine(error)}", error)
        }
        try {
            return InterpreterRunner(interpreter, attached)
        } catch (error: ModelException) {
            interpreter.close()
            attached?.close()
            throw error
        }
    }

    companion object {
        /** Half the cores: the fast ones, on phones that have two kinds. */
        private fun defaultThreads() = (Runtime.getRuntime().availableProcessors() / 2).coerceIn(1, 4)

        internal fun oneLine(error: Throwable): String = error.message.orEmpty().lineSequence().first().take(160)
    }
}

/**
 * One network in the interpreter. Names are those of its signature where it has one, else those of its tensors.
 *
 * @throws ModelException tensors that are not float32.
 */
internal class InterpreterRunner(private val interpreter: Interpreter, private val delegate: Delegate?) : TensorRunner {
    private val signature: String? = interpreter.signatureKeys.firstOrNull()
    private val inputTensors: Map<String, Tensor> = tensors(
        interpreter.inputTensorCount, interpreter::getInputTensor,
        signature?.let(interpreter::getSignatureInputs), interpreter::getInputTensorFromSignature,
    )
    private val outputTensors: Map<String, Tensor> = tensors(
        interpreter.outputTensorCount, interpreter::getOutputTensor,
        signature?.let(interpreter::getSignatureOutputs), interpreter::getOutputTensorFromSignature,
    )
    override val inputs = inputTensors.map { (name, tensor) -> TensorSpec(name, *tensor.shape()) }
    override val outputs = outputTensors.map { (name, tensor) -> TensorSpec(name, *tensor.shape()) }
    private val inputBuffers: Map<String, FloatBuffer> = inputs.associate { it.name to buffer(it) }
    private val outputBuffers: Map<String, FloatBuffer> = outputs.associate { it.name to buffer(it) }

    // The interpreter's own forms of the same buffers, made once.
    private val inputList: Array<Any> = inputs.map { inputBuffers.getValue(it.name) }.toTypedArray()
    private val outputList: Map<Int, Any> = outputs.withIndex().associate { (at, spec) -> at to outputBuffers.getValue(spec.name) }

    override fun input(name: String): FloatBuffer =
        inputBuffers[name] ?: throw ModelException("the network has no input '$name', but ${inputBuffers.keys}")

    override fun output(name: String): FloatBuffer =
        outputBuffers[name] ?: throw ModelException("the network has no output '$name', but ${outputBuffers.keys}")

    override fun run() {
        for (buffer in inputBuffers.values) buffer.clear()
        for (buffer in outputBuffers.values) buffer.clear()
        try {
            if (signature != null) {
                interpreter.runSignature(inputBuffers, outputBuffers, signature)
            } else {
                interpreter.runForMultipleInputsOutputs(inputList, outputList)
            }
        } catch (error: IllegalArgumentException) {
            throw ModelException(InterpreterRuntime.oneLine(error), error)
        } catch (error: IllegalStateException) {
            throw ModelException(InterpreterRuntime.oneLine(error), error)
        }
        for (buffer in outputBuffers.values) buffer.clear()
    }

    override fun close() {
        interpreter.close()
        delegate?.close()
    }

    private fun tensors(
        count: Int, byIndex: (Int) -> Tensor, names: Array<String>?, byName: (String, String) -> Tensor,
    ): Map<String, Tensor> {
        val found = LinkedHashMap<String, Tensor>()
        if (names != null && signature != null) {
            for (name in names) found[name] = byName(name, signature)
        } else {
            for (index in 0 until count) byIndex(index).let { found[it.name()] = it }
        }
        val other = found.entries.firstOrNull { it.value.dataType() != DataType.FLOAT32 } ?: return found
        throw ModelException("tensor '${other.key}' is ${other.value.dataType()}, not float32")
    }

    private fun buffer(spec: TensorSpec): FloatBuffer =
        ByteBuffer.allocateDirect(Float.SIZE_BYTES * spec.size).order(ByteOrder.nativeOrder()).asFloatBuffer()
}
