"""Landmark conventions: MediaPipe's 478 points, the 68 points made from them, and what mirroring does to both.

Left and right are the person's. The mirror table follows from MediaPipe's numbering: points 0..247 that are not on the
midline are the right side, 248..467 the left side, in the same order (checked against the mesh's edges and against
landmarks of a mirrored photograph in the tests).
"""

from __future__ import annotations

import cv2
import numpy as np

from emoca_tf.faces.mediapipe_points import FACE_OVAL
from emoca_tf.flame.default.landmarks import INNER, JAW

N_MEDIAPIPE = 478
MIDLINE = (
    *(0, 1, 2, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 94, 151, 152, 164, 168, 175, 195, 197, 199, 200),
)
# Iris: centre, then the ring in MediaPipe's order, which runs the other way round in the other eye.
_IRIS_PAIRS = ((468, 473), (469, 476), (470, 475), (471, 474), (472, 477))

MAP_68 = np.array(JAW + INNER)
"""``[68]`` MediaPipe index of each iBUG-68 point (the widely used correspondence; the head's own tables use it too)."""


def _flip_478() -> np.ndarray:
    table = np.arange(N_MEDIAPIPE)
    right = [i for i in range(248) if i not in MIDLINE]
    for a, b in (*zip(right, range(248, 468), strict=True), *_IRIS_PAIRS):
        table[a], table[b] = b, a
    return table


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


FLIP_478 = _flip_478()
"""``[478]`` which point takes a point's place in the mirrored picture."""
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
