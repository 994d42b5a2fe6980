"""What a data set is: labels that are known up front, and examples that are made one at a time.

Readers of raw folders, shards and the synthetic generator all are a :class:`Source`; :mod:`training.datasets.pipeline`
turns any of them into batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from emoca_tf.errors import UserError

EXPRESSIONS = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt")
"""AffectNet's eight classes in AffectNet's order; 7 classes are the first seven."""

UNKNOWN = -1
"""Expression of an image without a (usable) class; an unknown valence or arousal is NaN."""


@dataclass(frozen=True)
class Labels:
    """Labels of a whole data set, one entry an image.

    Attributes:
        expression: ``[N]`` int32 index into :data:`EXPRESSIONS`, -1 unknown.
        valence: ``[N]`` float32 in -1..1, NaN unknown.
        arousal: ``[N]`` float32 in -1..1, NaN unknown.
    """

    expression: np.ndarray
    valence: np.ndarray
    arousal: np.ndarray

    @classmethod
    def unknown(cls, count: int) -> Labels:
        return cls(np.full(count, UNKNOWN, np.int32), np.full(count, np.nan, np.float32), np.full(count, np.nan, "f4"))

    @classmethod
    def of_classes(cls, expression: np.ndarray) -> Labels:
        """Classes only, valence and arousal unknown."""
        blank = cls.unknown(len(expression))
        return cls(np.asarray(expression, np.int32), blank.valence, blank.arousal)

    def without(self, rows: np.ndarray) -> Labels:
        """The same with the labels of some rows (a mask) unknown."""
        blank = self.unknown(len(rows))
        return Labels(*(np.where(rows, b, a) for a, b in zip(self.columns(), blank.columns(), strict=True)))

    @classmethod
    def joined(cls, parts: Sequence[Labels]) -> Labels:
        """The labels of several data sets, one after the other."""
        return cls(*(np.concatenate(column) for column in zip(*(part.columns() for part in parts), strict=True)))

    def columns(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.expression, self.valence, self.arousal

    def take(self, rows: np.ndarray) -> Labels:
        return Labels(self.expression[rows], self.valence[rows], self.arousal[rows])


@runtime_checkable
class Source(Protocol):
    """A data set.

    Attributes:
        ids: N unique strings; they appear in every batch and in the log.
        labels: see :class:`Labels`.
        persons: ``[N]`` int64 that is equal for images of one person, or None where persons are not known.
    """

    ids: Sequence[str]
    labels: Labels
    persons: np.ndarray | None

    def __len__(self) -> int: ...

    def example(self, index: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """One image and what is known about it: a pure function of ``index`` and ``rng``.

        A *photograph* is returned uncropped (or with room around the face); the pipeline crops and augments it::

            image         [H, W, 3] uint8 RGB
            landmarks     [478, 3] float32 pixels from the picture's edge (x, y, validity 0/1); optional
            landmarks68   [68, 3] float32 pixels (x, y, visibility 0/1); optional, else made from the 478
            box           [4] float32 left, top, right, bottom pixels; optional, used where there are no landmarks
            mask          [H, W] uint8, 0 or 255, the face skin; optional, else the face oval of the landmarks
            valid         [4] float32 left, top, right, bottom: outside it the picture was made up; optional
            framed        (anything) the whole picture is the crop, whatever is known about the face; optional
            augment_share share of the augmentation that this picture gets; optional, else all of it
            exp, pose ..  true codes that survive being moved, NaN the others; optional
            NAME_mirrored what the code NAME is in the mirrored picture; optional

        A *finished crop* (synthetic data, whose truth a later warp would falsify) has ``image [224, 224, 3]``,
        ``landmarks_mp``, ``landmarks68`` and ``mask`` as in a batch (see :mod:`training.datasets.pipeline`), and its
        truth codes; only pixel-wise augmentation touches it (but see :mod:`training.datasets.movable`).

        Raises:
            UserError: if the file behind it cannot be read.
        """
        ...


def checked_labels(labels: Labels, count: int, where: str) -> Labels:
    """The labels, if they are sound.

    Raises:
        UserError: if a class, valence or arousal lies outside its range, or a length is wrong.
    """
    for name in ("expression", "valence", "arousal"):
        if len(getattr(labels, name)) != count:
            raise UserError(f"{where}: {len(getattr(labels, name))} {name} labels for {count} images")
    if count and not (labels.expression.min() >= UNKNOWN and labels.expression.max() < len(EXPRESSIONS)):
        raise UserError(f"{where}: expression labels must be -1..7; received {np.unique(labels.expression).tolist()}")
    for name in ("valence", "arousal"):
        values = getattr(labels, name)
        if np.nanmax(np.abs(np.append(values, 0))) > 1 + 1e-6:
            raise UserError(
                f"{where}: {name} must lie in -1..1 (NaN unknown); received {np.nanmax(np.abs(values)):.3g}"
            )
    return labels
