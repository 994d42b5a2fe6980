"""The head's triangles: the source figure cut by a plane at the neck, with its own UV layout.

Each head vertex is a fixed blend of at most two source points, so any source shape can be carried over.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from emoca_tf.flame.default.layout import lay_out
from emoca_tf.flame.default.source import Source

PARTS = ("body", "helper-l-eye", "helper-r-eye", "helper-upper-teeth", "helper-lower-teeth", "helper-tongue")
SNAP = 0.3  # a kept vertex this close (share of the edge) to the plane is moved onto it: no slivers


@dataclass
class Topology:
    """``blend [V, N]`` source points to vertices, triangles, UVs, ``part [V]`` index into PARTS, ``ring`` vertices."""

    blend: sparse.csr_matrix
    f: np.ndarray
    uv: np.ndarray
    uv_faces: np.ndarray
    part: np.ndarray
    ring: np.ndarray


def _triangles(faces: list[tuple[list[int], list[int]]]) -> list[list[tuple[int, int]]]:
    out = []
    for v, t in faces:
        corners = list(zip(v, t, strict=True))
        out += [[corners[0], corners[i], corners[i + 1]] for i in range(1, len(corners) - 1)]
    return out


def _cut(source: Source, triangles: list, plane: tuple[np.ndarray, float]) -> tuple[list, dict]:
    """Clip triangles to the side ``points·normal > offset``; keys ``(a, b)`` are edge crossings, ``(a, a)`` points."""
    side = source.points @ plane[0] - plane[1]
    moved: dict[int, int] = {}
    best: dict[int, float] = {}
    for tri in triangles:
        for (a, _), (b, _) in zip(tri, tri[1:] + tri[:1], strict=True):
            for p, q in ((a, b), (b, a)):
                if side[p] > 0 >= side[q]:
                    t = side[p] / (side[p] - side[q])
                    if t < min(SNAP, best.get(p, 9.0)):
                        best[p], moved[p] = t, q
    share: dict[tuple, float] = {}

    def corner(p: int, tp: int) -> tuple:
        if p in moved:
            share[(p, moved[p])] = best[p]
            return ((p, moved[p]), (tp, tp, 0.0))
        return ((p, p), (tp, tp, 0.0))

    out = []
    for tri in triangles:
        polygon = []
        for (a, ta), (b, tb) in zip(tri, tri[1:] + tri[:1], strict=True):
            if side[a] > 0:
                polygon.append(corner(a, ta))
            if (side[a] > 0) != (side[b] > 0):
                p, tp, q, tq = (a, ta, b, tb) if side[a] > 0 else (b, tb, a, ta)
                if p in moved:
                    polygon.append(corner(p, tp))
                else:
                    t = side[p] / (side[p] - side[q])
                    share[(p, q)] = t
                    polygon.append(((p, q), (tp, tq, t)))
        unique = [c for i, c in enumerate(polygon) if c[0] != polygon[i - 1][0]]
        out += [[unique[0], unique[i], unique[i + 1]] for i in range(1, len(unique) - 1)]
    return out, share


def build(source: Source, plane: tuple[np.ndarray, float]) -> Topology:
    """Cut the head off the figure and number its vertices and texture vertices."""
    index: dict[tuple, int] = {}
    uv_index: dict[tuple, int] = {}
    part, triangles, uv_triangles = [], [], []
    share: dict[tuple, float] = {}
    for number, name in enumerate(PARTS):
        cut, new = _cut(source, _triangles(source.groups[name]), plane)
        share |= new
        for tri in cut:
            if len({key for key, _ in tri}) < 3:
                continue
            for key, _ in tri:
                if key not in index:
                    index[key] = len(index)
                    part.append(number)
            triangles.append([index[key] for key, _ in tri])
            uv_triangles.append([uv_index.setdefault(t, len(uv_index)) for _, t in tri])
    rows, columns, values = [], [], []
    for (p, q), row in index.items():
        t = share.get((p, q), 0.0)
        rows += [row, row]
        columns += [p, q]
        values += [1.0 - t, t]
    blend = sparse.csr_matrix((values, (rows, columns)), shape=(len(index), len(source.points)))
    uv = np.array([source.uv[a] * (1 - t) + source.uv[b] * t for a, b, t in uv_index])
    faces = np.array(triangles)
    uv_faces = np.array(uv_triangles)
    points, parts = blend @ source.points, np.array(part)
    vertex = np.zeros(len(uv), int)
    vertex[uv_faces] = faces
    layout = lay_out(uv, uv_faces, points[vertex], parts[vertex])
    on_plane = np.abs(points @ plane[0] - plane[1]) < 1e-9
    return Topology(blend, faces, layout, uv_faces, parts, np.flatnonzero(on_plane))
