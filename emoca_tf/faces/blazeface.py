"""MediaPipe's short-range face detector without MediaPipe: its TFLite file, its anchors, its decoding, in NumPy.

Facts of the file: input ``[1, 128, 128, 3]`` RGB in -1..1 of a square picture; outputs ``regressors [1, 896, 16]`` and
``classificators [1, 896, 1]`` (logits). The phone's engine follows the same steps; the bundle's golden vectors hold it
to them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from emoca_tf.faces.crop import CROP_SIZE, CropTransform

SIZE = 128
SCORE = 0.5
OVERLAP = 0.3
KEYPOINTS = ("right eye", "left eye", "nose", "mouth", "right ear", "left ear")  # the person's right and left
CROP_SIDE = 1.41
"""Side of the 224 crop in units of the box's side, and below: how its centre lies below the box's, in the same unit.

Both are the medians over faces of what :func:`emoca_tf.faces.crop.crop_from_landmarks` gives
(``benchmarks/blazeface_crop.py``).
"""
CROP_DOWN = -0.025

Model = Callable[[Mapping[str, np.ndarray]], Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Detection:
    """One face in pixels of the picture.

    Attributes:
        score: 0.5..1.
        box: left, top, right, bottom.
        keypoints: ``[6, 2]`` in the order of :data:`KEYPOINTS`.
    """

    score: float
    box: tuple[float, float, float, float]
    keypoints: np.ndarray

    @property
    def area(self) -> float:
        return (self.box[2] - self.box[0]) * (self.box[3] - self.box[1])

    def crop(self) -> CropTransform:
        """The 224 crop that the encoders look at."""
        left, top, right, bottom = self.box
        side = ((right - left) + (bottom - top)) / 2
        x, y = (left + right) / 2, (top + bottom) / 2 + CROP_DOWN * side
        zoom = (CROP_SIZE - 1) / (side * CROP_SIDE)
        half = side * CROP_SIDE / 2
        return CropTransform(np.array([[zoom, 0, -(x - half) * zoom], [0, zoom, -(y - half) * zoom], [0, 0, 1.0]]))


def anchors() -> np.ndarray:
    """``[896, 2]`` anchor centres in 0..1: a 16 x 16 grid twice, then an 8 x 8 grid six times, row by row."""
    rows = []
    for grid, repeats in ((16, 2), (8, 6)):
        y, x = np.meshgrid(*[(np.arange(grid) + 0.5) / grid] * 2, indexing="ij")
        rows.append(np.repeat(np.stack([x.ravel(), y.ravel()], 1), repeats, 0))
    return np.concatenate(rows).astype(np.float32)


def prepare(image: np.ndarray) -> tuple[np.ndarray, float, tuple[float, float]]:
    """The detector's input from a picture ``[H, W, 3]`` uint8: black borders to a square, 128 x 128, -1..1.

    Returns:
        ``[1, 128, 128, 3]`` float32, the square's side in pixels, and the square's left and top in the picture.
    """
    height, width = image.shape[:2]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    square = cv2.copyMakeBorder(image, top, side - height - top, left, side - width - left, cv2.BORDER_CONSTANT)
    small = cv2.resize(square, (SIZE, SIZE), interpolation=cv2.INTER_AREA if side > SIZE else cv2.INTER_LINEAR)
    return (small.astype(np.float32) / 127.5 - 1)[None], float(side), (-float(left), -float(top))


def decode(regressors: np.ndarray, logits: np.ndarray, side: float, corner: tuple[float, float]) -> list[Detection]:
    """The network's outputs as faces, largest first.

    Args:
        regressors: ``[1, 896, 16]``.
        logits: ``[1, 896, 1]``.
        side: of the square, pixels.
        corner: of the square, pixels of the picture.
    """
    scores = 1 / (1 + np.exp(-np.clip(logits[0, :, 0].astype(np.float64), -80, 80)))
    chosen = np.flatnonzero(scores > SCORE)
    values = regressors[0, chosen].astype(np.float64) / SIZE
    centres = anchors()[chosen]
    middle = centres + values[:, :2]
    boxes = np.concatenate([middle - values[:, 2:4] / 2, middle + values[:, 2:4] / 2], 1)
    points = centres[:, None] + values[:, 4:].reshape(-1, 6, 2)
    found = []
    for rows in _groups(boxes, scores[chosen]):
        weight = scores[chosen][rows] / scores[chosen][rows].sum()
        box = (weight[:, None] * boxes[rows]).sum(0) * side + np.tile(corner, 2)
        keypoints = (weight[:, None, None] * points[rows]).sum(0) * side + corner
        left, top, right, bottom = (float(v) for v in box)
        found.append(Detection(float(scores[chosen][rows].max()), (left, top, right, bottom), keypoints))
    return sorted(found, key=lambda face: -face.area)


def _groups(boxes: np.ndarray, scores: np.ndarray) -> list[np.ndarray]:
    """Weighted non-maximum suppression: indices of the boxes that overlap the best remaining one, group by group."""
    left = list(np.argsort(-scores, kind="stable"))
    groups = []
    while left:
        best = boxes[left[0]]
        low, high = np.maximum(boxes[left, :2], best[:2]), np.minimum(boxes[left, 2:], best[2:])
        shared = np.clip(high - low, 0, None).prod(1)
        areas = (boxes[left, 2:] - boxes[left, :2]).prod(1)
        overlap = shared / np.maximum(areas + (best[2:] - best[:2]).prod() - shared, 1e-12)
        together = (overlap > OVERLAP) | (np.arange(len(left)) == 0)
        groups.append(np.array(left)[together])
        left = [row for row, taken in zip(left, together, strict=True) if not taken]
    return groups


def detect(model: Model, image: np.ndarray) -> list[Detection]:
    """Faces of a picture ``[H, W, 3]`` uint8 RGB, largest first.

    The detector is made for selfies; where it finds nothing, nine overlapping windows of half the longer side are
    searched, in which a small face is twice as large.
    """
    found = _search(model, image)
    if found:
        return found
    side = max(image.shape[:2]) // 2
    if side < SIZE:
        return []
    tops, lefts = (sorted({round(t * max(0, length - side) / 2) for t in range(3)}) for length in image.shape[:2])
    for top in tops:
        for left in lefts:
            window = np.ascontiguousarray(image[top : top + side, left : left + side])
            found += [_moved(face, left, top) for face in _search(model, window)]
    return sorted(_distinct(found), key=lambda face: -face.area)


def _search(model: Model, image: np.ndarray) -> list[Detection]:
    values, side, corner = prepare(image)
    out = model({"input": values})
    return decode(out["regressors"], out["classificators"], side, corner)


def _moved(face: Detection, x: float, y: float) -> Detection:
    left, top, right, bottom = face.box
    return Detection(face.score, (left + x, top + y, right + x, bottom + y), face.keypoints + np.array([x, y]))


def _distinct(faces: list[Detection]) -> list[Detection]:
    """The best of the detections that overlap."""
    if not faces:
        return []
    scores = np.array([face.score for face in faces])
    groups = _groups(np.array([face.box for face in faces]), scores)
    return [faces[rows[int(np.argmax(scores[rows]))]] for rows in groups]
