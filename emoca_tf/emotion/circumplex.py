"""Where the eight expressions lie in the plane of valence and arousal.

A convention of ours after the circumplex model (Russell 1980): the order of the classes round the circle is the
model's, the numbers are rounded by hand. They are no measurement; whatever is derived from them is approximate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

CIRCUMPLEX: dict[str, tuple[float, float]] = {
    "neutral": (0.0, 0.0),
    "happy": (0.85, 0.35),
    "sad": (-0.75, -0.35),
    "surprise": (0.25, 0.85),
    "fear": (-0.6, 0.85),
    "disgust": (-0.8, 0.45),
    "anger": (-0.7, 0.75),
    "contempt": (-0.6, 0.3),
}
"""Class -> valence and arousal at full strength, each -1..1."""


def placed(labels: Sequence[str]) -> Any:
    """``[C, 2]`` float32 valence and arousal of classes: probabilities ``[B, C] @ placed(labels)`` are their mean."""
    return np.array([CIRCUMPLEX[label] for label in labels], np.float32)
