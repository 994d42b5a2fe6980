"""The head's texture layout: the skin unrolled with the face large, eyeballs by angle, the rest in a strip below."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from emoca_tf.flame.default.unwrap import relax

STEPS = 400
HOLE_IMPORTANCE = 1.3  # openings for eyes and mouth keep their size, so lids and lips do not fold over each other
SKIN_BOX = (0.01, 0.25, 0.98, 0.74)  # left, low, width, height
EYE_BOXES = ((0.01, 0.01, 0.215, 0.215), (0.24, 0.01, 0.215, 0.215))
EYE_BACK_BOXES = ((0.64, 0.15, 0.075, 0.075), (0.725, 0.15, 0.075, 0.075))
TEETH_BOXES = ((0.64, 0.01, 0.15, 0.06), (0.64, 0.08, 0.15, 0.06))
TONGUE_BOXES = ((0.815, 0.01, 0.07, 0.215),)
BODY_BOXES = ((0.475, 0.01, 0.15, 0.12), (0.9, 0.01, 0.09, 0.1), (0.9, 0.12, 0.09, 0.1), (0.475, 0.14, 0.15, 0.085))
EYE_POWER = 0.75  # below 1 the iris is larger than its share of the eyeball


def charts(uv_faces: np.ndarray, count: int) -> tuple[int, np.ndarray]:
    """Number of charts and the chart ``[T]`` of each texture vertex."""
    edges = np.concatenate([uv_faces[:, [0, 1]], uv_faces[:, [1, 2]]])
    graph = sparse.coo_matrix((np.ones(len(edges)), edges.T), shape=(count, count))
    return connected_components(graph, directed=False)  # type: ignore[no-any-return]


def importance(points: np.ndarray) -> np.ndarray:
    """Wanted magnification ``[N]`` at points relative to the middle between the eyes (metres)."""
    x, y, z = points.T

    def rise(t: np.ndarray, width: float) -> np.ndarray:
        return 1 / (1 + np.exp(-t / width))

    front = rise(z + 0.04, 0.012)
    value = (0.45 + 0.55 * front) * (1 - 0.45 * rise(-(y + 0.107), 0.01)) * (1 - 0.45 * rise(y - 0.053, 0.01))
    eyes = np.exp(-(((np.abs(x) - 0.029) / 0.02) ** 2 + (y / 0.015) ** 2))
    mouth = np.exp(-((x / 0.025) ** 2 + ((y + 0.063) / 0.014) ** 2))
    return value * (1 + front * (0.5 * eyes + 0.25 * mouth))


def _holes(faces: np.ndarray) -> list[list[int]]:
    """Boundary loops but the longest, each in the order of its triangles."""
    half = {(int(a), int(b)) for tri in faces for a, b in zip(tri, np.roll(tri, -1), strict=True)}
    after = {a: b for a, b in half if (b, a) not in half}
    loops = []
    while after:
        start = min(after)
        loop = [start]
        while (following := after.pop(loop[-1])) != start:
            loop.append(following)
        loops.append(loop)
    return sorted(loops, key=len)[:-1]


def _skin(points: np.ndarray, start: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """The skin's chart ``[T, 2]``, upright; its holes are closed by fans while it relaxes."""
    wanted = importance(points[faces].mean(1))
    places, layout, fans = [points], [start], []
    for k, loop in enumerate(_holes(faces)):
        places.append(points[loop].mean(0)[None])
        layout.append(start[loop].mean(0)[None])
        fans += [[loop[i], loop[i - 1], len(points) + k] for i in range(len(loop))]
    flat, closing = np.concatenate(layout), np.array(fans)
    a, b, c = (flat[closing[:, i]] for i in range(3))
    closing = closing[np.linalg.det(np.stack([b - a, c - a], 1)) > 0]  # some corners do not see the hole's middle
    weights = np.concatenate([wanted, np.full(len(closing), HOLE_IMPORTANCE)])
    return relax(np.concatenate(places), flat, np.concatenate([faces, closing]), weights, STEPS)[: len(points)]


def _eye(points: np.ndarray, centre: np.ndarray, sign: float) -> np.ndarray:
    """Azimuthal layout of one half of an eyeball; ``sign`` 1 looks along z, -1 backwards."""
    ray = points - centre
    across = np.linalg.norm(ray[:, :2], axis=1)
    angle = np.arctan2(across, sign * ray[:, 2])
    return ray[:, :2] * [sign, 1] * (angle**EYE_POWER / np.maximum(across, 1e-12))[:, None]


def _fit(layout: np.ndarray, box: tuple[float, float, float, float], stretch: bool = False) -> np.ndarray:
    """The layout in the middle of a box; it keeps its proportions unless ``stretch``."""
    low, high = layout.min(0), layout.max(0)
    scale = np.array(box[2:]) / np.maximum(high - low, 1e-9)
    if not stretch:
        scale[:] = scale.min()
    return (layout - (low + high) / 2) * scale + np.array(box[:2]) + np.array(box[2:]) / 2


def lay_out(uv: np.ndarray, uv_faces: np.ndarray, points: np.ndarray, part: np.ndarray) -> np.ndarray:
    """New texture coordinates ``[T, 2]`` in 0..1, v up.

    Args:
        uv: ``[T, 2]`` the source figure's layout.
        uv_faces: ``[F, 3]``.
        points: ``[T, 3]`` place in space of every texture vertex (metres).
        part: ``[T]`` index into ``PARTS`` of every texture vertex.
    """
    count, chart = charts(uv_faces, len(uv))
    out = np.zeros_like(uv)
    eyes = np.array([(points[part == k].min(0) + points[part == k].max(0)) / 2 for k in (1, 2)])
    taken = dict.fromkeys(range(6), 0)
    boxes = {0: BODY_BOXES, 3: TEETH_BOXES, 4: TEETH_BOXES[1:], 5: TONGUE_BOXES}
    for c in sorted(range(count), key=lambda c: -int((chart == c).sum())):
        rows = np.flatnonzero(chart == c)
        kind = int(part[rows[0]])
        if kind in (1, 2):
            front = points[rows, 2].mean() > eyes[kind - 1, 2]
            layout = _eye(points[rows], eyes[kind - 1], 1.0 if front else -1.0)
            out[rows] = _fit(layout, (EYE_BOXES if front else EYE_BACK_BOXES)[2 - kind])
        elif kind == 0 and taken[0] == 0:
            local = np.full(len(uv), -1)
            local[rows] = np.arange(len(rows))
            upright = np.stack([uv[rows, 1], -uv[rows, 0]], 1)
            faces = local[uv_faces[chart[uv_faces[:, 0]] == c]]
            out[rows] = _fit(_skin(points[rows] - eyes.mean(0), upright, faces), SKIN_BOX, stretch=True)
            taken[0] = 1
        else:
            slot = taken[kind] - (kind == 0)
            out[rows] = _fit(uv[rows], boxes[kind][slot])
            taken[kind] += 1
    return out
