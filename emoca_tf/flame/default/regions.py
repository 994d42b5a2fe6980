"""Named vertex regions from the rig's muscle bones and simple geometry."""

from __future__ import annotations

import numpy as np

from emoca_tf.flame.default.source import Source
from emoca_tf.flame.default.topology import PARTS, Topology


def bone_weight(source: Source, top: Topology, names: tuple[str, ...]) -> np.ndarray:
    """Summed rig weight ``[V]`` of bones whose names start with one of ``names``."""
    w = np.zeros(len(source.points))
    for name, rows in source.bones.items():
        if name.startswith(names):
            for i, value in rows:
                w[i] += value
    return top.blend @ w


def masks(
    source: Source, top: Topology, rest: np.ndarray, eyes: np.ndarray, mouth: np.ndarray
) -> dict[str, np.ndarray]:
    """Region name to vertex indices. ``eyes [2, 3]`` are the centres, ``mouth [3]`` the middle of the lips."""
    skin = top.part == 0
    x, y, z = rest.T
    eye_y, eye_z = eyes[:, 1].mean(), eyes[:, 2].mean()
    lids = np.zeros(len(rest), bool)
    for k in range(2):
        d = (rest - eyes[k]) / [0.020, 0.013, 1]
        lids |= skin & ((d[:, :2] ** 2).sum(1) < 1) & (z > eyes[k, 2] - 0.004)
    ellipse = ((x - mouth[0]) / 0.028) ** 2 + ((y - mouth[1]) / 0.0115) ** 2
    lips = skin & (ellipse < 1) & (z > mouth[2] - 0.022)
    arch = eye_y + 0.020 - 4.0 * (np.abs(x) - 0.034) ** 2
    brows = skin & (np.abs(x) > 0.011) & (np.abs(x) < 0.054) & (np.abs(y - arch) < 0.006) & (z > eye_z - 0.015)
    brows &= ~lids
    face = skin & (z > eye_z - 0.055) & (y > mouth[1] - 0.055) & (y < eye_y + 0.065)
    neck = skin & (y < mouth[1] - 0.035) & ~face
    scalp = skin & (y > eye_y - 0.03) & ~face & (np.abs(x) < 0.2)
    out = {"face": face, "lips": lips, "eyelids": lids, "brows": brows, "scalp": scalp, "neck": neck}
    named = {"left_eyeball": (1,), "right_eyeball": (2,), "eyeballs": (1, 2), "teeth": (3, 4), "tongue": (5,)}
    out |= {name: np.isin(top.part, parts) for name, parts in named.items()}
    assert len(PARTS) == 6
    return {name: np.flatnonzero(rows).astype(np.int32) for name, rows in out.items()}
