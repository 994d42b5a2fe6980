"""Codes kept to the head's range while their encoder learns, without losing the gradient at the limits.

Behind a plain clamp an axis that is answered below its lowest coefficient no longer hears of its error, though the loss
wants more of it: the emotion loss could not wake a frown that the encoder left out. Here only what would drive a code
further out is dropped, as in projected gradient descent, and an axis at rest may be answered by any number below.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def projected(codes: tf.Tensor, limits: tuple[float, float] | None) -> tf.Tensor:
    """``codes`` clamped to the limits (None: as they are).

    The gradient is that of the identity, but zero where a step against it leads further out.

    Args:
        codes: any shape.
        limits: lowest and highest value, see :attr:`emoca_tf.flame.head.HeadModel.exp_limits`.
    """
    if limits is None:
        return codes
    low, high = limits

    @tf.custom_gradient
    def clamp(values: tf.Tensor) -> tuple[tf.Tensor, Any]:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            outward = ((values < low) & (upstream > 0)) | ((values > high) & (upstream < 0))
            return tf.where(outward, tf.zeros_like(upstream), upstream)

        return tf.clip_by_value(values, low, high), gradient

    clamped: tf.Tensor = clamp(codes)
    return clamped
