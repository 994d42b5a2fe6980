"""Loaded weights as what :func:`emoca_tf.capture.dataset.encode_dataset` needs: crops in, named codes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from emoca_tf.codes import COARSE_SIZES, Codes
from emoca_tf.emotion.circumplex import placed
from emoca_tf.emotion.reading import FROM_CODES, FROM_PICTURE, Emotion
from emoca_tf.emotion.readout import N_CODES_DETAIL, readout_input
from emoca_tf.emotion.recognition import EXPRESSIONS
from emoca_tf.errors import UserError
from emoca_tf.weights.load import LoadedModel, load_model

CODE_KINDS = ("mobile", "emoca", "deca", "smirk")
GROUPS = ("shape", "tex", "exp", "pose", "cam", "light", "eyelid")


class CodesEncoder:
    """Crops to codes by an image encoder, and to emotion by a network on the picture or on the codes.

    Args:
        loaded: at most one model of codes (mobile, EMOCA, DECA or SMIRK) and at most one of emotion. Mobile weights
            bring their own emotion: the read-out of the codes, or without one the emotion network; a model of emotion
            beside them goes first.

    Attributes:
        labels: names of the columns of ``expression_prob``; empty without an emotion network.
        fingerprint: of all weights.
        crop_scale: crop that the weights expect.
        source: where the emotion comes from (:mod:`emoca_tf.emotion.reading`), empty without.
        derived: valence and arousal follow from the class probabilities.

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
                "give one file of code weights (mobile, EMOCA, DECA, SMIRK), one of emotion weights, or one of each"
            )
        model: Any = codes[0].model if codes else None
        self._codes: Any = model
        self._kind = codes[0].card.kind if codes else ""
        self._picture_emotion: Any = emotion[0].model if emotion and emotion[0].card.kind == "emotion" else None
        self._readout: Any = None
        self.derived = False
        if emotion and emotion[0].card.kind == "emodeca":
            self._readout = self._emodeca(emotion[0].model)
        elif self._kind == "mobile" and not emotion:
            own = model.networks
            self.derived = True  # no measured valence and arousal in their training
            if "readout" in own:
                self._readout = lambda codes, _: model.read(codes)
            else:
                self._picture_emotion = own.get("emotion")
        self.source = FROM_CODES if self._readout else FROM_PICTURE if self._picture_emotion else ""
        self.labels: tuple[str, ...] = EXPRESSIONS if self.source else ()
        self.fingerprint = " ".join(sorted(one.sha256 for one in loaded))
        self.crop_scale = (codes or emotion)[0].card.crop_scale

    @classmethod
    def from_files(cls, sources: Sequence[Path | str]) -> CodesEncoder:
        """Load the weights, see :func:`emoca_tf.weights.load.load_model`."""
        return cls([load_model(source, complete=False) for source in sources])

    @property
    def widths(self) -> tuple[int, int]:
        """Number of shape and of expression codes; 0 where the weights give none."""
        if self._codes is None:
            return 0, 0
        if self._kind == "mobile":
            return self._codes.n_shape, self._codes.n_exp
        if self._kind == "smirk":
            shapes = self._codes.output_shape
            return shapes["shape"][-1], shapes["exp"][-1]
        return COARSE_SIZES["shape"], COARSE_SIZES["exp"]

    @cached_property
    def _run(self) -> Any:
        """The whole as one graph: seconds to make, then several times as fast as calling layer by layer."""
        return tf.function(self._encode).get_concrete_function(tf.TensorSpec((None, 224, 224, 3), tf.float32))

    @cached_property
    def sizes(self) -> Mapping[str, tuple[int, ...]]:
        """Code group -> shape of one row."""
        return {name: tuple(value.shape[1:]) for name, value in self._run.structured_outputs.items()}

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """``[B, 224, 224, 3]`` RGB 0..1 -> group name -> ``[B, *sizes[name]]`` float32."""
        return {name: value.numpy() for name, value in self._run(tf.constant(images, tf.float32)).items()}

    def codes(self, images: np.ndarray) -> Codes:
        """The same without making a graph first, codes only: quicker for a few pictures."""
        return self._image_codes(tf.constant(images, tf.float32)).numpy()

    def emotion(self, images: np.ndarray, codes: Codes) -> list[Emotion]:
        """What each picture, or its (perhaps refined) codes, shows; an empty list without an emotion network."""
        if not self.source:
            return []
        rows = {name: v.numpy() for name, v in self._emotion(tf.constant(images, tf.float32), codes).items()}
        return [
            Emotion(
                dict(zip(self.labels, map(float, shares), strict=True)),
                float(valence), float(arousal), self.source, self.derived,
            )
            for shares, valence, arousal in zip(
                rows["expression_prob"], rows["valence"], rows["arousal"], strict=True
            )
        ]  # fmt: skip

    def _emodeca(self, model: Any) -> Callable[[Codes, tf.Tensor], dict[str, tf.Tensor]]:
        inputs = int(model.inputs[0].shape[-1])
        if self._codes is None:
            raise UserError("EmoDECA reads emotion from codes; give the weights of EMOCA or DECA too")
        if self._kind in ("smirk", "mobile"):
            raise UserError("EmoDECA was trained on the codes of EMOCA or DECA; it cannot read those of these weights")
        takes_detail = inputs == N_CODES_DETAIL
        if takes_detail and not self._codes.with_detail:
            raise UserError("this EmoDECA reads the detail code, but the weights have no detail branch")

        def read(codes: Codes, images: tf.Tensor) -> dict[str, tf.Tensor]:
            detail = self._codes.E_detail(images, training=False) if takes_detail else None
            outputs: dict[str, tf.Tensor] = model(readout_input(codes, detail), training=False)
            return outputs

        return read

    def _encode(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        rows: dict[str, tf.Tensor] = {}
        codes = None
        if self._codes is not None:
            codes = self._image_codes(images)
            rows = {name: value for name, value in codes.to_dict().items() if name in GROUPS}
        return rows | (self._emotion(images, codes) if self.source else {})

    def _emotion(self, images: tf.Tensor, codes: Codes | None) -> dict[str, tf.Tensor]:
        if self._readout is not None:
            assert codes is not None
            outputs = self._readout(codes, images)
        else:
            outputs = self._picture_emotion(images, training=False)
        shares = tf.nn.softmax(outputs["expression"])
        rows = {"expression_prob": shares}
        if self.derived:
            valence, arousal = tf.unstack(shares @ placed(EXPRESSIONS), axis=1)
            return rows | {"valence": valence, "arousal": arousal}
        return rows | {name: outputs[name][:, 0] for name in ("valence", "arousal")}

    def _image_codes(self, images: tf.Tensor) -> Codes:
        if self._kind != "smirk":
            encoded: Codes = self._codes.encode(images)
            return encoded
        values = dict(self._codes(images, training=False))
        return Codes(**values | {"light": tf.reshape(values["light"], (-1, 9, 3))})
