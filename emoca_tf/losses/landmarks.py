"""How far projected landmarks lie from detected ones; all in normalised crop coordinates [-1, 1].

Sources: ``DECA:decalib/utils/lossfunc.py`` weighted_landmark_loss (losses 4.1), ``emoca:gdl/layers/losses/
MediaPipeLandmarkLosses.py`` (losses 4.2).
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from emoca_tf.faces.mediapipe_points import EYE_CORNERS


def _fan_weights() -> np.ndarray:
    """[68], sum 94: jaw angles, chin, nose and mouth count more, their corners most."""
    weights = np.ones(68, np.float32)
    weights[5:7] = weights[10:12] = 2
    weights[27:36] = weights[48:68] = 1.5
    weights[[30, 31, 35, 48, 54]] = 3
    return weights


FAN_WEIGHTS = _fan_weights()
LEAST_OCULAR = 0.2
"""Of the crop's -1 .. 1: a tenth of its width."""


def weighted_landmarks(predicted: tf.Tensor, truth: tf.Tensor, visibility: tf.Tensor | None = None) -> tf.Tensor:
    """Weighted L1 over the 68 FAN/iBUG points: ``Σ w·v·(|Δx| + |Δy|) / (2·Σ w·v + 1e-8)``, sums over batch and points.

    The original multiplies the weights into the truth's visibility column in place; here nothing is changed.

    Args:
        predicted: ``[B, 68, 2+]``, columns beyond x and y are ignored.
        truth: likewise.
        visibility: ``[B, 68]`` in 0..1; None counts every point.
    """
    weights = tf.constant(FAN_WEIGHTS, predicted.dtype)
    weights = tf.broadcast_to(weights, tf.shape(predicted)[:2])
    if visibility is not None:
        weights *= tf.cast(visibility, predicted.dtype)
    distance = tf.reduce_sum(tf.abs(predicted[..., :2] - truth[..., :2]), -1)
    return tf.reduce_sum(weights * distance) / (2 * tf.reduce_sum(weights) + 1e-8)


def mediapipe_landmarks(predicted: tf.Tensor, truth: tf.Tensor, indices: np.ndarray) -> tf.Tensor:
    """Mean L1 over the embedded MediaPipe points, unweighted.

    Args:
        predicted: ``[B, N, 2+]`` projected points of the head's MediaPipe embedding.
        truth: ``[B, 478, 2+]`` detected points.
        indices: ``[N]`` which of the 478 each embedded point is (``landmark_indices`` of the embedding).
    """
    return tf.reduce_mean(tf.abs(predicted[..., :2] - tf.gather(truth, indices, axis=1)[..., :2]))


def ocular_landmarks(predicted: tf.Tensor, truth: tf.Tensor, indices: np.ndarray) -> tf.Tensor:
    """Mean distance of the embedded MediaPipe points over the picture's inter-ocular distance, as it is reported.

    The same pixels count more the farther a head is turned: its eye corners come together. That distance counts as at
    least a tenth of the crop's width, or else profiles would rule the batch.

    Args:
        predicted: ``[B, N, 2+]`` projected points of the head's MediaPipe embedding.
        truth: ``[B, 478, 2+]`` detected points.
        indices: ``[N]`` which of the 478 each embedded point is.
    """
    given = tf.gather(truth, indices, axis=1)[..., :2]
    corners = tf.gather(truth, EYE_CORNERS, axis=1)[..., :2]
    ocular = tf.maximum(_length(corners[:, 0] - corners[:, 1]), LEAST_OCULAR)
    return tf.reduce_mean(_length(predicted[..., :2] - given) / ocular[:, None])


def _length(difference: tf.Tensor) -> tf.Tensor:
    """Euclidean, with a finite gradient at zero."""
    small = 1e-5
    return tf.sqrt(tf.reduce_sum(difference**2, -1) + small**2) - small
