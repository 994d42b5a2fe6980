"""DECA's pretraining and coarse training: all coarse codes from landmarks, pictures and regularisers.

Learnt: ``E_flame``, or the three mobile encoders. Frozen: the identity and emotion networks, where they count, and the
expression encoder of another run, where ``expression`` names one.
Losses (losses specification 4.5): landmarks, eye and mouth closure, photometric, identity, regularisers; with rings of
one person also the exchange of shape codes. On synthetic pictures the distance to the true codes can be added.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from emoca_tf import losses
from emoca_tf.codes import Codes
from emoca_tf.faces.crop import CROP_SIZE
from emoca_tf.flame.head import HeadModel
from training.config import Config
from training.networks import Encoded, Reconstruction, initialise
from training.scene import Scene
from training.stages import common
from training.stages.base import Batch, Stage, Term
from training.stages.coarse import expression_metric
from training.stages.face_terms import FaceTerms


class CoarsePretrain(Stage):
    """See the module."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.scene = Scene(config.head, config.albedo, CROP_SIZE // config.shrink)
        self.encoders = Reconstruction(
            config.family, self.scene.model, config.layout, shrink=config.shrink, still=config.still, tied=config.tied
        )
        self.face = FaceTerms(config, self.scene)
        names = self.encoders.coarse_names
        self.given = expression_given(config, self.scene.model)
        if self.given is not None:
            names = tuple(name for name in names if name != self.encoders.expression_name)
        self.learning: tuple[str, ...] = (*names, *self.face.readers)
        self.networks = {name: self.encoders.models[name] for name in names} | self.face.readers
        self.loaded = initialise(self.networks, config.init)

    def codes(self, batch: Batch, learning: bool) -> Encoded:
        """Codes of the learnt encoders, with the given expression in place where there is one."""
        encoded = self.encoders.coarse_encoded(batch["image"], self.learning if learning else ())
        if self.given is None:
            return encoded
        return Encoded(self.given.with_expression(encoded.codes, batch["image"]), encoded.features)

    def terms(self, batch: Batch, step: tf.Tensor, learning: bool) -> Mapping[str, Term]:
        codes, features = self.codes(batch, learning)
        metric = expression_metric(batch, codes)
        if self.config.exchange and self.config.ring > 1 and learning:
            order = losses.ring_permutation(batch["image"].shape[0], self.config.ring, common.seed(self.config, step))
            codes = Codes(**losses.exchange(codes.to_dict(), "shape", order))
            batch = {name: tf.concat([value, value], 0) for name, value in batch.items()}
        return self.face.terms(batch, codes, features, learning) | metric

    def pictures(self, batch: Batch) -> list[tuple[str, np.ndarray]]:
        few = {name: value[: common.SHOWN] for name, value in batch.items()}
        return self.face.pictures(few, self.codes(few, learning=False).codes)


def expression_given(config: Config, head: HeadModel) -> Reconstruction | None:
    """Encoders of which the expression encoder is that of ``config.expression``; None where it is learnt.

    Raises:
        UserError: nothing there, or nothing that fits.
    """
    if not config.expression:
        return None
    given = Reconstruction(config.family, head, shrink=config.shrink)
    initialise({given.expression_name: given.models[given.expression_name]}, (config.expression,))
    return given


def build(config: Config) -> CoarsePretrain:
    return CoarsePretrain(config)
