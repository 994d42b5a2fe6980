"""Z-buffer rasteriser: which triangle covers each pixel (numba), and differentiable weights on top (TensorFlow).

PyTorch3D's rules (spec section 3.1): a pixel belongs to a triangle when all weights of its centre are > 0, the smallest
z wins, both sides are drawn, triangles of doubled NDC area <= 1e-8 are skipped. Weights are ``edge / (area + 1e-8)``,
which is what makes pictures and gradients equal to the original's. TensorFlow Graphics gives the result its type
(``Framebuffer``); the weights are our own because theirs lack the 1e-8.
"""

from __future__ import annotations

import math

import numba
import numpy as np
import tensorflow as tf
from tensorflow_graphics.rendering.framebuffer import Framebuffer, RasterizedAttribute

AREA_EPSILON = 1e-8
DEPTH_OFFSET = 10.0  # the original moves the head in front of the camera by this much


@numba.njit(cache=True, nogil=True)
def _fill(points: np.ndarray, faces: np.ndarray, ids: np.ndarray, depth: np.ndarray) -> None:
    """Draw one image: ``points`` [V, 3], ``faces`` [F, 3] into ``ids`` (-1 = empty) and ``depth`` (inf = empty)."""
    height, width = ids.shape
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ax, ay, az = float(points[a, 0]), float(points[a, 1]), float(points[a, 2]) + DEPTH_OFFSET
        bx, by, bz = float(points[b, 0]), float(points[b, 1]), float(points[b, 2]) + DEPTH_OFFSET
        cx, cy, cz = float(points[c, 0]), float(points[c, 1]), float(points[c, 2]) + DEPTH_OFFSET
        area = (cx - ax) * (by - ay) - (cy - ay) * (bx - ax)
        if not (math.isfinite(area) and math.isfinite(az + bz + cz)) or abs(area) <= AREA_EPSILON:
            continue
        if max(az, bz, cz) < 0:
            continue
        # Pixel centres are at (2j + 1) / width - 1.
        first_column = math.ceil(max((min(ax, bx, cx) + 1) * width / 2 - 0.5, 0.0))
        last_column = math.floor(min((max(ax, bx, cx) + 1) * width / 2 - 0.5, width - 1.0))
        first_row = math.ceil(max((min(ay, by, cy) + 1) * height / 2 - 0.5, 0.0))
        last_row = math.floor(min((max(ay, by, cy) + 1) * height / 2 - 0.5, height - 1.0))
        for row in range(first_row, last_row + 1):
            y = (2.0 * row + 1.0) / height - 1.0
            for column in range(first_column, last_column + 1):
                x = (2.0 * column + 1.0) / width - 1.0
                w0 = ((x - bx) * (cy - by) - (y - by) * (cx - bx)) / area
                w1 = ((x - cx) * (ay - cy) - (y - cy) * (ax - cx)) / area
                w2 = ((x - ax) * (by - ay) - (y - ay) * (bx - ax)) / area
                if w0 <= 0 or w1 <= 0 or w2 <= 0:
                    continue
                z = w0 * az + w1 * bz + w2 * cz
                if 0 <= z < depth[row, column]:
                    depth[row, column] = z
                    ids[row, column] = f


