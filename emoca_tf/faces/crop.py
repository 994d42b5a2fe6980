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

        Args:
            image: RGB.
            order: 1 bilinear (DECA), 3 bicubic clipped to the input's range (EMOCA's data preparation).

        Returns:
            ``[size, size, 3]`` float32 in 0..1.
        """
        from skimage.transform import warp

        source = image / 255.0
        crop = warp(source, np.linalg.inv(self.matrix), output_shape=(self.size, self.size), order=order)
        return np.asarray(crop, np.float32)

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
