"""Losses of everything that predicts emotions: cross-entropy, and MSE, PCC and CCC of valence and arousal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from emoca_tf import losses
from emoca_tf.emotion.recognition import EXPRESSIONS
from emoca_tf.errors import UserError
from training.config import Config
from training.datasets.source import Labels
from training.stages import common
from training.stages.base import Batch, Term


@dataclass(frozen=True)
class Classes:
    """What the training data say about the classes.

    Attributes:
        weights: ``[8]`` of the cross-entropy, or None.
        present: ``[8]`` 1 for the classes that occur, over which labels are smoothed; None for all.
    """

    weights: tf.Tensor | None = None
    present: tf.Tensor | None = None

    @classmethod
    def of(cls, config: Config, labels: Labels) -> Classes:
        """Of a data set: inverse frequencies if ``class_weights`` asks for them.

        Raises:
            UserError: no picture has an expression, but they are to be weighed.
        """
        counts = np.bincount(labels.expression[labels.expression >= 0], minlength=len(EXPRESSIONS))
        if config.class_weights and not counts.any():
            raise UserError("class_weights=true needs expression labels and this data has none")
        weights = losses.class_weights(labels.expression, len(EXPRESSIONS)) if config.class_weights else None
        return cls(
            None if weights is None else tf.constant(weights),
            tf.constant((counts > 0).astype(np.float32)) if counts.any() else None,
        )


UNKNOWN_CLASSES = Classes()


def emotion_terms(
    config: Config,
    batch: Batch,
    seen: Mapping[str, tf.Tensor],
    step: tf.Tensor,
    learning: bool,
    classes: Classes = UNKNOWN_CLASSES,
) -> dict[str, Term]:
    """The terms of one batch.

    Args:
        config: weights and ``shake``.
        batch: labels; an expression of -1 or a valence or arousal of NaN does not count.
        seen: ``expression [B, 8]`` logits, ``valence [B, 1]``, ``arousal [B, 1]``.
        step: seeds the random weights.
        learning: validation weighs every term with 1, as the original.
        classes: which occur, and their weights.
    """
    logits = tf.cast(seen["expression"], tf.float32)
    valence, arousal = (tf.cast(seen[name][:, 0], tf.float32) for name in ("valence", "arousal"))
    both = ((batch["valence"], valence), (batch["arousal"], arousal))
    labels, weights = batch["expression"], config.weights
    right = tf.cast(tf.argmax(logits, -1, tf.int32) == labels, tf.float32)
    known = tf.cast(labels >= 0, tf.float32)
    terms = {
        "expression": Term(
            losses.expression_cross_entropy(
                labels, logits, classes.weights, config.label_smoothing if learning else 0.0, classes.present
            ),
            weights.expression,
        ),
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
