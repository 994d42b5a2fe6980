"""Photographs in files: what the readers of raw folders have in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from emoca_tf.errors import UserError
from emoca_tf.io.images import read_image
from training.datasets.source import Labels, checked_labels

MIN_SIDE = 32


class Photographs:
    """A :class:`~training.datasets.source.Source` of picture files.

    Args:
        where: the data set, for messages.
        ids: unique names.
        files: one a picture.
        labels: of the pictures.
        persons: ``[N]`` equal for one person, or None.
        landmarks68: ``[N, 68, 2]`` pixels, NaN where unknown, or None.
        boxes: ``[N, 4]`` left, top, right, bottom pixels, NaN where unknown, or None.

    Raises:
        UserError: if there is no picture or a label is out of range.
    """

    def __init__(
        self,
        where: str,
        ids: Sequence[str],
        files: Sequence[Path],
        labels: Labels,
        *,
        persons: np.ndarray | None = None,
        landmarks68: np.ndarray | None = None,
        boxes: np.ndarray | None = None,
    ) -> None:
        if not files:
            raise UserError(f"{where}: no usable picture in this data set")
        self.where, self.ids, self.files = where, ids, files
        self.labels = checked_labels(labels, len(files), where)
        self.persons, self.landmarks68, self.boxes = persons, landmarks68, boxes

    def __len__(self) -> int:
        return len(self.files)

    def photo(self, index: int) -> np.ndarray:
        """``[H, W, 3]`` uint8 RGB.

        Raises:
            UserError: if the file is missing, damaged or tiny.
        """
        return read_image(self.files[index], min_side=MIN_SIDE)

    def example(self, index: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        out = {"image": self.photo(index)}
        if self.landmarks68 is not None and np.isfinite(self.landmarks68[index]).all():
            points = self.landmarks68[index]
            out["landmarks68"] = np.concatenate([points, np.ones((68, 1))], 1).astype(np.float32)
        elif self.boxes is not None and np.isfinite(self.boxes[index]).all():
            out["box"] = self.boxes[index].astype(np.float32)
        return out
