"""Named expressions of the default head: ARKit axes, jaw opening and gaze.

Emotional ones are portraits of :mod:`emoca_tf.flame.prototypes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from emoca_tf.errors import UserError
from emoca_tf.flame.head import HeadModel
from emoca_tf.flame.prototypes import JAW, portrait


@dataclass(frozen=True)
class Expression:
    """One expression.

    Attributes:
        weights: axis -> coefficient 0..1; a name without ``Left``/``Right`` means both sides.
        jaw: opening of the jaw joint about x (radians).
        gaze: turn of both eyes (radians): down, then to the person's left.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    jaw: float = 0.0
    gaze: tuple[float, float] = (0.0, 0.0)


_WINK = {
    "eyeBlinkLeft": 1.0,
    "cheekSquintLeft": 0.6,
    "mouthSmileLeft": 0.6,
    "mouthSmileRight": 0.3,
    "browDownLeft": 0.2,
}


def _posed(portrait: Mapping[str, float], gaze: tuple[float, float] = (0.0, 0.0), **changes: float) -> Expression:
    """A portrait of a prototype as an expression, with coefficients (or the jaw) that differ in it."""
    weights = dict(portrait) | changes
    return Expression(weights, weights.pop(JAW, 0.0), gaze)


EXPRESSIONS: dict[str, Expression] = {
    "neutral": Expression(),
    "smile": _posed(portrait("happy", variant=1), jaw=0.05),
    "sad": _posed(portrait("sad"), gaze=(0.12, 0.0)),
    "angry": _posed(portrait("anger"), eyeWide=0.3),
    "surprise": _posed(portrait("surprise")),
    "fear": _posed(portrait("fear")),
    "disgust": _posed(portrait("disgust")),
    "wink": Expression(_WINK),
    "jaw": Expression(jaw=0.34),
}
"""Name -> expression, in the order of the contact sheet."""


def expression_codes(head: HeadModel, name: str) -> dict[str, np.ndarray]:
    """One named expression as codes of a head.

    Args:
        head: a head whose axes carry ARKit's names.
        name: a key of :data:`EXPRESSIONS`.

    Returns:
        ``exp [1, E]``, ``pose [1, 6]`` and ``eye_pose [1, 6]``, float32.

    Raises:
        UserError: for an unknown name, or a head that lacks one of the axes.
    """
    if name not in EXPRESSIONS:
        raise UserError(f"no expression is named '{name}'; there are {', '.join(EXPRESSIONS)}")
    expression = EXPRESSIONS[name]
    place = {axis: i for i, axis in enumerate(head.expression_names)}
    exp = np.zeros((1, head.n_exp), np.float32)
    for axis, weight in expression.weights.items():
        rows = [place[known] for known in (axis, f"{axis}Left", f"{axis}Right") if known in place]
        if not rows:
            raise UserError(f"head '{head.name}' has no expression axis '{axis}'; '{name}' needs ARKit's axis names")
        exp[:, rows] = weight
    pose = np.zeros((1, 6), np.float32)
    pose[:, 3] = expression.jaw
    return {"exp": exp, "pose": pose, "eye_pose": np.array([[*expression.gaze, 0, *expression.gaze, 0]], np.float32)}
