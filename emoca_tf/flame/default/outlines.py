"""Where brows, lips and hair lie on the default head: closed curves of landmarks and a hairline by azimuth."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import PchipInterpolator
from skimage.measure import points_in_poly

from emoca_tf.flame.head import LandmarkTable

# Outlines in MediaPipe's numbering: lower then upper edge of the brows, outer border of the lips.
RIGHT_BROW = (46, 53, 52, 65, 55, 107, 66, 105, 63, 70)
LEFT_BROW = (276, 283, 282, 295, 285, 336, 296, 334, 293, 300)
LIPS = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
DEPTH = 0.012  # metres behind an outline at which its inside ends
# Azimuth from the face's middle (degrees) and height of the hairline over the eyes (metres).
_AZIMUTH = (0, 15, 30, 45, 58, 68, 76, 84, 92, 104, 120, 150, 180)
_HEIGHT = (0.066, 0.067, 0.069, 0.062, 0.047, 0.022, -0.012, -0.018, -0.004, -0.02, -0.05, -0.07, -0.074)
_AXIS_DEPTH = -0.075  # of the head's upright axis behind the eyes


def outline(
    vertices: np.ndarray, f: np.ndarray, table: LandmarkTable, indices: np.ndarray, numbers: tuple[int, ...]
) -> np.ndarray:
    """``[N, 3]`` places of MediaPipe's points ``numbers``; ``indices`` says which point each row of ``table`` is."""
    rows = [int(np.flatnonzero(indices == number)[0]) for number in numbers]
    corners = np.asarray(vertices, np.float64)[f[table.faces_idx[rows]]]
    return (corners * np.asarray(table.bary_coords, np.float64)[rows, :, None]).sum(1)


def depth_inside(points: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """Metres ``[N]`` inside a closed curve seen from the front, negative outside; -1 far behind it."""
    flat, start, end = points[:, None, :2], curve[None, :, :2], np.roll(curve, -1, 0)[None, :, :2]
    edge = end - start
    along = np.clip(((flat - start) * edge).sum(2) / (edge**2).sum(2), 0, 1)
    distance = np.linalg.norm(flat - start - along[..., None] * edge, axis=2).min(1)
    signed = np.where(points_in_poly(points[:, :2], curve[:, :2]), distance, -distance)
    return np.where(points[:, 2] > curve[:, 2].min() - DEPTH, signed, -1.0)


def above_hairline(points: np.ndarray) -> np.ndarray:
    """Metres ``[N]`` above the hairline, of points relative to the middle between the eyeballs; ears count as skin."""
    azimuth = np.degrees(np.arctan2(np.abs(points[:, 0]), points[:, 2] - _AXIS_DEPTH))
    return points[:, 1] - PchipInterpolator(_AZIMUTH, _HEIGHT)(azimuth)
