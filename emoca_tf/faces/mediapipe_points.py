"""Which of MediaPipe's 478 points are what. Left and right are the person's (spec of EMOCA v2's landmark losses)."""

from __future__ import annotations

import numpy as np

EMBEDDED_105 = (
    *(276, 282, 283, 285, 293, 295, 296, 300, 334, 336, 46, 52, 53, 55, 63, 65, 66, 70, 105, 107),
    *(249, 263, 362, 373, 374, 380, 381, 382, 384, 385, 386, 387, 388, 390, 398, 466),
    *(7, 33, 133, 144, 145, 153, 154, 155, 157, 158, 159, 160, 161, 163, 173, 246),
    *(168, 6, 197, 195, 5, 4, 129, 98, 97, 2, 326, 327, 358),
    *(0, 13, 14, 17, 37, 39, 40, 61, 78, 80, 81, 82, 84, 87, 88, 91, 95, 146, 178, 181, 185, 191, 267, 269, 270, 291),
    *(308, 310, 311, 312, 314, 317, 318, 321, 324, 375, 402, 405, 409, 415),
)
"""EMOCA v2's embedded points: brows 20, eyes 32, nose 13, mouth 40."""

EYELID_PAIRS = tuple(
    zip(
        (398, 384, 385, 386, 387, 388, 466, 246, 161, 160, 159, 158, 157, 173),
        (382, 381, 380, 374, 373, 390, 249, 7, 163, 144, 145, 153, 154, 155),
        strict=True,
    )
)
"""Upper and lower eyelid points that face each other, left eye then right."""

LIP_PAIRS = tuple(
    zip(
        (185, 40, 39, 37, 0, 267, 269, 270, 409, 191, 80, 81, 82, 13, 312, 311, 310, 415),
        (146, 91, 181, 84, 17, 314, 405, 321, 375, 95, 88, 178, 87, 14, 317, 402, 318, 324),
        strict=True,
    )
)
"""Upper and lower lip points, outer contour then inner."""

CORNER_PAIRS = ((78, 308), (61, 291))
"""Lip corners, right and left."""

EYE_CORNERS = (33, 263)
"""Outer eye corners, right and left; their distance is the inter-ocular one."""

IRIS = tuple(range(468, 478))

FACE_OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150),
    *(136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
"""The outline: it slides over the surface when the head turns, so it weighs little."""

N_MEDIAPIPE = 478
MIDLINE = (
    *(0, 1, 2, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 94, 151, 152, 164, 168, 175, 195, 197, 199, 200),
)
# Iris: centre, then the ring in MediaPipe's order, which runs the other way round in the other eye.
_IRIS_PAIRS = ((468, 473), (469, 476), (470, 475), (471, 474), (472, 477))


def _flip_478() -> np.ndarray:
    table = np.arange(N_MEDIAPIPE)
    right = [i for i in range(248) if i not in MIDLINE]
    for a, b in (*zip(right, range(248, 468), strict=True), *_IRIS_PAIRS):
        table[a], table[b] = b, a
    return table


FLIP_478 = _flip_478()
"""``[478]`` which of MediaPipe's points takes a point's place in the mirrored picture: points 0..247 that are not on
the midline are the right side, 248..467 the left side, in the same order."""
