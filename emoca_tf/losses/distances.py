"""How far eyes and mouth are open, and how wide the mouth is: distances inside one face, compared between two.

They guide expression where absolute landmarks would fight the frozen pose and shape. ``L = mean over pairs and batch of
| ‖p_u - p_d‖ - ‖g_u - g_d‖ |``, normalised crop coordinates. Sources: ``DECA:decalib/utils/lossfunc.py`` eyed_loss,
lipd_loss; ``emoca:gdl/layers/losses/DecaLosses.py``, ``MediaPipeLandmarkLosses.py`` (losses 4.1, 4.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import tensorflow as tf

Pairs = tuple[Sequence[int], Sequence[int]]

# 68-point numbering.
EYES: Pairs = ((37, 38, 43, 44), (41, 40, 47, 46))
MOUTH: Pairs = ((61, 62, 63), (67, 66, 65))
CORNERS: Pairs = ((48, 60), (54, 64))

# MediaPipe numbering; upper and lower points face each other.
EYES_MEDIAPIPE: Pairs = (
    (398, 384, 385, 386, 387, 388, 466, 246, 161, 160, 159, 158, 157, 173),
    (382, 381, 380, 374, 373, 390, 249, 7, 163, 144, 145, 153, 154, 155),
)
MOUTH_MEDIAPIPE: Pairs = (
    (185, 40, 39, 37, 0, 267, 269, 270, 409, 191, 80, 81, 82, 13, 312, 311, 310, 415),
    (146, 91, 181, 84, 17, 314, 405, 321, 375, 95, 88, 178, 87, 14, 317, 402, 318, 324),
)
CORNERS_MEDIAPIPE: Pairs = ((78, 61), (308, 291))

_EPSILON = 1e-12  # under the root: the gradient of a distance is infinite at zero (trap 13)


def _lengths(points: tf.Tensor, pairs: Pairs) -> tf.Tensor:
    first, second = (tf.gather(points, np.asarray(side, np.int32), axis=1)[..., :2] for side in pairs)
    return tf.sqrt(tf.reduce_sum((first - second) ** 2, -1) + _EPSILON)


def _difference(predicted: tf.Tensor, truth: tf.Tensor, of_predicted: Pairs, of_truth: Pairs) -> tf.Tensor:
    return tf.reduce_mean(tf.abs(_lengths(predicted, of_predicted) - _lengths(truth, of_truth)))


def eye_closure(predicted: tf.Tensor, truth: tf.Tensor) -> tf.Tensor:
    """Lid distances (``eyed``) of two sets of 68 points ``[B, 68, 2+]``."""
    return _difference(predicted, truth, EYES, EYES)


def mouth_closure(predicted: tf.Tensor, truth: tf.Tensor) -> tf.Tensor:
    """Inner lip distances (``lipd``) of two sets of 68 points ``[B, 68, 2+]``."""
    return _difference(predicted, truth, MOUTH, MOUTH)


def lip_corners(predicted: tf.Tensor, truth: tf.Tensor) -> tf.Tensor:
    """Mouth widths, outer and inner corners, of two sets of 68 points ``[B, 68, 2+]`` (EMOCA)."""
    return _difference(predicted, truth, CORNERS, CORNERS)


def _embedded(predicted: tf.Tensor, truth: tf.Tensor, indices: np.ndarray, pairs: Pairs) -> tf.Tensor:
    """Pairs in MediaPipe numbering looked up in the embedding's list."""
    place = {int(landmark): position for position, landmark in enumerate(np.asarray(indices))}
    missing = sorted({landmark for side in pairs for landmark in side} - place.keys())
    if missing:
        raise ValueError(f"the head's MediaPipe embedding lacks the points {missing}, which this loss compares")
    looked_up = tuple([place[landmark] for landmark in side] for side in pairs)
    return _difference(predicted, truth, (looked_up[0], looked_up[1]), pairs)


def eye_closure_mediapipe(
    predicted: tf.Tensor, truth: tf.Tensor, indices: np.ndarray, pairing: Literal["paired", "sorted"] = "paired"
) -> tf.Tensor:
    """Lid distances of embedded MediaPipe points.

    Args:
        predicted: ``[B, N, 2+]`` points of the head's embedding.
        truth: ``[B, 478, 2+]`` detected points.
        indices: ``[N]`` which of the 478 each embedded point is.
        pairing: ``paired`` compares lids that face each other (the paper's meaning); ``sorted`` repeats the release,
            which sorts both lists before it pairs them (trap 12).

    Raises:
        ValueError: if the embedding lacks one of the points, or for another ``pairing``.
    """
    if pairing not in ("paired", "sorted"):
        raise ValueError(f"pairing must be 'paired' or 'sorted', received {pairing!r}")
    upper, lower = EYES_MEDIAPIPE
    pairs = EYES_MEDIAPIPE if pairing == "paired" else (sorted(upper), sorted(lower))
    return _embedded(predicted, truth, indices, pairs)


def mouth_closure_mediapipe(predicted: tf.Tensor, truth: tf.Tensor, indices: np.ndarray) -> tf.Tensor:
    """Outer and inner lip distances of embedded MediaPipe points; arguments as :func:`eye_closure_mediapipe`."""
    return _embedded(predicted, truth, indices, MOUTH_MEDIAPIPE)


def lip_corners_mediapipe(predicted: tf.Tensor, truth: tf.Tensor, indices: np.ndarray) -> tf.Tensor:
    """Mouth widths of embedded MediaPipe points; arguments as :func:`eye_closure_mediapipe`."""
    return _embedded(predicted, truth, indices, CORNERS_MEDIAPIPE)
