"""Difference of colours inside a mask (``emoca:gdl/models/DECA.py`` _compute_loss, losses 4.3)."""

from __future__ import annotations

from typing import Literal, get_args

import tensorflow as tf

Normalisation = Literal["mean", "rel_mask_value", "neg_rel_mask_value", "inv_rel_mask_value", "abs_mask_value"]


def photometric(
    predicted: tf.Tensor, image: tf.Tensor, mask: tf.Tensor, normalisation: Normalisation = "mean"
) -> tf.Tensor:
    """``mean(mask · |predicted - image|)``; the mean divides by all pixels, masked-out ones too.

    Args:
        predicted: ``[B, H, W, 3]`` in 0..1.
        image: the same.
        mask: ``[B, H, W, 1]`` in 0..1.
        normalisation: ``mean`` is the release's; the others scale each sample by its mask's mean (``rel``), one minus
            it (``neg_rel``), one over it (``inv_rel``; an empty mask counts as zero) or its sum (``abs``).

    Raises:
        ValueError: for another normalisation.
    """
    if normalisation not in get_args(Normalisation):
        raise ValueError(f"normalisation must be one of {', '.join(get_args(Normalisation))}; got {normalisation!r}")
    each = tf.reduce_mean(mask * tf.abs(predicted - image), [1, 2, 3])
    covered = tf.reduce_mean(mask, [1, 2, 3])
    if normalisation == "rel_mask_value":
        each *= covered
    elif normalisation == "neg_rel_mask_value":
        each *= 1 - covered
    elif normalisation == "inv_rel_mask_value":
        each = tf.math.divide_no_nan(each, covered)
    elif normalisation == "abs_mask_value":
        each *= tf.reduce_sum(mask, [1, 2, 3])
    return tf.reduce_mean(each)
