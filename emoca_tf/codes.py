"""The named parameter vector that every encoder writes and every decoder reads.

Order and sizes are DECA's (``DECA:decalib/utils/config.py`` param_list): the 236 outputs of ``E_flame``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

COARSE_SIZES: dict[str, int] = {"shape": 100, "tex": 50, "exp": 50, "pose": 6, "cam": 3, "light": 27}
"""Group name -> size, in the order of the coarse encoder's output vector (sum 236)."""

UNITS: dict[str, str] = {
    "shape": "identity coefficients (standard deviations)",
    "tex": "albedo coefficients (standard deviations)",
    "exp": "expression coefficients (see the head's axis names)",
    "pose": "axis-angle radians: global rotation 0:3, jaw 3:6",
    "cam": "weak perspective: scale, tx, ty; image = scale * (x + t)",
    "light": "9 spherical-harmonics bands x RGB",
    "neck_pose": "axis-angle radians",
    "eye_pose": "axis-angle radians: left eye 0:3, right eye 3:6",
    "eyelid": "left, right closure in 0..1",
}


_VECTORS = {
    "pose": ("global", "jaw"),
    "neck_pose": ("neck",),
    "eye_pose": ("left_eye", "right_eye"),
}
_FIXED: dict[str, tuple[str, ...]] = {
    "cam": ("scale", "tx", "ty"),
    "light": ("1", "x", "y", "z", "xy", "xz", "yz", "x2-y2", "3z2-1"),
    "eyelid": ("left", "right"),
}


def axis_names(group: str, size: int) -> list[str]:
    """Names of a group's ``size`` axes; coefficients without meaning of their own are numbered.

    The axes of ``exp`` belong to the head: :attr:`emoca_tf.flame.head.HeadModel.expression_names`.
    """
    if group in _VECTORS:
        return [f"{joint}_{axis}" for joint in _VECTORS[group] for axis in "xyz"]
    return list(_FIXED.get(group, ())) or [f"{group}_{i:03d}" for i in range(size)]


def even_light(batch: int) -> np.ndarray:
    """``[batch, 9, 3]`` spherical harmonics of the constant band alone: shading is 1 everywhere."""
    light = np.zeros((batch, 9, 3), np.float32)
    light[:, 0] = 1 / 0.2820948
    return light


@dataclass(frozen=True)
class Codes:
    """One row per face of every parameter group; arrays (NumPy or TensorFlow) share the leading batch axis.

    Attributes:
        shape: ``[B, S]`` identity coefficients.
        tex: ``[B, 50]`` albedo coefficients.
        exp: ``[B, E]`` expression coefficients.
        pose: ``[B, 6]`` axis-angle radians, global rotation then jaw.
        cam: ``[B, 3]`` scale, tx, ty of the weak-perspective camera.
        light: ``[B, 9, 3]`` spherical-harmonics bands x RGB.
        neck_pose: ``[B, 3]`` axis-angle radians, or None for the rest pose (as in DECA and EMOCA).
        eye_pose: ``[B, 6]`` axis-angle radians, left then right, or None for the rest pose.
        eyelid: ``[B, 2]`` SMIRK's eyelid closures (left, right), or None.
    """

    shape: Any
    tex: Any
    exp: Any
    pose: Any
    cam: Any
    light: Any
    neck_pose: Any = None
    eye_pose: Any = None
    eyelid: Any = None

    @property
    def batch_size(self) -> int:
        return int(self.pose.shape[0])

    def to_dict(self) -> dict[str, Any]:
        """The groups that are present, by name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}

    def numpy(self) -> Codes:
        """The same codes as NumPy float32 arrays."""
        return Codes(**{k: np.asarray(v, np.float32) for k, v in self.to_dict().items()})

    def row(self, index: int) -> Codes:
        """Codes of one face, still with a batch axis of 1."""
        return Codes(**{k: v[index : index + 1] for k, v in self.to_dict().items()})

    def replace(self, **groups: Any) -> Codes:
        """A copy with some groups exchanged."""
        return replace(self, **groups)

    def vector(self) -> np.ndarray:
        """``[B, 236]`` in the coarse encoder's order (the optional groups are not part of it)."""
        batch = self.batch_size
        return np.concatenate([np.asarray(getattr(self, k), np.float32).reshape(batch, -1) for k in COARSE_SIZES], 1)


def split(vector: Any, sizes: Mapping[str, int] = COARSE_SIZES) -> Codes:
    """Cut an encoder output into named groups.

    Args:
        vector: ``[B, sum(sizes)]``, NumPy or TensorFlow.
        sizes: group name -> size in order; the default is DECA's ``E_flame``.

    Returns:
        The codes, with ``light`` reshaped to ``[B, 9, 3]``.

    Raises:
        ValueError: if the last axis does not have ``sum(sizes)`` columns.
    """
    total = sum(sizes.values())
    if len(vector.shape) != 2 or vector.shape[1] != total:
        raise ValueError(f"expected codes of shape [B, {total}] for {dict(sizes)}, received {tuple(vector.shape)}")
    groups, start = {}, 0
    for name, size in sizes.items():
        groups[name] = vector[:, start : start + size]
        start += size
    light = groups["light"]
    if isinstance(light, np.ndarray):
        groups["light"] = light.reshape(-1, 9, 3)
    else:
        import tensorflow as tf

        groups["light"] = tf.reshape(light, (-1, 9, 3))
    return Codes(**groups)
