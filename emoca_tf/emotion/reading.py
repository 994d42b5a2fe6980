"""An emotion that was read: class probabilities, valence and arousal, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FROM_CODES = "read-out of the codes"
FROM_PICTURE = "emotion network on the picture"


@dataclass(frozen=True)
class Emotion:
    """What emotion a face shows.

    Attributes:
        expression: class -> probability; they add up to 1.
        valence: -1..1, unpleasant to pleasant.
        arousal: -1..1, calm to excited.
        source: :data:`FROM_CODES` or :data:`FROM_PICTURE`.
        derived: valence and arousal follow from the class probabilities
            (:mod:`emoca_tf.emotion.circumplex`); no network was trained on measured ones.
    """

    expression: Mapping[str, float]
    valence: float
    arousal: float
    source: str
    derived: bool

    @property
    def label(self) -> str:
        """The likeliest class."""
        return max(self.expression, key=lambda name: self.expression[name])

    def __str__(self) -> str:
        return f"{self.label} {self.expression[self.label]:.2f}"

    def to_json(self) -> dict[str, Any]:
        """For ``capture.json`` and the ``extras`` of a GLB."""
        return {
            "expression": dict(self.expression),
            "valence": self.valence,
            "arousal": self.arousal,
            "valence_arousal": "derived from the class probabilities" if self.derived else "learnt from measured ones",
            "source": self.source,
        }
