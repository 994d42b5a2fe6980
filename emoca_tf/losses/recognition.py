"""Losses that teach an emotion network: valence and arousal by value and by correlation, expression by class.

Source: ``emoca:gdl/models/EmotionRecognitionModuleBase.py`` and ``gdl/layers/losses/emotion`` (spec section 5).
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

_EPSILON = 1e-12


def mean_squared_error(truth: tf.Tensor, predicted: tf.Tensor) -> tf.Tensor:
    """Of ``[B]`` values; rows whose truth is NaN (not labelled) do not count."""
    known = tf.math.is_finite(truth)
    error = tf.where(known, predicted - tf.where(known, truth, 0.0), 0.0)
    return tf.math.divide_no_nan(tf.reduce_sum(error**2), tf.reduce_sum(tf.cast(known, error.dtype)))


def _moments(truth: tf.Tensor, predicted: tf.Tensor) -> tuple[tf.Tensor, ...]:
    known = tf.math.is_finite(truth)
    truth, predicted = tf.boolean_mask(truth, known), tf.boolean_mask(predicted, known)
    count = tf.maximum(tf.cast(tf.size(truth), predicted.dtype), 1.0)
    means = tf.reduce_sum(truth) / count, tf.reduce_sum(predicted) / count
    t, p = truth - means[0], predicted - means[1]
    free = tf.maximum(count - 1, 1.0)  # the original divides by N - 1
    return (*means, tf.reduce_sum(t * t) / free, tf.reduce_sum(p * p) / free, tf.reduce_sum(t * p) / free)


def pearson_loss(truth: tf.Tensor, predicted: tf.Tensor) -> tf.Tensor:
    """``1 - PCC`` over the batch; ``[B]`` each, NaN truths do not count. 1 where one side is constant."""
    _, _, of_truth, of_predicted, together = _moments(truth, predicted)
    return 1 - together / tf.sqrt(of_truth * of_predicted + _EPSILON)


def concordance_loss(truth: tf.Tensor, predicted: tf.Tensor) -> tf.Tensor:
    """``1 - CCC`` over the batch; ``[B]`` each, NaN truths do not count."""
    truth_mean, predicted_mean, of_truth, of_predicted, together = _moments(truth, predicted)
    return 1 - 2 * together / (of_truth + of_predicted + (truth_mean - predicted_mean) ** 2 + _EPSILON)


def expression_cross_entropy(
    labels: tf.Tensor,
    logits: tf.Tensor,
    weights: tf.Tensor | None = None,
    smoothing: float = 0.0,
    classes: tf.Tensor | None = None,
) -> tf.Tensor:
    """Negative log likelihood, weighted by class and divided by the weights' sum (torch's ``nll_loss``).

    Args:
        labels: ``[B]`` integers; negative ones (unknown) do not count.
        logits: ``[B, C]``; log probabilities do as well.
        weights: ``[C]`` or None for equal ones.
        smoothing: share of the target, 0..1, that is spread evenly over ``classes`` (label smoothing).
        classes: ``[C]`` 1 for the classes that take part in it; all if None.
    """
    known = labels >= 0
    safe = tf.where(known, labels, 0)
    each = tf.nn.sparse_softmax_cross_entropy_with_logits(safe, logits)
    if smoothing:
        shares = tf.ones_like(logits[0]) if classes is None else tf.cast(classes, logits.dtype)
        spread = -tf.nn.log_softmax(logits) * shares / tf.reduce_sum(shares)
        each = (1 - smoothing) * each + smoothing * tf.reduce_sum(tf.where(shares > 0, spread, 0.0), -1)
    counted = tf.cast(known, each.dtype)
    if weights is not None:
        counted *= tf.gather(tf.cast(weights, each.dtype), safe)
    return tf.math.divide_no_nan(tf.reduce_sum(each * counted), tf.reduce_sum(counted))


def class_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """``[classes]`` inverse frequencies with mean 1 over the classes that occur; 0 for those that do not.

    Args:
        labels: ``[N]`` integers, negative ones are unknown.
        classes: their number.

    Raises:
        ValueError: if no label is known.
    """
    counts = np.bincount(labels[labels >= 0], minlength=classes)[:classes].astype(np.float64)
    if not counts.any():
        raise ValueError("no picture has an expression label; class weights need at least one")
    weights = np.divide(1.0, counts, out=np.zeros(classes), where=counts > 0)
    return (weights / weights[counts > 0].mean()).astype(np.float32)
