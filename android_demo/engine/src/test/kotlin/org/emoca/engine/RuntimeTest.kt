package org.emoca.engine

import java.nio.ByteBuffer
import org.emoca.runtime.InterpreterRuntime
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertSame
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows

/** The runtime of the phone, on this machine's processor. */
class RuntimeTest {
    private fun direct(content: ByteArray): ByteBuffer = ByteBuffer.allocateDirect(content.size).put(content).also { it.position(0) }

    @Test
    fun `XNNPACK computes in every network of the bundle, and the name says so`() {
        val bundle = Bundle.load(FolderSource(Given.bundle))
        val runtime = InterpreterRuntime(threads = 2)
        val runners = Runners(bundle, runtime)
        val stages = bundle.manifest.stages.keys
        val left = stages.associateWith { stage ->
            val before = runtime.left
            runners.open(stage)
            runtime.left - before
        }
        assertEquals("XNNPACK CPU × 2", runtime.name)
        println("operations that XNNPACK leaves to the plain kernels: $left")
        assertTrue(stages.size >= 5)
        runners.close()
    }

    @Test
    fun `buffers stay the same, and other names are refused in one line`() {
        val bundle = Bundle.load(FolderSource(Given.bundle))
        val runner = InterpreterRuntime(threads = 1).open(bundle.model("detector"))
        val (input, output) = runner.inputs.first().name to runner.outputs.first().name
        val (before, after) = runner.input(input) to runner.output(output)
        assertEquals(runner.inputs.first().size, before.capacity())
        runner.run()
        assertSame(before, runner.input(input))
        assertSame(after, runner.output(output))
        assertTrue(assertThrows<ModelException> { runner.input("nobody") }.message!!.startsWith("the network has no input 'nobody'"))
        assertThrows<ModelException> { runner.output(input) }
        runner.close()
        runner.close() // a second time changes nothing
    }

    @Test
    fun `what is no network is refused`() {
        for (content in listOf(ByteArray(0), ByteArray(64), "TFL3 or not".toByteArray(), ByteArray(4096) { (31 * it).toByte() })) {
            val message = assertThrows<ModelException> { InterpreterRuntime(threads = 1).open(direct(content)) }.message!!
            assertEquals("this is no TensorFlow Lite model", message)
        }
    }

    @Test
    fun `a network that ends early is refused`() {
        val whole = Bundle.load(FolderSource(Given.bundle)).model("detector")
        val half = ByteArray(whole.remaining() / 2).also { whole.duplicate().get(it) }
        assertThrows<ModelException> { InterpreterRuntime(threads = 1).open(direct(half)) }
    }
}
