"""What synthetic faces do when they feel something: expression axes, jaw, valence and arousal of the eight classes.

The classes' movements and their ranges are :data:`emoca_tf.flame.prototypes.PROTOTYPES`; here they are drawn at random.
Valence and arousal of a class at full strength lie where the circumplex model puts them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emoca_tf.emotion.circumplex import CIRCUMPLEX
from emoca_tf.flame.prototypes import JAW, PROTOTYPES, Action
from training.datasets.source import EXPRESSIONS, UNKNOWN, Labels

MAX_JAW = 0.36
ASYMMETRY = 0.12
IDLE_ACTIONS, IDLE_STRENGTH, BLINK = 5, 0.16, 0.06

FREE_BLINK, FREE_ONE_SIDED, FREE_JAW = 0.25, 0.4, 0.4


def sample_labels(count: int, seed: Sequence[int]) -> tuple[Labels, np.ndarray]:
    """Classes, valence and arousal, and the strength (0.35..1, ``[N]``) that valence and arousal grow with.

    The labels of image ``i`` do not depend on ``count``.
    """
    classes, strengths, scatter = (np.random.default_rng((*seed, k)) for k in range(3))
    expression = (classes.random(count) * len(EXPRESSIONS)).astype(np.int32)
    strength = strengths.uniform(0.35, 1.0, count).astype(np.float32)
    centre = np.array([CIRCUMPLEX[name] for name in EXPRESSIONS], np.float32)[expression]
    scattered = centre * strength[:, None] + scatter.normal(0, 0.05, (count, 2)).astype(np.float32)
    valence, arousal = np.clip(scattered, -1, 1).T
    return Labels(expression, np.ascontiguousarray(valence), np.ascontiguousarray(arousal)), strength


class Performer:
    """Turns a class and a strength into expression coefficients of one head.

    Args:
        axis_names: the head's expression axes. Of a head without ARKit's names (official FLAME) coefficients are drawn
            from a normal distribution and no class is known.
    """

    def __init__(self, axis_names: Sequence[str]) -> None:
        self.place = {name: i for i, name in enumerate(axis_names)}
        self.knows_emotions = "mouthSmileLeft" in self.place and "browInnerUp" in self.place

    def perform(self, expression: int, strength: float, rng: np.random.Generator) -> tuple[np.ndarray, float]:
        """``[E]`` coefficients and the jaw's opening in radians; without a class, any movements at all."""
        if not self.knows_emotions:
            return rng.normal(0, 0.8, len(self.place)).astype(np.float32), float(rng.uniform(0, 0.15))
        coefficients = np.zeros(len(self.place), np.float32)
        jaw = self._idle(coefficients, rng)
        if expression == UNKNOWN:
            return coefficients, min(jaw + self._free(coefficients, rng), MAX_JAW)
        variants = PROTOTYPES[EXPRESSIONS[expression]]
        side = rng.choice(("Left", "Right"))
        for action in variants[int(rng.integers(len(variants)))]:
            amount = strength * rng.uniform(action.low, action.high) * (rng.random() < action.probability)
            if action.axis == JAW:
                jaw += amount
                continue
            for name in self._axes(action, str(side)):
                drawn = amount * (1 + ASYMMETRY * rng.normal())
                coefficients[self.place[name]] = max(coefficients[self.place[name]], min(max(drawn, 0.0), 1.0))
        return coefficients, min(jaw, MAX_JAW)

    def _free(self, coefficients: np.ndarray, rng: np.random.Generator) -> float:
        """Some axes, of one side or both, anywhere in their range; eyes and jaw more often than chance has it."""
        stems = sorted({name.removesuffix("Left").removesuffix("Right") for name in self.place})
        chosen = [str(stem) for stem in rng.choice(stems, min(int(rng.integers(2, 9)), len(stems)), replace=False)]
        for stem in chosen + ["eyeBlink"] * int(rng.random() < FREE_BLINK):
            lone = rng.random() < FREE_ONE_SIDED
            side = str(rng.choice(("Left", "Right")))
            for name in self._axes(Action(stem, 0, 1, one_sided=bool(lone)), side):
                coefficients[self.place[name]] = rng.uniform(0.1, 1)
        return float(rng.uniform(0, MAX_JAW) * (rng.random() < FREE_JAW))

    def _axes(self, action: Action, side: str) -> list[str]:
        if action.axis in self.place:
            return [action.axis]
        sides = (side,) if action.one_sided else ("Left", "Right")
        return [action.axis + s for s in sides if action.axis + s in self.place]

    def _idle(self, coefficients: np.ndarray, rng: np.random.Generator) -> float:
        """Small movements that mean nothing, and now and then a blink."""
        some = rng.choice(len(coefficients), min(IDLE_ACTIONS, len(coefficients)), replace=False)
        coefficients[some] = rng.uniform(0, IDLE_STRENGTH, len(some))
        if rng.random() < BLINK:
            closed = rng.uniform(0.5, 1)
            for name in ("eyeBlinkLeft", "eyeBlinkRight"):
                if name in self.place:
                    coefficients[self.place[name]] = closed
        return float(rng.uniform(0, 0.02))
