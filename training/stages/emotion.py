"""The emotion recognition network: expression, valence and arousal of a picture.

Learnt: the whole network (``freeze_head`` leaves the last layer at its random start, as the original did by mistake).
Losses (spec section 5.3): cross-entropy of the expression, and for valence and arousal MSE of each, 1 - PCC and
1 - CCC, which ``shake`` weighs at random in every training step. Pictures without a label do not count in its term.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from training.config import Config
from training.datasets.source import Labels
from training.networks import emotion_network, initialise
from training.pictures import emotion_bars
from training.stages import common
from training.stages.base import Batch, Stage, Term
from training.stages.emotion_terms import Classes, emotion_terms


class Emotion(Stage):
    """See the module."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.classes = Classes()
        self.networks = {"emotion": emotion_network(config.emotion_architecture)}
        self.learning = ("emotion",)
        self.loaded = initialise(self.networks, config.init)

    def learnt(self) -> list:
        variables = super().learnt()
        if not self.config.freeze_head:
            return variables
        last = ("linear", "fc")
        head = {
            id(v) for layer in self.networks["emotion"].layers if layer.name.startswith(last) for v in layer.variables
        }
        return [variable for variable in variables if id(variable) not in head]

    def prepare(self, labels: Labels) -> None:
        self.classes = Classes.of(self.config, labels)

    def terms(self, batch: Batch, step: tf.Tensor, learning: bool) -> Mapping[str, Term]:
        seen = self.networks["emotion"](batch["image"], training=learning)
        return emotion_terms(self.config, batch, seen, step, learning, self.classes)

    def pictures(self, batch: Batch) -> list[tuple[str, np.ndarray]]:
        return emotion_pictures(batch, self.networks["emotion"](batch["image"][: common.SHOWN], training=False))


def emotion_pictures(batch: Batch, seen: Mapping[str, tf.Tensor]) -> list[tuple[str, np.ndarray]]:
    """Input and bars: blue is what the network says, orange the label."""
    labels = tf.one_hot(batch["expression"][: common.SHOWN], 8).numpy()
    probabilities = tf.nn.softmax(tf.cast(seen["expression"], tf.float32)).numpy()
    bars = emotion_bars(probabilities, labels)
    return [("input", batch["image"][: common.SHOWN].numpy()), ("network (blue), label (orange)", bars)]


def build(config: Config) -> Emotion:
    return Emotion(config)
