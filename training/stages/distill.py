"""Distillation: a phone-sized student learns the codes of a teacher.

Learnt: the student's three encoders, of a mobile family. Frozen: the teacher (a ResNet50 run of ours or imported
official weights; ``teacher=truth`` takes the true codes of synthetic pictures) and the emotion network.
Losses: codes in comparable units, vertices (mean distance, metres), projected points, and the emotion features of the
student's rendering against those of the teacher's.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from emoca_tf import losses
from emoca_tf.codes import Codes
from emoca_tf.errors import UserError
from emoca_tf.faces.crop import CROP_SIZE
from training.config import Config
from training.networks import Reconstruction, initialise
from training.scene import Scene
from training.stages import common
from training.stages.base import Batch, Stage, Term, active
from training.stages.distances import code_distance, correlation


class Distill(Stage):
    """See the module."""

    def __init__(self, config: Config) -> None:
        self.config = config
        if config.family == "resnet50":
            raise UserError("distill teaches a phone-sized student: --set family=mobilenet_v3 or family=separable")
        self.scene = Scene(config.head, config.albedo, CROP_SIZE // config.shrink)
        self.student = Reconstruction(config.family, self.scene.model, shrink=config.shrink)
        self.networks = dict(self.student.models)
        self.learning = tuple(self.networks)
        self.loaded = initialise(self.networks, config.init)
        self.teacher: Reconstruction | None = None
        if not config.teacher:
            raise UserError("distill needs a teacher: --set teacher=RUN_DIRECTORY, or teacher=truth on synthetic data")
        if config.teacher != "truth":
            self.teacher = Reconstruction("resnet50", self.scene.model, config.layout)
            self.loaded += [f"teacher {line}" for line in initialise(self.teacher.models, [config.teacher])]
        self.emotion = common.emotion_eye(config) if config.weights.teacher_emotion else None

    def target(self, batch: Batch) -> Codes:
        """What the student should say, without gradient."""
        if self.teacher is None:
            return common.true_codes(batch, "teacher=truth")
        codes = self.teacher.encode(batch["image"])
        return Codes(**{name: tf.stop_gradient(value) for name, value in codes.to_dict().items()})

    def terms(self, batch: Batch, step: tf.Tensor, learning: bool) -> Mapping[str, Term]:
        weights = self.config.weights
        target = self.target(batch)
        codes = self.student.encode(batch["image"], self.learning if learning else ())
        # Gaze and neck are not among a student's codes; the heads are compared with the teacher's.
        posed = codes.replace(neck_pose=target.neck_pose, eye_pose=target.eye_pose)
        if self.emotion is not None:
            mine, theirs = self.scene.decode(posed), self.scene.decode(target)
            vertices, points = (
                (mine.head.vertices, theirs.head.vertices),
                (mine.rendered.points, theirs.rendered.points),
            )
            drawn, wanted = (self.emotion.features(v.rendered.image * v.rendered.mask) for v in (mine, theirs))
            emotion = losses.emotion_features(wanted, drawn)
        else:
            (vertices, points), emotion = self.scene.vertices_and_points(posed, target), tf.constant(0.0)
        distance = code_distance(self.scene.model, codes, target, common.COARSE_GROUPS)
        terms = {
            "codes": Term(distance, weights.teacher_codes),
            "vertices": Term(common.mean_distance(*vertices), weights.teacher_vertices),
            "points": Term(common.mean_distance(*(p[..., :2] for p in points)), weights.teacher_points),
            "emotion": Term(emotion, weights.teacher_emotion),
        }
        return active(terms) | {"exp_correlation": Term(correlation(codes.exp, target.exp), 0.0)}

    def pictures(self, batch: Batch) -> list[tuple[str, np.ndarray]]:
        images = batch["image"][: common.SHOWN]
        few = {name: value[: common.SHOWN] for name, value in batch.items()}
        codes, target, small = self.student.encode(images), self.target(few), self.scene.shrunk(images)
        return [
            ("input", images.numpy()),
            *common.views(self.scene, codes, small, "student"),
            *common.views(self.scene, target, small, "teacher")[1:],
        ]


def build(config: Config) -> Distill:
    return Distill(config)
