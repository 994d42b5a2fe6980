"""Codes that an encoder made beforehand, as a source: a read-out then learns in a minute instead of an hour."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from emoca_tf.errors import UserError
from emoca_tf.io.npz import read_npz
from training.datasets.source import Labels, checked_labels

N_JAW = 3
SIDE = 8  # of its black pictures
BLANK = {"shape": 100, "tex": 50, "cam": 3, "neck_pose": 3, "eye_pose": 6}


class StoredCodes:
    """A :class:`~training.datasets.source.Source` over ``benchmarks/emotion.py --save``'s files.

    Its pictures are black; ``coarse_codes=truth`` reads the codes. Rows that are not finite (no face) are left out.

    Args:
        path: ``.npz`` of ``id [N]``, ``feat [N, E + 3]`` (expression, jaw) and ``expression [N]`` (class, -1 unknown).

    Raises:
        UserError: if the file is damaged or of another layout.
    """

    def __init__(self, path: Path | str) -> None:
        arrays = read_npz(Path(path))
        missing = [name for name in ("id", "feat", "expression") if name not in arrays]
        if missing:
            raise UserError(f"{path} holds no stored codes (no {', '.join(missing)}); see benchmarks/emotion.py --save")
        feat = arrays["feat"]
        if feat.ndim != 2 or feat.shape[1] <= N_JAW or not len(feat) == len(arrays["id"]) == len(arrays["expression"]):
            raise UserError(f"{path}: feat must be [N, expression + {N_JAW}], one row an id; found {feat.shape}")
        keep = np.isfinite(feat).all(1)
        self.codes = feat[keep].astype(np.float32)
        self.ids: Sequence[str] = [str(name) for name in arrays["id"][keep]]
        labels = Labels.of_classes(arrays["expression"][keep])
        self.labels = checked_labels(labels, len(self.ids), str(path))
        self.persons: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def example(self, index: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        row = self.codes[index]
        out = {name: np.zeros(size, np.float32) for name, size in BLANK.items()}
        return out | {
            "image": np.zeros((SIDE, SIDE, 3), np.uint8),
            "landmarks_mp": np.zeros((478, 3), np.float32),
            "landmarks68": np.zeros((68, 3), np.float32),
            "mask": np.zeros((SIDE, SIDE), np.uint8),
            "exp": row[:-N_JAW],
            "pose": np.concatenate([np.zeros(3, np.float32), row[-N_JAW:]]),
            "light": np.zeros((9, 3), np.float32),
        }
