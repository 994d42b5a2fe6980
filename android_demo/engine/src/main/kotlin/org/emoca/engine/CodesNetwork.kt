package org.emoca.engine

/**
 * A network whose inputs are groups of the codes: the head, or an emotion read-out.
 *
 * @throws BundleException it asks for something that is no group of the codes, or of another size.
 */
internal class CodesNetwork(bundle: String, stage: String, val runner: TensorRunner, codes: Codes) {
    private val buffers = Array(runner.inputs.size) { runner.input(runner.inputs[it].name) }
    private val groups = Array(runner.inputs.size) { number ->
        val input = runner.inputs[number]
        val group = codes.group(input.name) ?: throw BundleException("$bundle: stage '$stage' asks for '${input.name}', which no network gives")
        if (group.size != input.size) throw BundleException("$bundle: stage '$stage' takes $input, the codes have ${group.size}")
        group
    }

    fun run() {
        for (i in buffers.indices) {
            buffers[i].seek(0)
            buffers[i].put(groups[i])
            buffers[i].seek(0)
        }
        runner.run()
    }
}
