"""Keep codes near their means (losses 4.4).

The release sums over the batch, so a regulariser grows with the batch size against the terms that are means (trap 9);
``reduction="mean"`` divides by the batch size, which is the paper's reading: one energy a face.
"""

from __future__ import annotations

from typing import Literal

import tensorflow as tf

Reduction = Literal["sum", "mean"]


def _reduced(total: tf.Tensor, codes: tf.Tensor, reduction: Reduction) -> tf.Tensor:
    if reduction == "sum":
        return total
    if reduction == "mean":
        return total / tf.cast(tf.shape(codes)[0], total.dtype)
    raise ValueError(f"reduction must be 'sum' or 'mean', received {reduction!r}")


def code_regulariser(codes: tf.Tensor, reduction: Reduction = "sum") -> tf.Tensor:
    """``½ Σ c²`` of shape, expression or albedo codes ``[B, N]``."""
    return _reduced(tf.reduce_sum(codes**2) / 2, codes, reduction)


def code_deviation(codes: tf.Tensor, reference: tf.Tensor, reduction: Reduction = "sum") -> tf.Tensor:
    """``½ Σ (c - reference)²``: stay near what the frozen coarse encoder said (``deca_jaw_reg`` and its kin; off)."""
    return code_regulariser(codes - tf.stop_gradient(reference), reduction)


def light_regulariser(light: tf.Tensor) -> tf.Tensor:
    """``mean((mean_rgb(l) - l)²)`` of light ``[B, 9, 3]``: light is nearly white."""
    return tf.reduce_mean((tf.reduce_mean(light, -1, keepdims=True) - light) ** 2)


def jaw_regulariser(jaw: tf.Tensor, reduction: Reduction = "sum") -> tf.Tensor:
    """The ``euler`` option's ``100·½ Σ roll² + 10·½ Σ relu(-x)²``: no roll, and the mouth does not close past shut.

    Args:
        jaw: ``[B, 3]``; column 0 opens the mouth, column 2 rolls.
        reduction: as in the module's text.
    """
    roll = 100 * tf.reduce_sum(jaw[:, 2] ** 2) / 2
    closed = 10 * tf.reduce_sum(tf.nn.relu(-jaw[:, 0]) ** 2) / 2
    return _reduced(roll + closed, jaw, reduction)
