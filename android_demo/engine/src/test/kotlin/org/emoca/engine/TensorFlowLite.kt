package org.emoca.engine

import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.FloatBuffer
import org.bytedeco.javacpp.BytePointer
import org.bytedeco.javacpp.Pointer
import org.bytedeco.tensorflowlite.TfLiteInterpreter
import org.bytedeco.tensorflowlite.TfLiteInterpreterOptions
import org.bytedeco.tensorflowlite.TfLiteModel
import org.bytedeco.tensorflowlite.TfLiteSignatureRunner
import org.bytedeco.tensorflowlite.TfLiteTensor
import org.bytedeco.tensorflowlite.global.tensorflowlite.*

/**
 * TensorFlow Lite's C interface on a computer (JavaCPP presets), so that what the engine does around the networks can be
 * proved without a phone. This build runs TensorFlow Lite's plain kernels, not XNNPACK's: right, but several times slower.
 */
class TensorFlowLite(private val threads: Int = 1) : TensorRuntime {
    override val name = "TensorFlow Lite ${TfLiteVersion().string}, CPU without XNNPACK, $threads thread${if (threads > 1) "s" else ""}"

    override fun open(model: ByteBuffer): TensorRunner = Runner(model, threads)

    private class Runner(private val content: ByteBuffer, threads: Int) : TensorRunner {
        private val model: TfLiteModel
        private val options: TfLiteInterpreterOptions
        private val interpreter: TfLiteInterpreter
        private val signature: TfLiteSignatureRunner?
        private val buffers = HashMap<String, FloatBuffer>()
        override val inputs: List<TensorSpec>
        override val outputs: List<TensorSpec>

        init {
            model = TfLiteModelCreate(BytePointer(content), content.remaining().toLong())
                ?: throw ModelException("this is no TensorFlow Lite model")
            options = TfLiteInterpreterOptionsCreate()
            TfLiteInterpreterOptionsSetNumThreads(options, threads)
            interpreter = TfLiteInterpreterCreate(model, options) ?: throw ModelException("the runtime cannot run this model")
            val signatures = TfLiteInterpreterGetSignatureCount(interpreter)
            if (signatures > 1) throw ModelException("the model has $signatures signatures; files with one, or none, can be used")
            signature = if (signatures == 1) TfLiteInterpreterGetSignatureRunner(interpreter, TfLiteInterpreterGetSignatureKey(interpreter, 0)) else null
            val status = if (signature != null) TfLiteSignatureRunnerAllocateTensors(signature) else TfLiteInterpreterAllocateTensors(interpreter)
            if (status != kTfLiteOk) throw ModelException("the runtime cannot allocate the model's tensors")
            if (signature != null) {
                inputs = List(TfLiteSignatureRunnerGetInputCount(signature).toInt()) {
                    val name = TfLiteSignatureRunnerGetInputName(signature, it).string
                    described("in", name, TfLiteSignatureRunnerGetInputTensor(signature, name))
                }
                outputs = List(TfLiteSignatureRunnerGetOutputCount(signature).toInt()) {
                    val name = TfLiteSignatureRunnerGetOutputName(signature, it).string
                    described("out", name, TfLiteSignatureRunnerGetOutputTensor(signature, name))
                }
            } else {
                inputs = List(TfLiteInterpreterGetInputTensorCount(interpreter)) {
                    val tensor = TfLiteInterpreterGetInputTensor(interpreter, it)
                    described("in", TfLiteTensorName(tensor).string, tensor)
                }
                outputs = List(TfLiteInterpreterGetOutputTensorCount(interpreter)) {
                    val tensor = TfLiteInterpreterGetOutputTensor(interpreter, it)
                    described("out", TfLiteTensorName(tensor).string, tensor)
                }
            }
        }

        override fun input(name: String): FloatBuffer = buffers["in $name"] ?: throw ModelException("no input '$name', but $inputs")

        override fun output(name: String): FloatBuffer = buffers["out $name"] ?: throw ModelException("no output '$name', but $outputs")

        override fun run() {
            val status = if (signature != null) TfLiteSignatureRunnerInvoke(signature) else TfLiteInterpreterInvoke(interpreter)
            if (status != kTfLiteOk) throw ModelException("the runtime failed with status $status")
        }

        override fun close() {
            if (signature != null) TfLiteSignatureRunnerDelete(signature)
            TfLiteInterpreterDelete(interpreter)
            TfLiteInterpreterOptionsDelete(options)
            TfLiteModelDelete(model)
        }

        private fun described(kind: String, name: String, tensor: TfLiteTensor): TensorSpec {
            if (TfLiteTensorType(tensor) != kTfLiteFloat32) throw ModelException("'$name' is not float32; convert without --io int8")
            val shape = IntArray(TfLiteTensorNumDims(tensor)) { TfLiteTensorDim(tensor, it) }
            val bytes = Pointer(TfLiteTensorData(tensor)).let { BytePointer(it).capacity(TfLiteTensorByteSize(tensor)).asByteBuffer() }
            buffers["$kind $name"] = bytes.order(ByteOrder.nativeOrder()).asFloatBuffer()
            return TensorSpec(name, *shape)
        }
    }
}
