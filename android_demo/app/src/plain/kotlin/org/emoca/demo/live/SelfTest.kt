package org.emoca.demo.live

import org.emoca.engine.Bundle
import org.emoca.engine.GoldenRecord
import org.emoca.engine.ModelException
import org.emoca.engine.TensorRuntime
import kotlin.math.abs

/**
 * Whether a runtime computes what the bundle's golden vectors say. No runtime is above suspicion: XNNPACK of TensorFlow
 * Lite 2.21 gives zeros for convolutions whose stride is larger than their kernel. A graphics processor works with half
 * the digits, so the limits are wider than the bundle's own.
 */
object SelfTest {
    /** Share of the largest expected value that an output may be off. */
    private const val SHARE = 0.02f

    /** Metres: what vertices may be off. */
    private const val VERTEX = 5e-4f

    /**
     * Run every network of the bundle once.
     *
     * @param bundle loaded with its golden vectors.
     * @return `null` if all is well, else one line that says what is not.
     */
    fun complaint(bundle: Bundle, runtime: TensorRuntime): String? {
        val tests = bundle.manifest.golden.filter { it.stage in bundle }
        if (tests.isEmpty()) return "the bundle has no golden vectors"
        return tests.firstNotNullOfOrNull { one(bundle, runtime, it) }
    }

    private fun one(bundle: Bundle, runtime: TensorRuntime, test: GoldenRecord): String? = try {
        runtime.open(bundle.model(test.stage)).use { runner ->
            for ((input, array) in test.inputs) runner.input(input).put(bundle.floats(array)).rewind()
            runner.run()
            test.outputs.entries.firstNotNullOfOrNull { (output, array) ->
                val expected = bundle.floats(array)
                val found = runner.output(output)
                val off = if (found.capacity() < expected.size) Float.NaN else furthest(expected, found::get)
                if (off <= limit(test, expected)) null else "${test.stage}: $output is off by $off"
            }
        }
    } catch (error: ModelException) {
        "${test.stage}: ${error.message}"
    }

    private fun limit(test: GoldenRecord, expected: FloatArray): Float =
        if (test.stage.startsWith("head")) VERTEX else test.tolerance.toFloat() + SHARE * maxOf(1f, expected.maxOf(::abs))

    /** Largest difference; NaN if one value is none. */
    private fun furthest(expected: FloatArray, found: (Int) -> Float): Float {
        var most = 0f
        for (i in expected.indices) {
            val off = abs(expected[i] - found(i))
            if (!(off <= most)) most = off
            if (off.isNaN()) return off
        }
        return most
    }
}
