"""Named vertex regions from the source's groups and targets, simple geometry and landmark outlines."""

from __future__ import annotations

import numpy as np

from emoca_tf.flame.default.outlines import LEFT_BROW, LIPS, RIGHT_BROW, above_hairline, depth_inside, outline
from emoca_tf.flame.default.source import Source
from emoca_tf.flame.default.topology import PARTS, Topology
from emoca_tf.flame.head import LandmarkTable

BROW_MARGIN = 0.0035  # the mesh is coarse under the brows
EAR_SHIFT = 0.001  # metres that the target which turns an ear outwards moves its skin at least


def masks(
    source: Source, top: Topology, rest: np.ndarray, eyes: np.ndarray, mouth: np.ndarray
) -> dict[str, np.ndarray]:
    """Region name to vertex indices. ``eyes [2, 3]`` are the centres, ``mouth [3]`` the middle of the lips.

    Good enough to paint a head that a face detector knows; :func:`refined` makes the regions that are kept.
    """
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


def refined(
    first: dict[str, np.ndarray],
    source: Source,
    top: Topology,
    rest: np.ndarray,
    table: LandmarkTable,
    indices: np.ndarray,
) -> dict[str, np.ndarray]:
    """The kept regions: brows and lips as the landmarks outline them, hair by the hairline, ears by their target."""
    skin = top.part == 0
    ball = rest[first["eyeballs"]]
    eyes = (ball.min(0) + ball.max(0)) / 2
    turned = sum(np.linalg.norm(top.blend @ source.target(f"ears/{side}-ear-wing-incr"), axis=1) for side in "lr")
    ears = skin & (turned > EAR_SHIFT)

    def inside(numbers: tuple[int, ...], margin: float) -> np.ndarray:
        return skin & (depth_inside(rest, outline(rest, top.f, table, indices, numbers)) > -margin)

    def flags(name: str) -> np.ndarray:
        out = np.zeros(len(rest), bool)
        out[first[name]] = True
        return out

    scalp = skin & (above_hairline(rest - eyes) > 0) & ~ears
    brows = (inside(RIGHT_BROW, BROW_MARGIN) | inside(LEFT_BROW, BROW_MARGIN)) & ~flags("eyelids")
    kept = {
        "face": flags("face") & ~scalp & ~ears,
        "lips": inside(LIPS, 0.0),
        "brows": brows,
        "scalp": scalp,
        "ears": ears,
        "neck": flags("neck") & ~scalp & ~ears,
    }
    return first | {name: np.flatnonzero(rows).astype(np.int32) for name, rows in kept.items()}
