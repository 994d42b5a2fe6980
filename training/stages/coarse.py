"""EMOCA's COARSE stage: an expression encoder that makes the rendered face feel like the photo.

Learnt: the expression encoder only, its batch-norm statistics included. Frozen: the coarse encoder (DECA's), the
emotion network. Losses (losses specification 4.6): emotion features of picture and rendering (MSE), photometric, eye
closure, mouth closure, lip corners, expression regulariser; the other terms are off unless a recipe weighs them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from emoca_tf.codes import Codes
from emoca_tf.faces.crop import CROP_SIZE
from training.config import Config
from training.networks import Encoded, Reconstruction, initialise
from training.scene import Scene
from training.stages import common
from training.stages.base import Batch, Stage, Term
from training.stages.distances import correlation
from training.stages.face_terms import FaceTerms, asks_for_heads


class Coarse(Stage):
    """See the module."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.scene = Scene(config.head, config.albedo, CROP_SIZE // config.shrink)
        self.encoders = Reconstruction(
            config.family, self.scene.model, config.layout, shrink=config.shrink, still=config.still
        )
        self.face = FaceTerms(config, self.scene)
        self.networks = self.encoders.models | self.face.readers
        self.learning: tuple[str, ...] = (self.encoders.expression_name, *self.face.readers)
        self.loaded = initialise(self.networks, config.init)
        self.encoders.clone_trunk(self.loaded)

    def codes(self, batch: Batch, learning: bool, whole: bool = True) -> Encoded:
        """Codes with the learnt expression in place, nothing else with a gradient.

        Args:
            batch: the pictures; with ``coarse_codes=truth`` the true codes, too.
            learning: training mode of what is learnt.
            whole: run the frozen networks, too, which take a third of a step; else all but the expression is 0.
        """
        if self.config.coarse_codes == "truth":
            coarse = common.true_codes(batch, "coarse_codes=truth")
        elif whole:
            coarse = self.encoders.without_expression(batch["image"])
        else:
            coarse = self.encoders.blank(batch["image"])
        coarse = Codes(**{name: tf.stop_gradient(value) for name, value in coarse.to_dict().items()})
        return self.encoders.with_expression_encoded(coarse, batch["image"], self.learning if learning else ())

    def terms(self, batch: Batch, step: tf.Tensor, learning: bool) -> Mapping[str, Term]:
        codes, features = self.codes(batch, learning, asks_for_heads(self.config))
        return self.face.terms(batch, codes, features, learning) | expression_metric(batch, codes)

    def pictures(self, batch: Batch) -> list[tuple[str, np.ndarray]]:
        few = {name: value[: common.SHOWN] for name, value in batch.items()}
        return self.face.pictures(few, self.codes(few, learning=False).codes)


def expression_metric(batch: Batch, codes: Codes) -> dict[str, Term]:
    """How well the expression axes follow the truth, where it is known; a metric, not learnt from."""
    return {"exp_correlation": Term(correlation(codes.exp, batch["exp"]), 0.0)} if "exp" in batch else {}


def build(config: Config) -> Coarse:
    return Coarse(config)
