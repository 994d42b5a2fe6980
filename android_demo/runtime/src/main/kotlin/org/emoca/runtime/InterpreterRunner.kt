package org.emoca.runtime

import org.bytedeco.javacpp.BytePointer
import org.bytedeco.javacpp.Pointer
import org.bytedeco.javacpp.PointerPointer
import org.bytedeco.tensorflowlite.BuiltinOpResolver
import org.bytedeco.tensorflowlite.BuiltinOpResolverWithXNNPACK
import org.bytedeco.tensorflowlite.BuiltinOpResolverWithoutDefaultDelegates
import org.bytedeco.tensorflowlite.FlatBufferModel
import org.bytedeco.tensorflowlite.Interpreter
import org.bytedeco.tensorflowlite.InterpreterBuilder
import org.bytedeco.tensorflowlite.SignatureRunner
import org.bytedeco.tensorflowlite.TfLiteTensor
import org.bytedeco.tensorflowlite.global.tensorflowlite.TfLiteTensorByteSize
import org.bytedeco.tensorflowlite.global.tensorflowlite.TfLiteTensorData
import org.bytedeco.tensorflowlite.global.tensorflowlite.TfLiteTensorDim
import org.bytedeco.tensorflowlite.global.tensorflowlite.TfLiteTensorNumDims
import org.bytedeco.tensorflowlite.global.tensorflowlite.TfLiteTensorType
import org.bytedeco.tensorflowlite.global.tensorflowlite.kTfLiteFloat32
import org.bytedeco.tensorflowlite.global.tensorflowlite.kTfLiteOk
import org.emoca.engine.ModelException
import org.emoca.engine.TensorRunner
import org.emoca.engine.TensorSpec
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.FloatBuffer

/**
 * One network in the interpreter. Names are those of its signature where it has one, else those of its tensors. The
 * buffers are the interpreter's own memory: nothing is copied, and a run allocates nothing.
 *
 * @param content the file; it has to live as long as the runner.
 * @throws ModelException the interpreter refuses the file, or its tensors are not float32.
 */
internal class InterpreterRunner(private val content: ByteBuffer, threads: Int, accelerated: Boolean) : TensorRunner {
    private val held = ArrayList<Pointer>() // what the native side refers to, in the order of its making
    private val interpreter: Interpreter
    private val signature: SignatureRunner?
    private val buffers = HashMap<String, FloatBuffer>()
    override val inputs: List<TensorSpec>
    override val outputs: List<TensorSpec>

    /** Operations that XNNPACK leaves to the plain kernels. */
    val left: Int

    /** Whether XNNPACK computes any of the network. */
    val delegated: Boolean

    init {
        try {
            interpreter = build(threads, if (accelerated) BuiltinOpResolverWithXNNPACK() else BuiltinOpResolverWithoutDefaultDelegates())
            signature = signature()
            val status = signature?.AllocateTensors() ?: interpreter.AllocateTensors()
            if (status != kTfLiteOk) throw ModelException("the runtime cannot allocate the network's tensors")
            val kinds = kinds()
            left = kinds.count { it != DELEGATE }
            delegated = left < kinds.size
            inputs = inputTensors().map { (name, tensor) -> described(IN, name, tensor) }
            outputs = outputTensors().map { (name, tensor) -> described(OUT, name, tensor) }
        } catch (error: ModelException) {
            close()
            throw error
        }
    }

    override fun input(name: String): FloatBuffer = buffers[IN + name] ?: throw ModelException("the network has no input '$name', but $inputs")

    override fun output(name: String): FloatBuffer = buffers[OUT + name] ?: throw ModelException("the network has no output '$name', but $outputs")

    override fun run() {
        val status = signature?.Invoke() ?: interpreter.Invoke()
        if (status != kTfLiteOk) throw ModelException("the runtime failed with status $status")
    }

    override fun close() {
        held.asReversed().forEach(Pointer::deallocate)
        held.clear()
    }

    private fun build(threads: Int, operations: BuiltinOpResolver): Interpreter {
        val model = FlatBufferModel.VerifyAndBuildFromBuffer(kept(BytePointer(content)), content.remaining().toLong())
        if (model == null || model.isNull) throw ModelException("this is no TensorFlow Lite model")
        val builder = kept(InterpreterBuilder(kept(model), kept(operations)))
        builder.SetNumThreads(threads)
        val made = kept(Interpreter(null as Pointer?))
        if (builder.apply(made) != kTfLiteOk || made.isNull) throw ModelException("the runtime cannot run this model")
        return made
    }

    private fun signature(): SignatureRunner? {
        val keys = interpreter.signature_keys()
        if (keys.size() > 1) throw ModelException("the model has ${keys.size()} signatures; files with one, or none, can be used")
        return if (keys.size() == 1L) interpreter.GetSignatureRunner(keys.get(0).string) else null
    }

    /** Name of every step of the plan: [DELEGATE] for a group of operations, null for an operation by itself. */
    private fun kinds(): List<String?> {
        val plan = interpreter.execution_plan()
        return List(plan.limit().toInt()) { at ->
            interpreter.node_and_registration(plan.get(at.toLong())).second().custom_name()?.takeUnless(Pointer::isNull)?.string
        }
    }

    private fun inputTensors(): List<Pair<String, TfLiteTensor>> {
        val runner = signature ?: return List(interpreter.inputs().limit().toInt()) {
            interpreter.GetInputName(it).string to interpreter.input_tensor(it.toLong())
        }
        return names(runner.input_names(), runner.input_size()).map { it to runner.input_tensor(it) }
    }

    private fun outputTensors(): List<Pair<String, TfLiteTensor>> {
        val runner = signature ?: return List(interpreter.outputs().limit().toInt()) {
            interpreter.GetOutputName(it).string to interpreter.output_tensor(it.toLong())
        }
        return names(runner.output_names(), runner.output_size()).map { it to runner.output_tensor(it) }
    }

    private fun names(pointers: PointerPointer<*>, count: Long): List<String> =
        List(count.toInt()) { BytePointer(pointers.get(it.toLong())).string }

    private fun described(kind: String, name: String, tensor: TfLiteTensor): TensorSpec {
        if (TfLiteTensorType(tensor) != kTfLiteFloat32) throw ModelException("'$name' is not float32; convert without --io int8")
        val shape = IntArray(TfLiteTensorNumDims(tensor)) { TfLiteTensorDim(tensor, it) }
        val bytes = BytePointer(TfLiteTensorData(tensor)).capacity(TfLiteTensorByteSize(tensor)).asByteBuffer()
        buffers[kind + name] = bytes.order(ByteOrder.nativeOrder()).asFloatBuffer()
        return TensorSpec(name, *shape)
    }

    private fun <T : Pointer> kept(pointer: T): T = pointer.also(held::add)

    private companion object {
        const val IN = "in "
        const val OUT = "out "
        const val DELEGATE = "TfLiteXNNPackDelegate"
    }
}
