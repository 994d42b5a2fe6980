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
 * The networks on the graphics processor: LiteRT's own interpreter with its GPU delegate. The whole of the optional GPU
 * part is in this file, which only builds with LiteRT from Google's repository contain ([Runtimes] looks it up). It is
 * used after the session's self-test alone.
 *
 * @throws ModelException this phone has no delegate that works.
 */
class GpuRuntime : TensorRuntime {
    override val name = "LiteRT GPU"

    init {
        delegate().close()
    }

    override fun open(model: ByteBuffer): TensorRunner {
        val attached = delegate()
        val interpreter = try {
            Interpreter(model, Interpreter.Options().setNumThreads(1).addDelegate(attached))
        } catch (error: IllegalArgumentException) {
            attached.close()
            throw ModelException(oneLine(error), error)
        } catch (error: IllegalStateException) {
            attached.close()
            throw ModelException(oneLine(error), error)
        } catch (error: LinkageError) {
            attached.close()
            throw ModelException("LiteRT cannot be loaded: ${oneLine(error)}", error)
        }
        try {
            return GpuRunner(interpreter, attached)
        } catch (error: ModelException) {
            interpreter.close()
            attached.close()
            throw error
        }
    }

    /** By name: the delegate's artifact is one of its own, and builds of the rest compile without it. */
    private fun delegate(): Delegate = try {
        Class.forName(DELEGATE).getDeclaredConstructor().newInstance() as Delegate
    } catch (error: ClassNotFoundException) {
        throw ModelException("this build has no GPU delegate", error)
    } catch (error: ReflectiveOperationException) {
        throw ModelException("the GPU delegate cannot be made: ${oneLine(error.cause ?: error)}", error)
    } catch (error: LinkageError) {
        throw ModelException("the GPU delegate cannot be loaded: ${oneLine(error)}", error)
    }

    private companion object {
        const val DELEGATE = "org.tensorflow.lite.gpu.GpuDelegate"
    }
}

/**
 * One network. Names are those of its signature where it has one, else those of its tensors.
 *
 * @throws ModelException tensors that are not float32.
 */
private class GpuRunner(private val interpreter: Interpreter, private val delegate: Delegate) : TensorRunner {
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
            throw ModelException(oneLine(error), error)
        } catch (error: IllegalStateException) {
            throw ModelException(oneLine(error), error)
        }
        for (buffer in outputBuffers.values) buffer.clear()
    }

    override fun close() {
        interpreter.close()
        delegate.close()
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

private fun oneLine(error: Throwable): String = error.message.orEmpty().lineSequence().first().take(160)
