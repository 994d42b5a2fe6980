"""The 224 x 224 crop every encoder looks at, and the way back (``DECA:decalib/datasets/datasets.py``, spec 1.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CROP_SIZE = 224
INFERENCE_SCALE = 1.25


@dataclass(frozen=True)
class CropTransform:
    """An axis-aligned similarity from source pixels to crop pixels.

    Attributes:
        matrix: ``[3, 3]`` float64; the square's corners land on 0 and ``size - 1`` (223, not 224).
        size: side of the crop in pixels.
    """

    matrix: np.ndarray
    size: int = CROP_SIZE

    def apply(self, image: np.ndarray, order: int = 1) -> np.ndarray:
        """Cut the crop out of ``image [H, W, 3]`` uint8; black outside.

        Only the pixels that are looked at are converted, so a picture of any size costs no more memory than a small
        one. The values are those of scikit-image's ``warp``, which the references call.

        Args:
            image: RGB.
            order: 1 bilinear (DECA), 3 bicubic clipped to the input's range (EMOCA's data preparation).

        Returns:
            ``[size, size, 3]`` float32 in 0..1.
        """
        inverse = np.linalg.inv(self.matrix)
        at = np.arange(self.size)
        rows, row_weights = _taps(inverse[1, 1] * at + inverse[1, 2], image.shape[0], order)
        columns, column_weights = _taps(inverse[0, 0] * at + inverse[0, 2], image.shape[1], order)
        pixels = image[np.ix_(rows.ravel(), columns.ravel())].reshape(*rows.shape, *columns.shape, -1)
        half = sum(row_weights[:, k, None, None, None] * pixels[:, k] for k in range(rows.shape[1]))
        crop = sum(column_weights[None, :, k, None] * half[:, :, k] for k in range(columns.shape[1]))
        if order == 3:  # the kernel overshoots
            outside = (row_weights == 0).all(1).any() or (column_weights == 0).all(1).any()
            crop = crop.clip(0 if outside else image.min(), image.max())
        return np.asarray(crop / 255, np.float32)

    def points_to_crop(self, points: np.ndarray) -> np.ndarray:
        """Source pixels ``[N, 2]`` -> crop pixels ``[N, 2]``."""
        return points @ self.matrix[:2, :2].T + self.matrix[:2, 2]

    def points_to_source(self, points: np.ndarray) -> np.ndarray:
        """Crop pixels ``[N, 2]`` -> source pixels ``[N, 2]``."""
        inverse = np.linalg.inv(self.matrix)
        return points @ inverse[:2, :2].T + inverse[:2, 2]

    def resized(self, size: int) -> CropTransform:
        """The same square at another resolution."""
        return CropTransform(np.diag([(size - 1) / (self.size - 1)] * 2 + [1.0]) @ self.matrix, size)


def crop_from_landmarks(landmarks: np.ndarray, scale: float = INFERENCE_SCALE, size: int = CROP_SIZE) -> CropTransform:
    """Crop around landmarks ``[N, 2+]`` (FAN 68 or MediaPipe): 1.1 x the mean side of their box, centred on it."""
    left, top = landmarks[:, :2].min(0)
    right, bottom = landmarks[:, :2].max(0)
    reference = ((right - left) + (bottom - top)) / 2 * 1.1
    return _square((left + right) / 2, (top + bottom) / 2, int(reference * scale), size)


def crop_from_box(
    box: tuple[float, float, float, float], scale: float = INFERENCE_SCALE, size: int = CROP_SIZE
) -> CropTransform:
    """Crop around a detector's box (left, top, right, bottom): its mean side, centre 0.12 of it further down."""
    left, top, right, bottom = box
    reference = ((right - left) + (bottom - top)) / 2
    return _square((left + right) / 2, (top + bottom) / 2 + 0.12 * reference, int(reference * scale), size)


def _square(x: float, y: float, side: int, size: int) -> CropTransform:
    if side < 1:
        raise ValueError(f"a crop needs a side of at least 1 pixel; received {side}")
    zoom = (size - 1) / side
    matrix = np.array([[zoom, 0, -(x - side / 2) * zoom], [0, zoom, -(y - side / 2) * zoom], [0, 0, 1]], np.float64)
    return CropTransform(matrix, size)


def _taps(positions: np.ndarray, length: int, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels along one axis that each position is interpolated from, and their weights (0 outside the picture)."""
    first = np.floor(positions).astype(np.int64)
    t = (positions - first)[:, None]
    if order == 1:
        index, weights = first[:, None] + np.arange(2), np.concatenate([1 - t, t], 1)
    elif order == 3:  # Catmull-Rom
        index = first[:, None] + np.arange(-1, 3)
        weights = np.concatenate(
            [
                t * (-1 + t * (2 - t)) / 2,
                1 + t * t * (3 * t - 5) / 2,
                t * (1 + t * (4 - 3 * t)) / 2,
                t * t * (t - 1) / 2,
            ],
            1,
        )
    else:
        raise ValueError(f"order is 1 (bilinear) or 3 (bicubic); received {order}")
    inside = (index >= 0) & (index < length)
    return index.clip(0, length - 1), np.where(inside, weights, 0.0)
