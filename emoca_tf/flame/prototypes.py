"""Emotional expressions as movements of the default head: the one table that named expressions and synthetic faces use.

Actions follow the action units of the Facial Action Coding System's prototypes (Ekman, Friesen and Hager 2002: happy
6+12, sad 1+4+15, surprise 1+2+5+26, fear 1+2+4+5+20, disgust 9+10, anger 4+5+7+23, contempt R/L 12+14) in ARKit's axis
names.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Action:
    """One movement of an expression.

    Attributes:
        axis: an axis, the stem of a Left/Right pair of axes, or :data:`JAW`.
        low: least coefficient 0..1 (of the jaw: radians) at full strength.
        high: greatest one.
        probability: how often the movement takes part.
        one_sided: whether one side alone moves.
        typical: the coefficient in the expression's portrait; 0 leaves it out.
    """

    axis: str
    low: float
    high: float
    probability: float = 1.0
    one_sided: bool = False
    typical: float = 0.0


JAW = "jaw"  # not an axis: the jaw joint's angle, radians

_A = Action
PROTOTYPES: dict[str, tuple[tuple[Action, ...], ...]] = {
    "neutral": ((),),
    "happy": (
        (
            _A("mouthSmile", 0.5, 1.0),
            _A("cheekSquint", 0.2, 0.8),
            _A("eyeSquint", 0.1, 0.5),
            _A(JAW, 0.0, 0.03),
        ),
        (
            _A("mouthSmile", 0.6, 1.0, typical=1.0),
            _A("cheekSquint", 0.4, 1.0, typical=0.7),
            _A("eyeSquint", 0.2, 0.7, typical=0.3),
            _A("mouthUpperUp", 0.1, 0.5, typical=0.2),
            _A(JAW, 0.06, 0.2),
            _A("mouthDimple", 0.0, 0.3, 0.5),
        ),
    ),
    "sad": (
        (
            _A("browInnerUp", 0.5, 1.0, typical=0.9),
            _A("browDown", 0.0, 0.3, typical=0.2),
            _A("mouthFrown", 0.5, 1.0, typical=0.8),
            _A("mouthShrugLower", 0.1, 0.6, 0.7, typical=0.4),
            _A("eyeSquint", 0.0, 0.4, typical=0.2),
            _A("eyeBlink", 0.1, 0.4, 0.6, typical=0.2),
            _A("mouthRollLower", 0.0, 0.3, 0.3),
        ),
    ),
    "surprise": (
        (
            _A("browInnerUp", 0.6, 1.0, typical=0.9),
            _A("browOuterUp", 0.6, 1.0, typical=0.9),
            _A("eyeWide", 0.5, 1.0, typical=0.8),
            _A(JAW, 0.12, 0.36, typical=0.26),
            _A("mouthFunnel", 0.0, 0.35, 0.5, typical=0.15),
        ),
    ),
    "fear": (
        (
            _A("browInnerUp", 0.6, 1.0, typical=0.9),
            _A("browOuterUp", 0.2, 0.6, typical=0.3),
            _A("browDown", 0.1, 0.45, typical=0.4),
            _A("eyeWide", 0.6, 1.0, typical=0.9),
            _A("mouthStretch", 0.4, 1.0, typical=0.7),
            _A("mouthLowerDown", 0.1, 0.5, 0.6, typical=0.3),
            _A(JAW, 0.0, 0.16, typical=0.07),
        ),
    ),
    "disgust": (
        (
            _A("noseSneer", 0.6, 1.0, typical=0.9),
            _A("mouthUpperUp", 0.4, 0.9, typical=0.6),
            _A("browDown", 0.3, 0.8, typical=0.6),
            _A("cheekSquint", 0.2, 0.6, typical=0.4),
            _A("eyeSquint", 0.2, 0.6, typical=0.4),
            _A("mouthFrown", 0.1, 0.5, 0.5, typical=0.3),
            _A(JAW, 0.0, 0.1, 0.4, typical=0.02),
        ),
    ),
    "anger": (
        (
            _A("browDown", 0.7, 1.0, typical=1.0),
            _A("eyeSquint", 0.2, 0.6, typical=0.3),
            _A("noseSneer", 0.0, 0.5, 0.6, typical=0.4),
            _A("mouthPress", 0.4, 1.0, typical=0.7),
            _A("mouthFrown", 0.1, 0.5, 0.6, typical=0.4),
            _A("jawForward", 0.0, 0.4, 0.4),
        ),
        (
            _A("browDown", 0.7, 1.0),
            _A("eyeWide", 0.1, 0.5, 0.6),
            _A("noseSneer", 0.3, 0.8),
            _A("mouthUpperUp", 0.2, 0.6),
            _A("mouthLowerDown", 0.3, 0.8),
            _A("mouthStretch", 0.1, 0.5),
            _A(JAW, 0.03, 0.2),
        ),
    ),
    "contempt": (
        (
            _A("mouthSmile", 0.35, 0.8, one_sided=True),
            _A("mouthDimple", 0.4, 1.0, one_sided=True),
            _A("eyeSquint", 0.1, 0.4, 0.6),
            _A("browOuterUp", 0.2, 0.6, 0.4, one_sided=True),
        ),
    ),
}
"""Class -> variants -> actions."""


def portrait(name: str, variant: int = 0) -> dict[str, float]:
    """Axis (or :data:`JAW`) -> typical coefficient of a class."""
    return {action.axis: action.typical for action in PROTOTYPES[name][variant] if action.typical}
