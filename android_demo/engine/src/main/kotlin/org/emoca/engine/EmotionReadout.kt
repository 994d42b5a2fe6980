package org.emoca.engine

import java.nio.FloatBuffer
import kotlin.math.exp

/**
 * What emotion a network's outputs show: probabilities of the classes, the likeliest one, valence and arousal.
 *
 * Valence and arousal are the network's own where it has such outputs, else the mean of the classes' places in the
 * circumplex weighted by their probabilities.
 *
 * @param classes names of the classes in the order of the logits.
 * @param smoothing of probabilities, valence and arousal over time, or null.
 */
class EmotionReadout(val classes: List<String>, smoothing: Smoothing?) {
    /** Probability of every class; they sum to 1. */
    val probabilities = FloatArray(classes.size)

    /** Number of the likeliest class. */
    var best = 0
        private set

    /** -1 unpleasant .. 1 pleasant. */
    var valence = 0f
        private set

    /** -1 calm .. 1 excited. */
    var arousal = 0f
        private set

    /** Name of the likeliest class. */
    val label: String get() = classes[best]

    private val filter = smoothing?.let { OneEuro(classes.size + 2, it) }
    private val filtered = FloatArray(classes.size + 2)
    private val placeValence = FloatArray(classes.size) { CIRCUMPLEX[classes[it]]?.get(0) ?: 0f }
    private val placeArousal = FloatArray(classes.size) { CIRCUMPLEX[classes[it]]?.get(1) ?: 0f }

    /** Another person, or the face was lost. */
    fun reset() {
        filter?.reset()
    }

    /**
     * Read one face.
     *
     * @param logits as many as classes, from position 0.
     * @param networkValence one value, or null where the network has no such output; likewise [networkArousal].
     */
    fun read(logits: FloatBuffer, networkValence: FloatBuffer?, networkArousal: FloatBuffer?, seconds: Double) {
        softmax(logits)
        var v = networkValence?.get(0) ?: Float.NaN
        var a = networkArousal?.get(0) ?: Float.NaN
        if (networkValence == null || networkArousal == null) {
            v = 0f
            a = 0f
            for (i in probabilities.indices) {
                v += probabilities[i] * placeValence[i]
                a += probabilities[i] * placeArousal[i]
            }
        }
        valence = v
        arousal = a
        if (filter != null) smooth(filter, seconds)
        best = 0
        for (i in probabilities.indices) if (probabilities[i] > probabilities[best]) best = i
    }

    private fun softmax(logits: FloatBuffer) {
        var highest = Float.NEGATIVE_INFINITY
        for (i in probabilities.indices) highest = maxOf(highest, logits.get(i))
        var total = 0.0
        for (i in probabilities.indices) {
            val share = exp((logits.get(i) - highest).toDouble())
            probabilities[i] = share.toFloat()
            total += share
        }
        for (i in probabilities.indices) probabilities[i] = (probabilities[i] / total).toFloat()
    }

    private fun smooth(filter: OneEuro, seconds: Double) {
        val n = probabilities.size
        System.arraycopy(probabilities, 0, filtered, 0, n)
        filtered[n] = valence
        filtered[n + 1] = arousal
        filter.filter(filtered, 0, seconds)
        var total = 0f
        for (i in 0 until n) total += filtered[i]
        for (i in 0 until n) probabilities[i] = if (total > 0) filtered[i] / total else probabilities[i]
        valence = filtered[n]
        arousal = filtered[n + 1]
    }

    companion object {
        /** Valence and arousal of the classes at full strength: `emoca_tf.emotion.circumplex`, a convention, no measurement. */
        val CIRCUMPLEX: Map<String, FloatArray> = mapOf(
            "neutral" to floatArrayOf(0f, 0f),
            "happy" to floatArrayOf(0.85f, 0.35f),
            "sad" to floatArrayOf(-0.75f, -0.35f),
            "surprise" to floatArrayOf(0.25f, 0.85f),
            "fear" to floatArrayOf(-0.6f, 0.85f),
            "disgust" to floatArrayOf(-0.8f, 0.45f),
            "anger" to floatArrayOf(-0.7f, 0.75f),
            "contempt" to floatArrayOf(-0.6f, 0.3f),
        )
    }
}
