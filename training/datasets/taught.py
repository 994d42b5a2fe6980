"""Photographs with codes that a teacher believes in: MediaPipe's blendshapes, and what a label says is to be seen.

A blendshape network is quiet: it calls nearly every frown, sneer and pressed mouth zero, and neutral faces a little
squinting. Its values are therefore stretched, axis by axis, from their median over neutral faces to their largest. What
it misses altogether (most sadness, anger and disgust) the label adds: at least ``label_strength`` times the prototype
of the class (:mod:`emoca_tf.flame.expressions`). Single labels are often wrong; a network that learns such targets by
least squares gives their mean, the prototypes weighed by how likely each class is for such a face.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from emoca_tf.capture.morphs import JAW_OPEN
from emoca_tf.errors import UserError
from emoca_tf.flame.expressions import expression_codes
from emoca_tf.flame.head import HeadModel
from emoca_tf.io.npz import read_npz
from training.datasets.source import EXPRESSIONS, Labels, Source

BLENDSHAPES = (
    "_neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff",
    "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight",
    "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight",
    "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen", "jawRight",
    "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel",
    "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker",
    "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft",
    "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "noseSneerLeft", "noseSneerRight",
)  # fmt: skip
"""MediaPipe's 52 outputs in their order."""
PROTOTYPES = {"happy": "smile", "sad": "sad", "surprise": "surprise", "fear": "fear", "disgust": "disgust",
              "anger": "angry"}  # fmt: skip
TEACHERS = {"blendshapes": 0.6, "blendshapes-alone": 0.0}
"""What a recipe may call for -> how much of a label's prototype is seen at least."""
MOST_GAIN = 3.0
LARGEST = 99.5  # percentile that counts as an axis at its full range


class Taught:
    """A source whose examples carry ``teacher_exp [E]`` and ``teacher_jaw [1]``, NaN where no face was found.

    Args:
        source: photographs.
        blendshapes: ``[N, 52]`` of the same photographs in their order, NaN where no face was found.
        head: gives the axes; blendshapes and axes bear the same names.
        label_strength: of the prototypes.

    Raises:
        UserError: other rows than the source has, or a head without ARKit's axes.
    """

    def __init__(
        self, source: Source, blendshapes: np.ndarray, head: HeadModel, label_strength: float = TEACHERS["blendshapes"]
    ) -> None:
        if blendshapes.shape != (len(source), len(BLENDSHAPES)):
            raise UserError(
                f"{blendshapes.shape} blendshapes for {len(source)} pictures; expected {len(BLENDSHAPES)} for each"
            )
        self.source, self.ids, self.labels, self.persons = source, source.ids, source.labels, source.persons
        exp, jaw = taught_codes(blendshapes, source.labels, head, label_strength)
        self.exp, self.jaw = exp, jaw
        self.mirror = mirrored_axes(head.expression_names)

    @classmethod
    def beside(
        cls, source: Source, path: Path, head: HeadModel, label_strength: float = TEACHERS["blendshapes"]
    ) -> Taught:
        """With the blendshapes beside ``NAME.npz`` or ``NAME_jpeg.npz``: ``NAME_blendshapes[_pose].npz``.

        Raises:
            UserError: there are none, or not of these pictures.
        """
        stem = path.name.removesuffix(".npz").removesuffix("_jpeg")
        for name in (f"{stem}_blendshapes.npz", f"{stem}_blendshapes_pose.npz"):
            if (path.parent / name).is_file():
                stored = read_npz(path.parent / name)
                break
        else:
            raise UserError(f"teacher=blendshapes: {path.parent} holds no {stem}_blendshapes.npz")
        rows = {str(identity): row for row, identity in enumerate(stored["id"])}
        unknown = [identity for identity in source.ids if identity not in rows]
        if unknown:
            raise UserError(f"{path.parent / name} has no blendshapes of {unknown[0]} and {len(unknown) - 1} others")
        chosen = np.array([rows[identity] for identity in source.ids])
        return cls(source, stored["blendshapes"][chosen].astype(np.float32), head, label_strength)

    def __len__(self) -> int:
        return len(self.source)

    def example(self, index: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return self.source.example(index, rng) | {
            "teacher_exp": self.exp[index],
            "teacher_exp_mirrored": self.exp[index][self.mirror],
            "teacher_jaw": self.jaw[index],
        }


def mirrored_axes(names: Sequence[str]) -> np.ndarray:
    """``[E]`` which axis takes an axis's place in the mirrored picture."""
    place = {name: i for i, name in enumerate(names)}

    def partner(name: str) -> str:
        if "Left" in name:
            return name.replace("Left", "Right")
        return name.replace("Right", "Left")

    return np.array([place.get(partner(name), i) for i, name in enumerate(names)])


def taught_codes(
    blendshapes: np.ndarray, labels: Labels, head: HeadModel, label_strength: float
) -> tuple[np.ndarray, np.ndarray]:
    """``[N, E]`` expression and ``[N, 1]`` jaw opening (radians); see the module."""
    place = {name: i for i, name in enumerate(head.expression_names)}
    if "mouthSmileLeft" not in place:
        raise UserError(f"head '{head.name}' has no ARKit axes; blendshapes cannot teach it")
    stretched = _stretched(blendshapes, labels)
    exp = np.zeros((len(blendshapes), head.n_exp), np.float32)
    exp[np.isnan(blendshapes[:, 0])] = np.nan
    for column, name in enumerate(BLENDSHAPES):
        if name in place:
            exp[:, place[name]] = stretched[:, column]
    jaw = blendshapes[:, BLENDSHAPES.index("jawOpen"), None] * JAW_OPEN
    for name, prototype in PROTOTYPES.items():
        codes = expression_codes(head, prototype)
        rows = labels.expression == EXPRESSIONS.index(name)
        exp[rows] = np.maximum(exp[rows], label_strength * codes["exp"])
        jaw[rows] = np.maximum(jaw[rows], label_strength * codes["pose"][:, 3:4])
    return exp, jaw.astype(np.float32)


def _stretched(blendshapes: np.ndarray, labels: Labels) -> np.ndarray:
    """0 at the median of neutral faces (of all, without labels), 1 at the largest values, at most a gain of 3."""
    neutral = labels.expression == EXPRESSIONS.index("neutral")
    rest = np.nanmedian(blendshapes[neutral] if neutral.any() else blendshapes, 0)
    rest[BLENDSHAPES.index("eyeBlinkLeft")] = rest[BLENDSHAPES.index("eyeBlinkRight")] = 0.1
    span = np.maximum(np.nanpercentile(blendshapes, LARGEST, 0) - rest, 1 / MOST_GAIN)
    return np.clip((blendshapes - rest) / span, 0, 1).astype(np.float32)
