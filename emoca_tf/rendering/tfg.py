"""The renderer's geometry through TensorFlow Graphics: its ``Framebuffer``, barycentrics, interpolation and normals.

The triangle ids come from our rasteriser (the operation inside the TensorFlow Graphics wheel does not load), all that
carries gradient from TensorFlow Graphics 2021.12.3. It is slower than the fused kernels and is their independent check;
choose it with ``Renderer(..., backend="tfg")``. The rule ``edge / (area + 1e-8)`` holds here too; what differs is the
rounding: TensorFlow Graphics forms weights from determinants of whole coordinates in float32, not of differences. On
the golden head at 224 x 224 pictures agree within 1e-4 and gradients within 2e-3 of their largest entry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from emoca_tf.rendering.normals import EPSILON
from emoca_tf.rendering.rasterizer import AREA_EPSILON, Fragments, covering

if TYPE_CHECKING:
    from tensorflow_graphics.rendering.framebuffer import Framebuffer


def framebuffer(ids: tf.Tensor, weights: tf.Tensor, corners: np.ndarray) -> Framebuffer:
    """A TensorFlow Graphics ``Framebuffer``.

    Args:
        ids: ``[B, H, W]`` int32, -1 where empty.
        weights: ``[B, H, W, 3]`` barycentric weights.
        corners: ``[F, 3]`` what the corners of a triangle index: the vertices, or rows of per-corner attributes.
    """
    from tensorflow_graphics.rendering.framebuffer import Framebuffer, RasterizedAttribute

    safe_ids = tf.maximum(ids, 0)  # its background is triangle 0 outside the mask
    return Framebuffer(
        barycentrics=RasterizedAttribute(value=weights),
        triangle_id=safe_ids[..., None],
        vertex_ids=tf.gather(tf.constant(corners), safe_ids),
        foreground_mask=tf.cast(ids >= 0, weights.dtype)[..., None],
    )


def rasterize(points: tf.Tensor, faces: np.ndarray, size: tuple[int, int]) -> Fragments:
    """Like :func:`emoca_tf.rendering.rasterizer.rasterize`, weights by ``differentiable_barycentrics``.

    Theirs are ``edge / area``; ours are ``edge / (area + 1e-8)``, so theirs times ``area / (area + 1e-8)``.
    """
    from tensorflow_graphics.rendering.barycentrics import differentiable_barycentrics

    points = tf.convert_to_tensor(points, tf.float32)
    faces = np.ascontiguousarray(faces, np.int32)
    ids = covering(points, faces, size)
    # Triangles with NaN cover nothing, but their NaN would reach the gradient of triangle 0, the background's.
    points = tf.where(tf.math.is_finite(points), points, tf.zeros_like(points))
    empty = framebuffer(ids, tf.zeros([*tf.unstack(tf.shape(ids)), 3]), faces)
    clip_space = tf.concat([points, tf.ones_like(points[..., :1])], -1)
    exact = differentiable_barycentrics(empty, clip_space, faces).barycentrics.value
    a, b, c = tf.unstack(tf.gather(points[..., :2], faces, axis=1), axis=2)
    area = (c[..., 0] - a[..., 0]) * (b[..., 1] - a[..., 1]) - (c[..., 1] - a[..., 1]) * (b[..., 0] - a[..., 0])
    factor = tf.math.divide_no_nan(area, area + AREA_EPSILON)
    weights = exact * tf.gather(factor, empty.triangle_id[..., 0], batch_dims=1)[..., None]
    return Fragments(ids, tf.ensure_shape(weights, [points.shape[0], *size, 3]), faces)


def interpolate(attributes: tf.Tensor, fragments: Fragments) -> tf.Tensor:
    """Vertex attributes ``[B, V, C]`` -> ``[B, H, W, C]``, zero where empty."""
    from tensorflow_graphics.rendering.interpolate import interpolate_vertex_attribute

    return interpolate_vertex_attribute(attributes, fragments.framebuffer()).value


def interpolate_corners(attributes: np.ndarray, fragments: Fragments) -> tf.Tensor:
    """Constant per-corner attributes ``[F, 3, C]`` -> ``[B, H, W, C]``, zero where empty."""
    from tensorflow_graphics.rendering.interpolate import interpolate_vertex_attribute

    flat = tf.constant(attributes.reshape(-1, attributes.shape[-1]), tf.float32)
    corners = np.arange(flat.shape[0], dtype=np.int32).reshape(-1, 3)
    buffer = framebuffer(fragments.triangle_id, fragments.weights, corners)
    found = interpolate_vertex_attribute(flat, buffer).value
    return tf.ensure_shape(found, [*fragments.triangle_id.shape, attributes.shape[-1]])


def vertex_normals(vertices: tf.Tensor, faces: np.ndarray) -> tf.Tensor:
    """Like :func:`emoca_tf.rendering.normals.vertex_normals`, from TensorFlow Graphics' face normals.

    Its own ``vertex_normals`` is not used: it needs a static batch, and its gradient is NaN at a vertex without face.
    """
    from tensorflow_graphics.geometry.representation.mesh import normals

    vertices = tf.convert_to_tensor(vertices, tf.float32)
    shape = tf.shape(vertices)
    offsets = tf.range(shape[0])[:, None, None] * shape[1]
    indices = tf.reshape(tf.constant(faces, tf.int32) + offsets, (-1, 3))  # the batch as one mesh
    corners = normals.gather_faces(tf.reshape(vertices, (-1, 3)), indices)
    by_face = normals.face_normals(corners, clockwise=True, normalize=False)
    total = tf.add_n([tf.math.unsorted_segment_sum(by_face, indices[:, k], shape[0] * shape[1]) for k in range(3)])
    squared = tf.reduce_sum(total**2, -1, keepdims=True)
    unit = total * tf.math.rsqrt(tf.maximum(squared, EPSILON**2))
    return tf.ensure_shape(tf.reshape(unit, shape), vertices.shape)
