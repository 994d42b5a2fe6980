"""The seam between capture and encoders: which weights, whether they speak the head's language, one crop to codes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from emoca_tf.codes import Codes, even_light
from emoca_tf.errors import UserError
from emoca_tf.flame.head import DEFAULT_HEAD_NAME, HeadModel

Method = Literal["auto", "encoder", "fit"]
OFFICIAL = ("emoca", "deca", "smirk")


class FaceEncoder(Protocol):
    """One crop to the codes of the head it was trained on."""

    crop_scale: float

    def encode(self, photo: np.ndarray) -> Codes:
        """``[224, 224, 3]`` float32 crop in 0..1 -> codes of one face."""


class _FileEncoder:
    """Weights files behind :class:`FaceEncoder`."""

    def __init__(self, sources: Sequence[str | Path], head: HeadModel) -> None:
        from emoca_tf.capture.encoder import CodesEncoder
        from emoca_tf.weights.load import load_model

        loaded = [load_model(source) for source in sources]
        if head.name == DEFAULT_HEAD_NAME and any(one.card.kind in OFFICIAL for one in loaded):
            raise UserError(
                "these weights speak FLAME's axes, which mean something else on the default head; "
                "give your own with --head (see emoca-tf import-flame)"
            )
        self._encoder = CodesEncoder(loaded)
        self.crop_scale = self._encoder.crop_scale
        sizes = self._encoder.sizes
        for group, found, wanted in (
            ("shape", sizes.get("shape"), head.n_shape),
            ("exp", sizes.get("exp"), head.n_exp),
        ):
            if found is None:
                raise UserError("these weights give no codes of a head; capture needs EMOCA, DECA or SMIRK weights")
            if found[0] != wanted:
                raise UserError(f"the weights give {found[0]} {group} codes, head '{head.name}' takes {wanted}")

    def encode(self, photo: np.ndarray) -> Codes:
        rows = self._encoder(photo[None])
        batch = 1
        rest = {"tex": np.zeros((batch, 50), np.float32), "light": even_light(batch)}
        rest |= {"neck_pose": np.zeros((batch, 3), np.float32), "eye_pose": np.zeros((batch, 6), np.float32)}
        names = ("shape", "tex", "exp", "pose", "cam", "light", "eyelid")
        return Codes(**(rest | {name: rows[name] for name in names if name in rows}))


def open_encoder(method: Method, weights: Sequence[str | Path], head: HeadModel) -> FaceEncoder | None:
    """The encoder that ``method`` asks for, or None where the head is to be fitted alone.

    Raises:
        UserError: unknown method, ``encoder`` without weights, or weights that do not belong to the head.
    """
    from emoca_tf.weights.presets import presets

    if method not in ("auto", "encoder", "fit"):
        raise UserError(f"unknown method {method!r}; give auto, encoder or fit")
    if not weights and head.name == DEFAULT_HEAD_NAME and presets():
        weights = [next(iter(presets()))]
    if weights:
        return _FileEncoder(weights, head)
    if method == "encoder":
        raise UserError("no weights for this head; give --weights FILE (see emoca-tf import-weights), or use --fit")
    return None
