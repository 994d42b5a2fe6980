"""EmoDECA: what emotion the head's own parameters show.

Learnt: the MLP on shape, expression and jaw (``readout=small``: a smaller one without the shape, whose valence and
arousal are derived from the classes). Frozen: the encoders that make the codes (``init``); on synthetic
pictures ``coarse_codes=truth`` reads the true codes instead. Losses as for the emotion network (spec section 5.4).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from emoca_tf.codes import Codes
from emoca_tf.errors import UserError
from training.config import Config
from training.datasets.source import Labels
from training.networks import Reconstruction, initialise, readout_code, readout_network
from training.scene import Scene
from training.stages import common
from training.stages.base import Batch, Stage, Term
from training.stages.emotion import emotion_pictures
from training.stages.emotion_terms import Classes, emotion_terms


class Readout(Stage):
    """See the module."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.classes = Classes()
        self.scene = Scene(config.head, config.albedo)
        self.networks = {"readout": readout_network(self.scene.model, config.readout)}
        self.learning = ("readout",)
        self.loaded: list[str] = []
        if config.coarse_codes == "encoder":
            if not config.init:
                raise UserError("readout needs encoders: --set init=RUN_DIRECTORY (or coarse_codes=truth on synthetic)")
            self.encoders = Reconstruction(config.family, self.scene.model, config.layout, shrink=config.shrink)
            self.networks |= self.encoders.models
            self.loaded = initialise(self.networks, config.init)

    def codes(self, batch: Batch) -> Codes:
        """The codes to read."""
        if self.config.coarse_codes == "truth":
            return common.true_codes(batch, "coarse_codes=truth")
        return self.encoders.encode(batch["image"])

    def prepare(self, labels: Labels) -> None:
        self.classes = Classes.of(self.config, labels)

    def terms(self, batch: Batch, step: tf.Tensor, learning: bool) -> Mapping[str, Term]:
        codes = tf.stop_gradient(readout_code(self.config.readout, self.codes(batch)))
        return emotion_terms(
            self.config, batch, self.networks["readout"](codes, training=learning), step, learning, self.classes
        )

    def pictures(self, batch: Batch) -> list[tuple[str, np.ndarray]]:
        few = {name: value[: common.SHOWN] for name, value in batch.items()}
        few["image"] = common.large(few["image"])  # those of stored codes are small
        codes = self.codes(few)
        seen = self.networks["readout"](readout_code(self.config.readout, codes), training=False)
        first, bars = emotion_pictures(few, seen)
        return [first, *common.views(self.scene, codes, few["image"], "codes"), bars]


def build(config: Config) -> Readout:
    return Readout(config)
