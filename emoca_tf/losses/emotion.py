"""Emotion consistency: the picture of the head should feel like the photo (EMOCA, section 3.2 of the paper).

Source: ``emoca:gdl/layers/losses/EmoNetLoss.py`` (losses 4.3). The photo's features are computed under no-grad and
unmasked, the head's on black; the network is frozen and in inference mode. That is the caller's part: here are the
distances.
"""

from __future__ import annotations

from typing import Literal, get_args

import tensorflow as tf

FeatureDistance = Literal["mse", "l1", "cosine", "mse_normalised", "correlation"]
FAINT = 0.1
"""Features that vary less than this share of the mean feature hardly count in ``correlation``."""


def emotion_features(photo: tf.Tensor, head: tf.Tensor, distance: FeatureDistance = "mse") -> tf.Tensor:
    """Distance of emotion features.

    Args:
        photo: ``[B, F]`` features of the photo; no gradient flows into them.
        head: ``[B, F]`` features of the rendered head.
        distance: ``mse`` is the release's (``emo_feat_loss: mse_loss``); ``l1`` is what the code falls back to without
            that key; ``cosine`` is ``mean(1 - cos)``; ``mse_normalised`` compares features of unit length;
            ``correlation`` (ours) is ``mean(1 - r)`` with Pearson's ``r`` of every feature over the batch: a rendered
            head has other features than a photo whatever it shows, and that difference is the same for all faces.
            Features that hardly vary are damped, so it is never quite 0.

    Raises:
        ValueError: for another distance.
    """
    photo = tf.stop_gradient(photo)
    if distance == "correlation":
        return tf.reduce_mean(1 - _correlations(photo, head))
    if distance == "mse":
        return tf.reduce_mean((head - photo) ** 2)
    if distance == "l1":
        return tf.reduce_mean(tf.abs(head - photo))
    photo, head = tf.math.l2_normalize(photo, -1), tf.math.l2_normalize(head, -1)
    if distance == "cosine":
        return tf.reduce_mean(1 - tf.reduce_sum(photo * head, -1))
    if distance == "mse_normalised":
        return tf.reduce_mean((head - photo) ** 2)
    raise ValueError(f"distance must be one of {', '.join(get_args(FeatureDistance))}; received {distance!r}")


def _correlations(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """``[F]`` Pearson's correlation over the batch, damped where a feature hardly varies."""
    first, second = (values - tf.reduce_mean(values, 0) for values in (first, second))
    variances = [tf.reduce_mean(values**2, 0) for values in (first, second)]
    damped = [variance + FAINT**2 * tf.stop_gradient(tf.reduce_mean(variance)) + 1e-12 for variance in variances]
    return tf.reduce_mean(first * second, 0) * tf.math.rsqrt(damped[0]) * tf.math.rsqrt(damped[1])


def emotion_readouts(photo: tf.Tensor, head: tf.Tensor) -> tf.Tensor:
    """Mean L1 of valence, arousal or expression scores ``[B, N]``; the release shows them and learns from none."""
    return tf.reduce_mean(tf.abs(head - tf.stop_gradient(photo)))
