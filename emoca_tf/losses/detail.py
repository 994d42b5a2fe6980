"""Losses of the detail stage in UV space (``DECA:decalib/trainer.py``, ``emoca:gdl/models/DECA.py``; losses 4.7)."""

from __future__ import annotations

from typing import Literal

import tensorflow as tf

PATCH = (50, 206)
"""Rows and columns of the face patch in a 256 x 256 texture (400:1648 of 2048)."""


def face_patch(texture: tf.Tensor) -> tf.Tensor:
    """The face part of ``[B, 256, 256, C]``, resized bilinearly to 256 x 256 (the only patch that counts)."""
    low, high = PATCH
    size = tf.shape(texture)[1:3]
    return tf.image.resize(texture[:, low:high, low:high], size)


def detail_l1(predicted: tf.Tensor, truth: tf.Tensor, visible: tf.Tensor) -> tf.Tensor:
    """``mean |M·T_pred - M·T_gt|`` over the face patch.

    Args:
        predicted: ``[B, 256, 256, 3]`` texture drawn with detail shading.
        truth: texture unwrapped from the photo.
        visible: ``[B, 256, 256, 1]`` in 0..1.
    """
    mask = face_patch(visible)
    return tf.reduce_mean(tf.abs(face_patch(predicted) * mask - face_patch(truth) * mask))


def displacement_regulariser(displacement: tf.Tensor) -> tf.Tensor:
    """``mean |uv_z|`` of displacement maps ``[B, h, w, 1]``."""
    return tf.reduce_mean(tf.abs(displacement))


def displacement_smoothness(shading: tf.Tensor) -> tf.Tensor:
    """Mean of squared x differences plus mean of squared y differences of detail shading ``[B, h, w, 3]`` (z diff)."""
    by_x = shading[:, 1:-1, 1:] - shading[:, 1:-1, :-1]
    by_y = shading[:, 1:, 1:-1] - shading[:, :-1, 1:-1]
    return tf.reduce_mean(by_x**2) + tf.reduce_mean(by_y**2)


def unreliable(visible: tf.Tensor) -> tf.Tensor:
    """``1 - erode_5x5(visible > 0)``, outside the map counts as invisible; ``[B, h, w, 1]`` of 0 and 1."""
    hidden = tf.cast(tf.convert_to_tensor(visible) <= 0, tf.float32)
    padded = tf.pad(hidden, [[0, 0], [2, 2], [2, 2], [0, 0]], constant_values=1.0)
    return tf.stop_gradient(tf.nn.max_pool2d(padded, 5, 1, "VALID"))


def displacement_symmetry(
    displacement: tf.Tensor, visible: tf.Tensor, reduction: Literal["sum", "mean"] = "sum"
) -> tf.Tensor:
    """Where the photo does not show the skin reliably, copy the mirrored displacement: ``Σ N·|uv_z - flip(uv_z)|``.

    The mirrored side is detached.

    Args:
        displacement: ``[B, h, w, 1]``.
        visible: ``[B, h, w, 1]`` UV visibility.
        reduction: ``sum`` over everything is the release's (trap 9); ``mean`` divides by the batch size.

    Raises:
        ValueError: for another reduction.
    """
    if reduction not in ("sum", "mean"):
        raise ValueError(f"reduction must be 'sum' or 'mean', received {reduction!r}")
    difference = tf.abs(displacement - tf.stop_gradient(tf.reverse(displacement, [2])))
    total = tf.reduce_sum(unreliable(visible) * difference)
    return total if reduction == "sum" else total / tf.cast(tf.shape(displacement)[0], total.dtype)
