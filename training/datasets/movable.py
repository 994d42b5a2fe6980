"""Finished crops with known codes -> pictures that may be moved, tilted and mirrored: only the expression stays known.

A warp falsifies the true camera, rotation, light and, mirrored, the identity; expression and jaw it leaves alone, but
for left and right. An expression encoder that sees every render moved anew does not learn them by heart as soon.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emoca_tf.errors import UserError
from emoca_tf.faces.crop import CROP_SIZE
from emoca_tf.flame.head import HeadModel
from training.datasets.crops import CODES
from training.datasets.source import Labels, Source
from training.datasets.taught import mirrored_axes

AUGMENT_SHARE = 0.4
"""How much of an augmentation these pictures get: their framing and their camera's faults vary by themselves."""
_MIRRORED = np.array([1, -1, -1] * 2, np.float32)  # the components of two axis-angles under the mirroring of x


class Movable:
    """A source of finished crops as photographs whose expression and jaw are known.

    Args:
        source: finished crops with true ``exp`` and ``pose``.
        head: gives the axes that change sides.

    Raises:
        UserError: there are no such pictures, the head's axes have no sides, or it has another number of them.
    """

    def __init__(self, source: Source, head: HeadModel) -> None:
        if "mouthSmileLeft" not in head.expression_names:
            raise UserError(f"head '{head.name}' has no ARKit axes; known=expression cannot mirror its expressions")
        first = source.example(0, np.random.default_rng(0)) if len(source) else {}
        faces = {"image", "landmarks_mp", "exp", "pose"} <= first.keys() and len(first["image"]) == CROP_SIZE
        if not faces:
            raise UserError("known=expression needs rendered faces with true codes; give rendered:FILE")
        if first["exp"].shape != (head.n_exp,):
            raise UserError(f"head '{head.name}' has {head.n_exp} expression axes, the pictures {len(first['exp'])}")
        self.source, self.mirror = source, mirrored_axes(head.expression_names)
        self.ids: Sequence[str] = source.ids
        self.labels: Labels = source.labels
        self.persons: np.ndarray | None = source.persons

    def __len__(self) -> int:
        return len(self.source)

    def example(self, index: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """As :meth:`~training.datasets.source.Source.example` describes a photograph."""
        given = self.source.example(index, rng)
        pose = given["pose"].copy()
        pose[:3] = np.nan
        unknown = {name: np.full_like(given[name], np.nan) for name in CODES if name in given}
        return unknown | {
            "image": given["image"],
            "mask": given["mask"],
            "landmarks": _pixels(given["landmarks_mp"]),
            "landmarks68": _pixels(given["landmarks68"]),
            "framed": np.array(True),
            "augment_share": np.float32(AUGMENT_SHARE),
            "exp": given["exp"],
            "exp_mirrored": given["exp"][self.mirror],
            "pose": pose,
            "pose_mirrored": pose * _MIRRORED,
        }


def _pixels(points: np.ndarray) -> np.ndarray:
    """-1..1 -> crop pixels; the validity stays."""
    half = np.float32(CROP_SIZE / 2)
    return np.concatenate([points[:, :2] * half + half, points[:, 2:]], 1)
