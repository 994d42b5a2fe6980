"""Named expressions of the default head: ARKit axes, jaw opening and gaze.

The prototypes follow the action units of the Facial Action Coding System (Ekman, Friesen and Hager 2002): smile
6+12+25, sad 1+4+15, angry 4+5+7+23, surprise 1+2+5+26, fear 1+2+4+5+20+25, disgust 9+10.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from emoca_tf.errors import UserError
from emoca_tf.flame.head import HeadModel


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


_SAD = {
    "browInnerUp": 0.9,
    "browDown": 0.2,
    "mouthFrown": 0.8,
    "mouthShrugLower": 0.4,
    "eyeSquint": 0.2,
    "eyeBlink": 0.2,
}
_ANGRY = {"browDown": 1.0, "eyeSquint": 0.3, "eyeWide": 0.3, "noseSneer": 0.4, "mouthPress": 0.7, "mouthFrown": 0.4}
_FEAR = {
    "browInnerUp": 0.9,
    "browOuterUp": 0.3,
    "browDown": 0.4,
    "eyeWide": 0.9,
    "mouthStretch": 0.7,
    "mouthLowerDown": 0.3,
}
_DISGUST = {
    "noseSneer": 0.9,
    "mouthUpperUp": 0.6,
    "browDown": 0.6,
    "cheekSquint": 0.4,
    "eyeSquint": 0.4,
    "mouthFrown": 0.3,
}
_WINK = {
    "eyeBlinkLeft": 1.0,
    "cheekSquintLeft": 0.6,
    "mouthSmileLeft": 0.6,
    "mouthSmileRight": 0.3,
    "browDownLeft": 0.2,
}
EXPRESSIONS: dict[str, Expression] = {
    "neutral": Expression(),
    "smile": Expression({"mouthSmile": 1.0, "cheekSquint": 0.7, "eyeSquint": 0.3, "mouthUpperUp": 0.2}, jaw=0.05),
    "sad": Expression(_SAD, gaze=(0.12, 0.0)),
    "angry": Expression(_ANGRY),
    "surprise": Expression({"browInnerUp": 0.9, "browOuterUp": 0.9, "eyeWide": 0.8, "mouthFunnel": 0.15}, jaw=0.26),
    "fear": Expression(_FEAR, jaw=0.07),
    "disgust": Expression(_DISGUST, jaw=0.02),
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