def triangle_ids(points: np.ndarray, faces: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Rasterise in NumPy: ``points`` [B, V, 3] image space, ``faces`` [F, 3] -> ``[B, H, W]`` int32, -1 where empty."""
    ids = np.full((len(points), *size), -1, np.int32)
    points = np.ascontiguousarray(points, np.float32)
    faces = np.ascontiguousarray(faces, np.int32)
    for image in range(len(points)):
        _fill(points[image], faces, ids[image], np.full(size, np.inf))
    return ids


def _edge(px: tf.Tensor, py: tf.Tensor, ax: tf.Tensor, ay: tf.Tensor, bx: tf.Tensor, by: tf.Tensor) -> tf.Tensor:
    return (px - ax) * (by - ay) - (py - ay) * (bx - ax)


def barycentrics(corners: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Weights of the pixel centres, differentiable in the corners.

    Args:
        corners: ``[B, H, W, 3, >=2]`` image-space corners of the triangle at each pixel.
        size: height and width.

    Returns:
        ``[B, H, W, 3]``; not quite summing to one, see the module's text.
    """
    height, width = size
    x = tf.constant((2 * np.arange(width) + 1) / width - 1, corners.dtype)[None, None, :]
    y = tf.constant((2 * np.arange(height) + 1) / height - 1, corners.dtype)[None, :, None]
    (ax, bx, cx), (ay, by, cy) = (tf.unstack(corners[..., k], axis=-1) for k in (0, 1))
    area = _edge(cx, cy, ax, ay, bx, by) + AREA_EPSILON
    edges = [_edge(x, y, bx, by, cx, cy), _edge(x, y, cx, cy, ax, ay), _edge(x, y, ax, ay, bx, by)]
    return tf.math.divide_no_nan(tf.stack(edges, -1), area[..., None])


def rasterize(points: tf.Tensor, faces: np.ndarray, size: tuple[int, int]) -> Framebuffer:
    """Rasterise projected meshes; works eagerly, in ``tf.function`` and in Keras ``fit``.

    Args:
        points: ``[B, V, 3]`` image space ([-1, 1], y down, smaller z nearer); triangles with NaN are left out.
        faces: ``[F, 3]`` int.
        size: height and width in pixels.

    Returns:
        A TensorFlow Graphics ``Framebuffer``: ``triangle_id``, ``vertex_ids``, ``foreground_mask`` (int32 ids, float
        mask) and ``barycentrics`` ``[B, H, W, 3]``, zero where empty. Only the barycentrics carry a gradient.
    """
    faces = np.asarray(faces, np.int32)
    ids = tf.numpy_function(
        lambda p: triangle_ids(p, faces, size), [tf.stop_gradient(points)], tf.int32, stateful=False
    )
    ids = tf.ensure_shape(ids, [points.shape[0], *size])
    mask = tf.cast(ids >= 0, points.dtype)[..., None]
    safe_ids = tf.maximum(ids, 0)
    vertex_ids = tf.gather(tf.constant(faces), safe_ids)
    corners = tf.gather(points, vertex_ids, batch_dims=1)
    # Empty pixels get a fixed proper triangle, so that bad vertices elsewhere cannot leak in as 0 x NaN.
    spare = tf.constant([[-1.0, -1.0, 0.0], [-1.0, 1.0, 0.0], [1.0, -1.0, 0.0]], points.dtype)
    corners = tf.where(mask[..., None] > 0, corners, spare)
    weights = barycentrics(corners, size) * mask
    return Framebuffer(
        barycentrics=RasterizedAttribute(value=weights),
        triangle_id=safe_ids[..., None],
        vertex_ids=vertex_ids,
        foreground_mask=mask,
    )


def interpolate(attributes: tf.Tensor, buffer: Framebuffer) -> tf.Tensor:
    """Interpolate vertex attributes ``[B, V, C]`` over the covered pixels -> ``[B, H, W, C]``, zero where empty."""
    corners = tf.gather(attributes, buffer.vertex_ids, batch_dims=1)
    corners = tf.where(buffer.foreground_mask[..., None] > 0, corners, tf.zeros_like(corners))
    return tf.reduce_sum(corners * buffer.barycentrics.value[..., None], -2)


def interpolate_corners(attributes: np.ndarray, buffer: Framebuffer) -> tf.Tensor:
    """Interpolate constant per-corner attributes ``[F, 3, C]`` -> ``[B, H, W, C]``, zero where empty."""
    corners = tf.gather(tf.constant(attributes, buffer.barycentrics.value.dtype), buffer.triangle_id[..., 0])
    return tf.reduce_sum(corners * buffer.barycentrics.value[..., None], -2)
