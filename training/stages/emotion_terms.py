"""Losses of everything that predicts emotions: cross-entropy, and MSE, PCC and CCC of valence and arousal."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from emoca_tf import losses
from emoca_tf.emotion.recognition import EXPRESSIONS
from emoca_tf.errors import UserError
from training.config import Config
from training.datasets.source import Labels
from training.stages import common
from training.stages.base import Batch, Term


def expression_weights(config: Config, labels: Labels) -> tf.Tensor | None:
    """``[8]`` inverse frequencies if the configuration asks for them.

    Raises:
        UserError: no picture has an expression.
    """
    if not config.class_weights:
        return None
    if not (labels.expression >= 0).any():
        raise UserError("class_weights=true needs expression labels and this data has none")
    return tf.constant(losses.class_weights(labels.expression, len(EXPRESSIONS)))


def emotion_terms(
    config: Config,
    batch: Batch,
    seen: Mapping[str, tf.Tensor],
    step: tf.Tensor,
    learning: bool,
    class_weights: tf.Tensor | None = None,
) -> dict[str, Term]:
    """The terms of one batch.

    Args:
        config: weights and ``shake``.
        batch: labels; an expression of -1 or a valence or arousal of NaN does not count.
        seen: ``expression [B, 8]`` logits, ``valence [B, 1]``, ``arousal [B, 1]``.
        step: seeds the random weights.
        learning: validation weighs every term with 1, as the original.
        class_weights: ``[8]`` of the cross-entropy, or None.
    """
    logits = tf.cast(seen["expression"], tf.float32)
    valence, arousal = (tf.cast(seen[name][:, 0], tf.float32) for name in ("valence", "arousal"))
    both = ((batch["valence"], valence), (batch["arousal"], arousal))
    labels, weights = batch["expression"], config.weights
    right = tf.cast(tf.argmax(logits, -1, tf.int32) == labels, tf.float32)
    known = tf.cast(labels >= 0, tf.float32)
    terms = {
        "expression": Term(losses.expression_cross_entropy(labels, logits, class_weights), weights.expression),
        "accuracy": Term(tf.math.divide_no_nan(tf.reduce_sum(right * known), tf.reduce_sum(known)), 0.0),
    }
    values = {
        "valence_mse": losses.mean_squared_error(*both[0]),
        "arousal_mse": losses.mean_squared_error(*both[1]),
        "va_pcc": tf.add_n([losses.pearson_loss(*pair) for pair in both]) / 2,
        "va_ccc": tf.add_n([losses.concordance_loss(*pair) for pair in both]) / 2,
    }
    shares = tf.ones(4)
    if config.shake and learning:
        shares = tf.random.stateless_uniform([4], common.seed(config, step))
        shares /= tf.reduce_sum(shares)
    for share, (name, value) in zip(tf.unstack(shares), values.items(), strict=True):
        terms[name] = Term(value, weights.valence_arousal * share if weights.valence_arousal else 0.0)
    return terms
