"""Codes kept to a range while their encoder learns."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from emoca_tf.flame.head import HeadModel
from training.networks import Reconstruction
from training.projection import projected


def test_only_what_leads_further_out_is_dropped() -> None:
    codes = tf.constant([-0.2, -0.2, 0.5, 0.5, 1.3, 1.3])
    slopes = tf.constant([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])  # a step goes against the slope
    with tf.GradientTape() as tape:
        tape.watch(codes)
        kept = projected(codes, (0.0, 1.0))
        loss = tf.reduce_sum(kept * slopes)
    np.testing.assert_allclose(kept, [0, 0, 0.5, 0.5, 1, 1])
    np.testing.assert_allclose(tape.gradient(loss, codes), [0, -1, 1, -1, 1, 0])


def test_without_limits_codes_stay_as_they_are() -> None:
    codes = tf.constant([-3.0, 0.5, 7.0])
    assert projected(codes, None) is codes


@pytest.mark.parametrize("tied", [False, True])
def test_an_encoder_learns_with_codes_of_the_heads_range(tied: bool) -> None:
    encoders = Reconstruction("separable", HeadModel.load(), tied=tied)
    layer = next(one for one in encoders.models["expression_encoder"].layers if one.name.endswith(".rows.0.50"))
    layer.set_weights([np.zeros_like(layer.get_weights()[0]), np.linspace(-1, 2, 50, dtype=np.float32)])
    images = tf.zeros((1, 224, 224, 3))
    with tf.GradientTape() as tape:
        codes = encoders.encode(images, {"expression_encoder"})
        missing = -tf.reduce_sum(codes.exp)  # more of every axis is wanted
    np.testing.assert_allclose(codes.exp[0], np.linspace(-1, 2, 50).clip(0, 1), atol=1e-6)
    wanted = (np.linspace(-1, 2, 50) <= 1).astype(np.float32)
    np.testing.assert_allclose(tape.gradient(missing, layer.bias), -wanted)
    if not tied:  # the tied trunk has no encoder of its own to run
        again = encoders.with_expression(encoders.without_expression(images), images)
        np.testing.assert_allclose(again.exp, codes.exp, atol=1e-6)
