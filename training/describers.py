"""From weights to a description of faces: pictures ``[B, 224, 224, 3]`` RGB 0..1 -> features ``[B, D]``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import tensorflow as tf

from emoca_tf.encoders.mobilenet_v3 import expression_encoder, kept_in_range
from emoca_tf.errors import UserError
from emoca_tf.flame.head import HeadModel
from emoca_tf.io.npz import read_npz
from emoca_tf.weights.presets import preset_file, presets
from training.config import Config, from_json
from training.networks import checkpoint_of, initialise
from training.stages.common import EmotionEye, emotion_eye
from training.trained import trunk_in

Describe = Callable[[tf.Tensor], tf.Tensor]


def expression_codes(source: str, head: str = "default") -> Describe:
    """Expression and jaw codes (and eyelids, if the head has any); never shape, pose or camera.

    Of mobile weights only the expression encoder is built and run.

    Args:
        source: name of a preset, file of weights, or run directory of ``training/train.py``.
        head: the head that a preset or file was trained on; a run names its own.

    Raises:
        UserError: nothing there, or weights of another kind or head.
    """
    if source in presets() or source == "default":
        return _mobile(str(preset_file(source)), Config(head=head))
    stored = Path(source) / "config.json"
    config = from_json(stored.read_text(encoding="utf-8")) if stored.is_file() else Config(head=head)
    if stored.is_file() and config.family == "resnet50":
        return _run(Path(source))
    return _mobile(str(checkpoint_of(Path(source))), config)


def _mobile(path: str, config: Config) -> Describe:
    head = HeadModel.load(config.head)
    model = expression_encoder(keras, head.n_exp, **trunk_in(read_npz(Path(path))))
    initialise({"expression_encoder": model}, [path])
    model = kept_in_range(keras, model, head.exp_limits)
    eyelids = head.eyelids is not None

    def describe(images: tf.Tensor) -> tf.Tensor:
        out = model(images, training=False)
        return tf.concat([out["exp"], out["jaw"], *([out["eyelid"]] if eyelids else [])], 1)

    return describe


def _run(folder: Path) -> Describe:
    from training.evaluate import Codes

    encoders = Codes(folder)

    def describe(images: tf.Tensor) -> tf.Tensor:
        codes = encoders(images)
        return tf.concat([codes.exp, codes.pose[:, 3:6]], 1)

    return describe


def emotion_network(source: str) -> EmotionEye:
    """An emotion network: ``default``, a file of weights, or a run directory of the emotion stage.

    Raises:
        UserError: no emotion network there.
    """
    if source == "none":
        raise UserError("'none' is no emotion network; give default, a file or a run directory")
    return emotion_eye(Config(emotion_network=source))
