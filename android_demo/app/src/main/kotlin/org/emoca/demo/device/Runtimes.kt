package org.emoca.demo.device

import org.emoca.engine.ModelException
import org.emoca.engine.TensorRuntime
import org.emoca.runtime.InterpreterRuntime

/** What networks can run on. */
object Runtimes {
    private const val GPU = "org.emoca.demo.device.GpuRuntime"

    /** TensorFlow Lite on the processor: with XNNPACK; without it, should that compute something else on this phone. */
    val cpu: List<() -> TensorRuntime> = listOf({ processor(accelerated = true) }, { processor(accelerated = false) })

    private fun processor(accelerated: Boolean): TensorRuntime {
        // Read once, when the loader's classes are first used. Android itself finds the libraries in the APK; and a phone's
        // small Java heap says nothing about how much native memory there is, from which the loader would take its limit.
        System.setProperty("org.bytedeco.javacpp.findlibraries", "false")
        System.setProperty("org.bytedeco.javacpp.maxphysicalbytes", "0")
        System.setProperty("org.bytedeco.javacpp.maxbytes", "0")
        return InterpreterRuntime(accelerated = accelerated)
    }

    /**
     * The graphics processor. Optional: it is looked up by name, so that builds without it compile, run and say so.
     *
     * @throws ModelException this build or this phone has none.
     */
    fun gpu(): TensorRuntime = try {
        Class.forName(GPU).getDeclaredConstructor().newInstance() as TensorRuntime
    } catch (error: ClassNotFoundException) {
        throw ModelException("this build has no GPU delegate", error)
    } catch (error: ReflectiveOperationException) {
        throw error.cause as? ModelException ?: ModelException("the GPU runtime cannot be made: ${error.cause ?: error}", error)
    } catch (error: LinkageError) {
        throw ModelException("the GPU runtime cannot be loaded: ${error.message}", error)
    }
}
