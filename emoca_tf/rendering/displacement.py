"""Displacement maps in UV space: finer normals, their shading, and a dense mesh.

Sources: DECA:decalib/deca.py (displacement2normal, decode), DECA:decalib/utils/util.py (upsample_mesh),
emoca:gdl/models/DECA.py (spec section 2.5). A UV raster is constant, so a lookup is one gather and a weighted sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

MARGINS = (2, 5)  # first column and row of the normal grid, in pixels
NORMAL_EPSILON = 1e-6
VISIBLE_Z = -0.05


def to_uv(attributes: tf.Tensor, vertex_ids: Any, weights: Any) -> tf.Tensor:
    """Interpolate vertex attributes into UV space (``world2uv`` of the original).

    Args:
        attributes: ``[B, V, C]``.
        vertex_ids: ``[H, W, 3]`` int, the corners of the triangle at each texel.
        weights: ``[H, W, 3]`` barycentric weights, zero where the texel is empty.

    Returns:
        ``[B, H, W, C]``; zero where the texel is empty.
    """
    corners = tf.gather(attributes, tf.constant(vertex_ids, tf.int32), axis=1)
    return tf.reduce_sum(corners * tf.constant(weights, attributes.dtype)[..., None], axis=-2)


def grid_faces(size: int = 256, margins: tuple[int, int] = MARGINS) -> np.ndarray:
    """Triangles over a ``size x size`` map, ``[F, 3]`` int32 texel numbers ``size * row + column``.

    Two triangles a cell, ``(i, i + size, i + 1)`` and ``(i + 1, i + size, i + size + 1)``; margins are kept free at
    both ends. 256 gives DECA's 122,990 triangles in its order.
    """
    columns, rows = (np.arange(margin, size - margin - 1) for margin in margins)
    i = (columns[:, None] + size * rows[None]).ravel()
    return np.stack([i, i + size, i + 1, i + 1, i + size, i + size + 1], 1).reshape(-1, 3).astype(np.int32)


def grid_normals(positions: tf.Tensor, margins: tuple[int, int] = MARGINS) -> tf.Tensor:
    """Area-weighted unit normals of the grid surface of :func:`grid_faces`, by shifted differences instead of a mesh.

    Args:
        positions: ``[B, H, W, 3]``.
        margins: free columns and rows at each side; the normal is zero where no triangle reaches.

    Returns:
        ``[B, H, W, 3]``.
    """
    column, row = margins
    inner = positions[:, row:-row, column:-column]
    here, right = inner[:, :-1, :-1], inner[:, :-1, 1:]
    below, across = inner[:, 1:, :-1], inner[:, 1:, 1:]
    upper = tf.linalg.cross(below - here, right - here)
    lower = tf.linalg.cross(below - right, across - right)
    # Corner -> triangles that touch it; the sign follows DECA's vertex order (0, 2, 1) of each cell.
    total = tf.add_n(
        [
            tf.pad(upper, [[0, 0], [0, 1], [0, 1], [0, 0]]),
            tf.pad(upper + lower, [[0, 0], [0, 1], [1, 0], [0, 0]]),
            tf.pad(upper + lower, [[0, 0], [1, 0], [0, 1], [0, 0]]),
            tf.pad(lower, [[0, 0], [1, 0], [1, 0], [0, 0]]),
        ]
    )
    squared = tf.reduce_sum(total * total, -1, keepdims=True)
    unit = total * tf.math.rsqrt(tf.maximum(squared, NORMAL_EPSILON**2))
    return tf.pad(unit, [[0, 0], [row, row], [column, column], [0, 0]])


def displaced_normals(
    uv_z: tf.Tensor,
    uv_vertices: tf.Tensor,
    uv_normals: tf.Tensor,
    mask: Any,
    fixed_displacement: Any = 0.0,
    composite: bool = True,
) -> tf.Tensor:
    """Normals of the coarse surface moved along its normals (DECA's ``displacement2normal``).

    Args:
        uv_z: ``[B, H, W, 1]`` displacement in metres.
        uv_vertices: ``[B, H, W, 3]`` coarse surface in UV space (:func:`to_uv`), without gradient.
        uv_normals: ``[B, H, W, 3]`` its normals, without gradient.
        mask: ``[H, W]`` or ``[B, H, W, 1]``, 0..1, where detail is allowed (face and eyes).
        fixed_displacement: ``[H, W]`` metres, the constant map that makes the eyes and lips look right.
        composite: coarse normals outside the mask, as in DECA; EMOCA omits this.

    Returns:
        ``[B, H, W, 3]`` unit normals; EMOCA's reading has zeros outside the grid of :func:`grid_faces`.
    """
    uv_vertices, uv_normals = tf.stop_gradient(uv_vertices), tf.stop_gradient(uv_normals)
    mask = _as_map(mask, uv_z.dtype)
    surface = uv_vertices + (uv_z * mask + _as_map(fixed_displacement, uv_z.dtype)) * uv_normals
    normals = grid_normals(surface)
    return normals * mask + uv_normals * (1.0 - mask) if composite else normals


def displacement_map(uv_z: tf.Tensor, fixed_displacement: Any) -> tf.Tensor:
    """What is saved and put on the dense mesh: ``uv_z`` plus the fixed map, ``[B, H, W, 1]`` metres."""
    return uv_z + _as_map(fixed_displacement, uv_z.dtype)


def detail_shading(normals: tf.Tensor, light: tf.Tensor) -> tf.Tensor:
    """Spherical-harmonics shading of a normal map ``[B, H, W, 3]``; the light ``[B, 9, 3]`` gets no gradient."""
    from emoca_tf.rendering.shading import spherical_harmonics

    return spherical_harmonics(normals, tf.stop_gradient(light))


def detail_image(albedo: tf.Tensor, uv_shading: tf.Tensor, grid: tf.Tensor) -> tf.Tensor:
    """The picture with detail: albedo (no gradient) times shading, looked up at the coarse picture's UV grid.

    Args:
        albedo: ``[B, H, W, 3]``.
        uv_shading: ``[B, H, W, 3]``, see :func:`detail_shading`.
        grid: ``[B, S, S, 2]`` of the renderer, no gradient.

    Returns:
        ``[B, S, S, 3]``. As in the original nothing is masked: multiply by the renderer's alpha for a black background.
    """
    from emoca_tf.rendering.texture import sample

    return sample(tf.stop_gradient(albedo) * uv_shading, tf.stop_gradient(grid))


def photo_texture(
    image: tf.Tensor,
    mask: tf.Tensor,
    uv_points: tf.Tensor,
    uv_point_normals: tf.Tensor,
    uv_mask: Any,
) -> tuple[tf.Tensor, tf.Tensor]:
    """The photo unwrapped into UV space and where it is trustworthy; no gradient.

    Args:
        image: ``[B, S, S, 3]`` the crop.
        mask: ``[B, S, S, 1]`` 0..1, what of the crop is face.
        uv_points: ``[B, H, W, 3]`` projected vertices in UV space (image space, y down).
        uv_point_normals: ``[B, H, W, 3]`` normals of the projected mesh.
        uv_mask: ``[H, W]`` 0..1.

    Returns:
        Texture ``[B, H, W, 3]`` and visibility ``[B, H, W, 1]``.
    """
    from emoca_tf.rendering.texture import sample

    both = sample(tf.concat([image, mask], -1), uv_points[..., :2])
    facing = tf.cast(uv_point_normals[..., 2:] < VISIBLE_Z, image.dtype)
    return tf.stop_gradient(both[..., :3]), tf.stop_gradient(both[..., 3:] * facing * _as_map(uv_mask, image.dtype))


@dataclass(frozen=True)
class DenseTemplate:
    """A mesh with one vertex per covered texel.

    Attributes:
        texels: ``[N]`` texel number ``size * row + column`` of each dense vertex.
        corners: ``[N, 3]`` the coarse vertices around it.
        weights: ``[N, 3]`` their barycentric weights.
        faces: ``[F, 3]`` triangles of dense vertices.
    """

    texels: np.ndarray
    corners: np.ndarray
    weights: np.ndarray
    faces: np.ndarray


def dense_template(vertex_ids: np.ndarray, weights: np.ndarray) -> DenseTemplate:
    """A template from a UV raster (arguments as in :func:`to_uv`): the grid triangles whose corners are all covered."""
    size = vertex_ids.shape[0]
    covered = np.flatnonzero(np.asarray(weights).sum(-1).ravel() > 0)
    number = np.full(size * size, -1, np.int32)
    number[covered] = np.arange(len(covered), dtype=np.int32)
    faces = number[grid_faces(size, margins=(0, 0))]
    return DenseTemplate(
        covered,
        vertex_ids.reshape(-1, 3)[covered],
        weights.reshape(-1, 3)[covered],
        faces[(faces >= 0).all(1)],
    )


def upsample_mesh(
    vertices: np.ndarray, normals: np.ndarray, displacement: np.ndarray, template: DenseTemplate
) -> tuple[np.ndarray, np.ndarray]:
    """A dense mesh with the displacement in its shape (DECA's ``upsample_mesh``).

    Args:
        vertices: ``[V, 3]`` coarse vertices.
        normals: ``[V, 3]`` their unit normals.
        displacement: ``[H, W]`` or ``[H, W, 1]`` metres, see :func:`displacement_map`.
        template: dense vertices on the coarse mesh.

    Returns:
        Dense vertices ``[N, 3]`` and faces ``[F, 3]``.
    """
    weights = template.weights[..., None]
    points = (np.asarray(vertices)[template.corners] * weights).sum(1)
    directions = (np.asarray(normals)[template.corners] * weights).sum(1)
    directions /= np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), NORMAL_EPSILON)
    return points + np.asarray(displacement).reshape(-1, 1)[template.texels] * directions, template.faces


def _as_map(value: Any, dtype: tf.DType) -> tf.Tensor:
    """A scalar, ``[H, W]`` or ``[B, H, W, 1]`` value that broadcasts against ``[B, H, W, C]``."""
    tensor = tf.cast(tf.convert_to_tensor(value), dtype)
    return tensor[None, ..., None] if tensor.shape.rank == 2 else tensor
