"""Landmark conventions: MediaPipe's 478 points, the 68 points made from them, and what mirroring does to both.

Left and right are the person's. The tests check the mirror table of the 478 against the mesh's edges and against
landmarks of a mirrored photograph.
"""

from __future__ import annotations

import cv2
import numpy as np

from emoca_tf.faces.mediapipe_points import FACE_OVAL, FLIP_478, N_MEDIAPIPE
from emoca_tf.flame.default.landmarks import INNER, JAW

__all__ = ["FLIP_68", "FLIP_478", "MAP_68", "N_MEDIAPIPE", "landmarks68", "oval_mask"]

MAP_68 = np.array(JAW + INNER)
"""``[68]`` MediaPipe index of each iBUG-68 point (the widely used correspondence; the head's own tables use it too)."""


def _flip_68() -> np.ndarray:
    partners = [
        *range(16, -1, -1),  # jaw
        *range(26, 16, -1),  # brows
        *(27, 28, 29, 30, 35, 34, 33, 32, 31),  # nose
        *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),  # eyes
        *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55),  # outer lips
        *(64, 63, 62, 61, 60, 67, 66, 65),  # inner lips
    ]
    return np.array(partners)


FLIP_68 = _flip_68()
"""``[68]`` the same for the 68 points."""


def landmarks68(landmarks: np.ndarray) -> np.ndarray:
    """``[478, C]`` -> ``[68, C]`` by :data:`MAP_68`."""
    return landmarks[MAP_68]


def oval_mask(landmarks: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Face mask from landmarks: MediaPipe's face oval, or the hull of the 68 points, filled.

    The 68 points end at the brows, so that their hull leaves the forehead out; it is stretched upwards by half the
    distance from brows to chin, about the hairline.

    Args:
        landmarks: ``[478, 2+]`` or ``[68, 2+]`` pixels, counted from the picture's edge.
        size: height and width.

    Returns:
        ``[H, W]`` uint8, 0 or 255.
    """
    points = landmarks[:, :2].astype(np.float32)
    if len(points) == N_MEDIAPIPE:
        outline = points[list(FACE_OVAL)]
    else:
        up = (points[17:27].mean(0) - points[8]) * 0.5
        outline = cv2.convexHull(np.concatenate([points, points[17:27] + up]))[:, 0]
    mask = np.zeros(size, np.uint8)
    cv2.fillPoly(mask, [np.round(outline - 0.5).astype(np.int32)], (255,))  # which counts by the pixels' centres
    return mask
