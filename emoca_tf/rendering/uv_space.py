"""Rasterisation of a head in its own UV space: the ``world2uv`` table and default UV masks.

Source: DECA:decalib/utils/renderer.py (world2uv; spec section 2.5). The table is constant for a head.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from emoca_tf.errors import UserError
from emoca_tf.flame.head import HeadModel
from emoca_tf.rendering.rasterizer import AREA_EPSILON, triangle_ids

MASK_REGIONS = ("face", "left_eyeball", "right_eyeball", "eyeballs")


class UvTable(NamedTuple):
    """Triangle (-1 = empty), vertex ids and weights (zero where empty) at each texel: [S, S], [S, S, 3], [S, S, 3]."""

    triangles: np.ndarray
    vertex_ids: np.ndarray
    weights: np.ndarray


def corner_grid(head: HeadModel) -> np.ndarray:
    """Texture coordinates of every triangle corner as sampling grid, ``[F, 3, 2]`` in [-1, 1], y down.

    Raises:
        UserError: if the head has no texture coordinates.
    """
    if head.uv is None or head.uv_faces is None:
        raise UserError(f"head '{head.name}' has no texture coordinates; import it together with its head_template.obj")
    grid = np.asarray(head.uv, np.float32) * 2 - 1
    grid[:, 1] *= -1
    return grid[head.uv_faces]


def uv_table(head: HeadModel, size: int = 256) -> UvTable:
    """Rasterise the head's texture coordinates at ``size x size``; weights as PyTorch3D makes them (trap 19)."""
    corners = corner_grid(head)
    flat = np.concatenate([corners.reshape(-1, 2), np.zeros((corners.shape[0] * 3, 1), np.float32)], 1)
    ids = triangle_ids(flat[None], np.arange(len(flat), dtype=np.int32).reshape(-1, 3), (size, size))[0]
    covered = ids >= 0
    a, b, c = (corners[ids.clip(0), k].astype(np.float64) for k in range(3))
    centres = (2 * np.arange(size) + 1) / size - 1
    p = np.stack(np.meshgrid(centres, centres), -1)

    def edge(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        return (p[..., 0] - u[..., 0]) * (v[..., 1] - u[..., 1]) - (p[..., 1] - u[..., 1]) * (v[..., 0] - u[..., 0])

    edges = np.stack([edge(b, c), edge(c, a), edge(a, b)], -1)
    total = edges.sum(-1, keepdims=True)
    divisor = np.where(np.abs(total + AREA_EPSILON) < AREA_EPSILON / 2, -AREA_EPSILON / 2, total + AREA_EPSILON)
    weights = np.where(covered[..., None], edges / divisor, 0)
    vertex_ids = np.where(covered[..., None], np.asarray(head.f)[ids.clip(0)], 0)
    return UvTable(ids, vertex_ids.astype(np.int32), weights.astype(np.float32))


def face_mask(head: HeadModel, size: int = 256) -> np.ndarray:
    """Texels of the face with the eyeballs, ``[size, size, 1]`` float32 in {0, 1}; everything if no region is named."""
    named = [head.masks[name] for name in MASK_REGIONS if name in head.masks]
    table = uv_table(head, size)
    inside = np.zeros(head.n_vertices, bool)
    if named:
        inside[np.concatenate(named)] = True
    else:
        inside[:] = True
    triangles = inside[np.asarray(head.f)].all(1)
    return ((table.triangles >= 0) & triangles[table.triangles.clip(0)]).astype(np.float32)[..., None]
