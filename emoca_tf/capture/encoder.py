"""Loaded weights as what :func:`emoca_tf.capture.dataset.encode_dataset` needs: crops in, named codes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from emoca_tf.codes import Codes
from emoca_tf.emotion.readout import N_CODES_DETAIL, readout_input
from emoca_tf.emotion.recognition import EXPRESSIONS
from emoca_tf.errors import UserError
from emoca_tf.weights.load import LoadedModel, load_model

CODE_KINDS = ("mobile", "emoca", "deca", "smirk")
GROUPS = ("shape", "tex", "exp", "pose", "cam", "light", "eyelid")


class CodesEncoder:
    """Crops to codes by an image encoder, and to emotion by a network on the picture or on the codes.

    Args:
        loaded: at most one model of codes (EMOCA, DECA or SMIRK) and at most one of emotion.

    Attributes:
        sizes: code group -> shape of one row.
        labels: names of the columns of ``expression_prob``; empty without an emotion network.
        fingerprint: of all weights.
        crop_scale: crop that the weights expect.

    Raises:
        UserError: if the models cannot work together, or give neither codes nor emotion.
    """

    def __init__(self, loaded: Sequence[LoadedModel]) -> None:
        codes = [one for one in loaded if one.card.kind in CODE_KINDS]
        emotion = [one for one in loaded if one.card.kind in ("emotion", "emodeca")]
        others = [one.card.kind for one in loaded if one not in codes and one not in emotion]
        if others:
            raise UserError(
                f"weights of kind {', '.join(others)} give no codes and no emotion; they belong to training"
            )
        if len(codes) > 1 or len(emotion) > 1 or not loaded:
            raise UserError(
                "give one file of code weights (EMOCA, DECA, SMIRK), one of emotion weights, or one of each"
            )
        self._codes: Any = codes[0].model if codes else None
        self._is_mobile = bool(codes) and codes[0].card.kind == "smirk"
        self._picture_emotion: Any = emotion[0].model if emotion and emotion[0].card.kind == "emotion" else None
        self._readout: Any = emotion[0].model if emotion and emotion[0].card.kind == "emodeca" else None
        if self._readout is not None:
            self._check_readout()
        self.labels: tuple[str, ...] = EXPRESSIONS if emotion else ()
        self.fingerprint = " ".join(sorted(one.sha256 for one in loaded))
        self.crop_scale = (codes or emotion)[0].card.crop_scale
        self._run = tf.function(self._encode).get_concrete_function(tf.TensorSpec((None, 224, 224, 3), tf.float32))
        self.sizes: Mapping[str, tuple[int, ...]] = {
            name: tuple(value.shape[1:]) for name, value in self._run.structured_outputs.items()
        }

    @classmethod
    def from_files(cls, sources: Sequence[Path | str]) -> CodesEncoder:
        """Load the weights, see :func:`emoca_tf.weights.load.load_model`."""
        return cls([load_model(source) for source in sources])

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """``[B, 224, 224, 3]`` RGB 0..1 -> group name -> ``[B, *sizes[name]]`` float32."""
        return {name: value.numpy() for name, value in self._run(tf.constant(images, tf.float32)).items()}

    def _check_readout(self) -> None:
        inputs = int(self._readout.inputs[0].shape[-1])
        if self._codes is None:
            raise UserError("EmoDECA reads emotion from codes; give the weights of EMOCA or DECA too")
        if self._is_mobile:
            raise UserError("EmoDECA was trained on the codes of EMOCA or DECA; it cannot read SMIRK's")
        if inputs == N_CODES_DETAIL and not self._codes.with_detail:
            raise UserError("this EmoDECA reads the detail code, but the weights have no detail branch")
        self._readout_takes_detail = inputs == N_CODES_DETAIL

    def _encode(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        rows: dict[str, tf.Tensor] = {}
        if self._codes is not None:
            codes = self._image_codes(images)
            rows = {name: value for name, value in codes.to_dict().items() if name in GROUPS}
        if self._picture_emotion is not None:
            rows |= _emotion_rows(self._picture_emotion(images, training=False))
        if self._readout is not None:
            detail = self._codes.E_detail(images, training=False) if self._readout_takes_detail else None
            rows |= _emotion_rows(self._readout(readout_input(codes, detail), training=False))
        return rows

    def _image_codes(self, images: tf.Tensor) -> Codes:
        if not self._is_mobile:
            encoded: Codes = self._codes.encode(images)
            return encoded
        values = dict(self._codes(images, training=False))
        return Codes(**values | {"light": tf.reshape(values["light"], (-1, 9, 3))})


def _emotion_rows(outputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return {
        "expression_prob": tf.nn.softmax(outputs["expression"]),
        "valence": outputs["valence"][:, 0],
        "arousal": outputs["arousal"][:, 0],
    }
