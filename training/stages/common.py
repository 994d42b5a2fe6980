"""Pieces that several stages share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from emoca_tf import emotion
from emoca_tf.codes import Codes
from emoca_tf.errors import UserError
from emoca_tf.faces.crop import CROP_SIZE
from training.config import Config, from_json
from training.networks import emotion_network, initialise
from training.scene import Scene, truth_codes
from training.stages.base import Batch
from training.stages.distances import code_distance

__all__ = ["COARSE_GROUPS", "EmotionEye", "code_distance", "emotion_eye", "true_codes", "views"]
SHOWN = 4
COARSE_GROUPS = ("shape", "tex", "exp", "pose", "cam", "light")


def with_truth(batch: Batch, why: str) -> Batch:
    """The batch, if it holds true codes.

    Raises:
        UserError: it is of real pictures.
    """
    if "exp" not in batch:
        raise UserError(f"{why} needs pictures whose codes are known; use data=synthetic")
    return batch


def true_codes(batch: Batch, why: str) -> Codes:
    """The true codes of a synthetic batch; see :func:`with_truth`."""
    return truth_codes(with_truth(batch, why))


def seed(config: Config, step: tf.Tensor) -> tf.Tensor:
    """``[2]`` seed of everything random in a step."""
    return tf.stack([tf.constant(config.seed, tf.int64), step])


def mean_distance(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Mean Euclidean distance of corresponding points ``[B, V, C]``; a tiny epsilon keeps the gradient finite."""
    return tf.reduce_mean(tf.sqrt(tf.reduce_sum((a - b) ** 2, -1) + 1e-12))


def views(scene: Scene, codes: Codes, images: tf.Tensor, who: str) -> list[tuple[str, np.ndarray]]:
    """Columns for a sheet: the rendered face over the picture, and the grey head."""
    view = scene.decode(codes)
    return [
        (f"{who}: overlay", scene.overlay(view, images).numpy()),
        (f"{who}: shape", scene.shape_image(view, codes).numpy()),
    ]


class EmotionEye:
    """A fixed emotion network: pictures to features, and to probabilities of the eight expressions."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.model.trainable = False

    @property
    def width(self) -> int:
        """How many features it gives."""
        return int(self.model.output["features"].shape[-1])

    def look(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Features and probabilities of one pass."""
        seen = self.model(large(images), training=False)
        return tf.cast(seen["features"], tf.float32), tf.nn.softmax(tf.cast(seen["expression"], tf.float32))

    def features(self, images: tf.Tensor) -> tf.Tensor:
        return self.look(images)[0]

    def probabilities(self, images: tf.Tensor) -> tf.Tensor:
        return self.look(images)[1]


def large(images: tf.Tensor) -> tf.Tensor:
    """Smaller pictures as large as the emotion networks take them."""
    return images if images.shape[1] == CROP_SIZE else tf.image.resize(images, (CROP_SIZE, CROP_SIZE))


def emotion_eye(config: Config) -> EmotionEye:
    """The emotion network that ``config.emotion_network`` names: ``default``, a run of the emotion stage, or weights.

    Raises:
        UserError: ``none`` although a weighted term needs it, or nothing usable at the path.
    """
    source = config.emotion_network
    if source == "none":
        raise UserError("the emotion loss is on but emotion_network=none; set weights.emotion=0 to train without it")
    stored = Path(source) / "config.json"
    if not stored.is_file():
        return EmotionEye(emotion.load(source))
    model = emotion_network(from_json(stored.read_text(encoding="utf-8")).emotion_architecture)
    initialise({"emotion": model}, [source])
    return EmotionEye(model)
