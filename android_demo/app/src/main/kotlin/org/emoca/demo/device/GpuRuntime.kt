package org.emoca.demo.device

import org.emoca.engine.ModelException
import org.emoca.engine.TensorRuntime
import org.tensorflow.lite.Delegate

/**
 * The networks on the graphics processor: the same interpreter with LiteRT's GPU delegate. Optional: the delegate is
 * looked up by name, so that builds without it compile, run and say so. It is only used after the session's self-test.
 */
object GpuRuntime {
    private const val DELEGATE = "org.tensorflow.lite.gpu.GpuDelegate"

    /** @throws ModelException this build or this phone has none. */
    fun open(): TensorRuntime {
        make().close()
        return InterpreterRuntime(threads = 1, delegateName = "LiteRT GPU", delegate = ::make)
    }

    private fun make(): Delegate = try {
        Class.forName(DELEGATE).getDeclaredConstructor().newInstance() as Delegate
    } catch (error: ClassNotFoundException) {
        throw ModelException("this build has no GPU delegate", error)
    } catch (error: ReflectiveOperationException) {
        throw ModelException("the GPU delegate cannot be made: ${InterpreterRuntime.oneLine(error.cause ?: error)}", error)
    } catch (error: LinkageError) {
        throw ModelException("the GPU delegate cannot be loaded: ${InterpreterRuntime.oneLine(error)}", error)
    }
}
