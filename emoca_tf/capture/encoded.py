"""The seam between capture and encoders: which weights, whether they speak the head's language, one crop to codes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from emoca_tf.codes import Codes, even_light
from emoca_tf.emotion.reading import Emotion
from emoca_tf.errors import UserError
from emoca_tf.flame.head import DEFAULT_HEAD_NAME, HeadModel

Method = Literal["auto", "encoder", "fit"]
OFFICIAL = ("emoca", "deca", "smirk")


NO_WEIGHTS = ("none",)
"""Given as weights: no encoder, not even the library's own."""


class FaceEncoder(Protocol):
    """One crop to the codes of the head it was trained on, and to the emotion they show."""

    crop_scale: float

    def encode(self, photo: np.ndarray) -> Codes:
        """``[224, 224, 3]`` float32 crop in 0..1 -> codes of one face."""

    def read(self, photo: np.ndarray, codes: Codes) -> Emotion | None:
        """The emotion of a crop and its (perhaps refined) codes; None where the weights know none."""


class _FileEncoder:
    """Weights files behind :class:`FaceEncoder`."""

    def __init__(self, sources: Sequence[str | Path], head: HeadModel) -> None:
        from emoca_tf.capture.encoder import CodesEncoder
        from emoca_tf.weights.load import load_model

        loaded = [load_model(source, complete=False) for source in sources]
        if head.name == DEFAULT_HEAD_NAME and any(one.card.kind in OFFICIAL for one in loaded):
            raise UserError(
                "these weights speak FLAME's axes, which mean something else on the default head; "
                "give your own with --head (see emoca-tf import-flame)"
            )
        for one in loaded:
            if one.card.head and one.card.head.get("sha256") != head.sha256():
                raise UserError(
                    f"these weights give the codes of head '{one.card.head.get('name')}', which differs from this "
                    f"'{head.name}'; take the head they were trained on, or train them on this one (docs/training.md)"
                )
            if one.card.kind == "mobile":  # files from before the card told the range, too
                one.model.keep_in_range(head.exp_limits)
        self._encoder = CodesEncoder(loaded)
        self.crop_scale = self._encoder.crop_scale
        self._eyelids = head.eyelids is not None
        for group, found, wanted in zip(
            ("shape", "exp"), self._encoder.widths, (head.n_shape, head.n_exp), strict=True
        ):
            if not found:
                raise UserError(
                    "these weights give no codes of a head; capture needs those of mobile, EMOCA, DECA, SMIRK"
                )
            if found != wanted:
                raise UserError(f"the weights give {found} {group} codes, head '{head.name}' takes {wanted}")

    def encode(self, photo: np.ndarray) -> Codes:
        codes = self._encoder.codes(photo[None])
        rest = {
            "tex": np.zeros((1, 50), np.float32),
            "light": even_light(1),
            "neck_pose": np.zeros((1, 3), np.float32),
            "eye_pose": np.zeros((1, 6), np.float32),
        }
        given = codes.to_dict()
        if not self._eyelids:
            given.pop("eyelid", None)
        return Codes(**(rest | given))

    def read(self, photo: np.ndarray, codes: Codes) -> Emotion | None:
        return next(iter(self._encoder.emotion(photo[None], codes)), None)


def open_encoder(method: Method, weights: Sequence[str | Path], head: HeadModel) -> FaceEncoder | None:
    """The encoder that ``method`` asks for, or None where the head is to be fitted alone.

    Raises:
        UserError: unknown method, ``encoder`` without weights, or weights that do not belong to the head.
    """
    from emoca_tf.weights.presets import presets

    if method not in ("auto", "encoder", "fit"):
        raise UserError(f"unknown method {method!r}; give auto, encoder or fit")
    if tuple(map(str, weights)) == NO_WEIGHTS:
        weights = ()
    elif not weights and head.name == DEFAULT_HEAD_NAME and presets():
        weights = [next(iter(presets()))]
    if weights:
        return _FileEncoder(weights, head)
    if method == "encoder":
        raise UserError("no weights for this head; give --weights FILE (see emoca-tf import-weights), or use --fit")
    return None
