"""Pieces that several stages share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from emoca_tf.codes import Codes
from emoca_tf.errors import UserError
from training.config import Config
from training.scene import Scene
from training.stages.base import Batch

SHOWN = 4
Features = Callable[[tf.Tensor], Any]


def with_truth(batch: Batch, why: str) -> Batch:
    """The batch, if it holds true codes.

    Raises:
        UserError: it is of real pictures.
    """
    if "exp" not in batch:
        raise UserError(f"{why} needs pictures whose codes are known; use data=synthetic")
    return batch


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


def emotion_features(config: Config) -> Any:
    """The fixed emotion network that ``config.emotion_network`` names: image -> features."""
    raise UserError("not yet")
