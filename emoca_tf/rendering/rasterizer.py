"""Z-buffer rasteriser: which triangle covers each pixel, and differentiable weights and interpolation on top.

PyTorch3D's rules (spec section 3.1): a pixel belongs to a triangle when all weights of its centre are > 0, the smallest
z wins, both sides are drawn, triangles of doubled NDC area <= 1e-8 are skipped. Weights are ``edge / (area + 1e-8)``,
which is what makes pictures and gradients equal to the original's. :mod:`emoca_tf.rendering.tfg` has the same functions
through TensorFlow Graphics.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import tensorflow as tf

from emoca_tf.rendering.parallel import band_count, check_batch, check_faces, differentiable, kernel, over_bands

if TYPE_CHECKING:
    from tensorflow_graphics.rendering.framebuffer import Framebuffer

AREA_EPSILON = 1e-8
DEPTH_OFFSET = 10.0  # the original moves the head in front of the camera by this much


class Fragments(NamedTuple):
    """What covers each pixel.

    Attributes:
        triangle_id: ``[B, H, W]`` int32, -1 where empty.
        weights: ``[B, H, W, 3]`` of the triangle's corners, zero where empty; they carry the gradient to the points.
        faces: ``[F, 3]`` int32.
    """

    triangle_id: tf.Tensor
    weights: tf.Tensor
    faces: np.ndarray

    @property
    def mask(self) -> tf.Tensor:
        """``[B, H, W, 1]`` 1 where covered; no gradient."""
        return tf.cast(self.triangle_id >= 0, self.weights.dtype)[..., None]

    def framebuffer(self) -> Framebuffer:
        """The same as a TensorFlow Graphics ``Framebuffer``, for its shaders (needs tensorflow-graphics)."""
        from emoca_tf.rendering.tfg import framebuffer

        return framebuffer(self.triangle_id, self.weights, self.faces)


@kernel
def _fill(  # type: ignore[no-untyped-def]
    image, band, first_row, end_row, points, faces, ids
) -> None:
    """Z-buffer rows ``first_row:end_row`` of ``ids`` [B, H, W]; ``points`` [B, V, 3], ``faces`` [F, 3]."""
    height, width = ids.shape[1:]
    depth = np.full((end_row - first_row, width), np.inf)
    centres = (2.0 * np.arange(width) + 1.0) / width - 1.0
    points = points[image]
    ids = ids[image]
    ids[first_row:end_row] = -1
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ay, by, cy = float(points[a, 1]), float(points[b, 1]), float(points[c, 1])
        # Pixel centres are at (2j + 1) / width - 1. A comparison with NaN is false, so such a triangle is skipped.
        low = max((min(ay, by, cy) + 1) * height / 2 - 0.5, float(first_row))
        high = min((max(ay, by, cy) + 1) * height / 2 - 0.5, end_row - 1.0)
        if not low <= high:
            continue
        ax, bx, cx = float(points[a, 0]), float(points[b, 0]), float(points[c, 0])
        left = max((min(ax, bx, cx) + 1) * width / 2 - 0.5, 0.0)
        right = min((max(ax, bx, cx) + 1) * width / 2 - 0.5, width - 1.0)
        if not left <= right:
            continue
        start_row, stop_row = math.ceil(low), math.floor(high)
        start, stop = math.ceil(left), math.floor(right)
        if start_row > stop_row or start > stop:
            continue
        az, bz, cz = (
            float(points[a, 2]) + DEPTH_OFFSET,
            float(points[b, 2]) + DEPTH_OFFSET,
            float(points[c, 2]) + DEPTH_OFFSET,
        )
        area = (cx - ax) * (by - ay) - (cy - ay) * (bx - ax)
        if not (math.isfinite(area) and math.isfinite(az + bz + cz)) or abs(area) <= AREA_EPSILON:
            continue
        if max(az, bz, cz) < 0:
            continue
        scale = 1.0 / area
        step0, step1, step2 = (cy - by) * scale, (ay - cy) * scale, (by - ay) * scale
        for row in range(start_row, stop_row + 1):
            y = (2.0 * row + 1.0) / height - 1.0
            base0 = (y - by) * (cx - bx) * scale
            base1 = (y - cy) * (ax - cx) * scale
            base2 = (y - ay) * (bx - ax) * scale
            for column in range(start, stop + 1):
                x = centres[column]
                w0 = (x - bx) * step0 - base0
                w1 = (x - cx) * step1 - base1
                w2 = (x - ax) * step2 - base2
                if w0 > 0 and w1 > 0 and w2 > 0:
                    z = w0 * az + w1 * bz + w2 * cz
                    if 0 <= z < depth[row - first_row, column]:
                        depth[row - first_row, column] = z
                        ids[row, column] = f


@kernel
def pixel_centre(index, size):  # type: ignore[no-untyped-def]
    """Image-space coordinate of a row or column, float32."""
    return (np.float32(2) * np.float32(index) + np.float32(1)) / np.float32(size) - np.float32(1)


@kernel
def corner_weights(x, y, a, b, c):  # type: ignore[no-untyped-def]
    """``edge / (area + 1e-8)`` of three corners, and that divisor; float32, in PyTorch3D's order of operations."""
    divisor = (c[0] - a[0]) * (b[1] - a[1]) - (c[1] - a[1]) * (b[0] - a[0]) + np.float32(AREA_EPSILON)
    if abs(divisor) < np.float32(AREA_EPSILON / 2):  # an area just below -1e-8: keep the weights bounded
        divisor = np.float32(-AREA_EPSILON / 2)
    w0 = ((x - b[0]) * (c[1] - b[1]) - (y - b[1]) * (c[0] - b[0])) / divisor
    w1 = ((x - c[0]) * (a[1] - c[1]) - (y - c[1]) * (a[0] - c[0])) / divisor
    w2 = ((x - a[0]) * (b[1] - a[1]) - (y - a[1]) * (b[0] - a[0])) / divisor
    return w0, w1, w2, divisor


@kernel
def corner_weights_backward(x, y, points, corners, w, divisor, g, out) -> None:  # type: ignore[no-untyped-def]
    """Add the gradient by the corners to ``out`` [V, 3]; ``g`` [3] is the gradient by the weights ``w`` [3]."""
    i, j, k = corners[0], corners[1], corners[2]
    a, b, c = points[i], points[j], points[k]
    g0, g1, g2 = g[0] / divisor, g[1] / divisor, g[2] / divisor
    ga = -(g0 * w[0] + g1 * w[1] + g2 * w[2])
    # d edge(p; u, v): by u (py - vy, vx - px), by v (uy - py, px - ux), by p (vy - uy, ux - vx).
    out[i, 0] += g1 * (c[1] - y) + g2 * (y - b[1]) + ga * (c[1] - b[1])
    out[i, 1] += g1 * (x - c[0]) + g2 * (b[0] - x) + ga * (b[0] - c[0])
    out[j, 0] += g0 * (y - c[1]) + g2 * (a[1] - y) + ga * (a[1] - c[1])
    out[j, 1] += g0 * (c[0] - x) + g2 * (x - a[0]) + ga * (c[0] - a[0])
    out[k, 0] += g0 * (b[1] - y) + g1 * (y - a[1]) + ga * (b[1] - a[1])
    out[k, 1] += g0 * (x - b[0]) + g1 * (a[0] - x) + ga * (a[0] - b[0])


@kernel
def _weigh(  # type: ignore[no-untyped-def]
    image, band, first_row, end_row, points, faces, ids, weights
) -> None:
    """:func:`corner_weights` at every covered pixel, zero elsewhere."""
    height, width = ids.shape[1:]
    p = points[image]
    for row in range(first_row, end_row):
        y = pixel_centre(row, height)
        for column in range(width):
            f = ids[image, row, column]
            w = weights[image, row, column]
            if f < 0:
                w[:] = 0
                continue
            x = pixel_centre(column, width)
            w[0], w[1], w[2], _ = corner_weights(x, y, p[faces[f, 0]], p[faces[f, 1]], p[faces[f, 2]])


@kernel
def _weigh_backward(  # type: ignore[no-untyped-def]
    image, band, first_row, end_row, points, faces, ids, upstream, gradient
) -> None:
    """Add the band's part of the gradient to ``gradient`` [B, bands, V, 3]."""
    height, width = ids.shape[1:]
    p, w = points[image], np.zeros(3, np.float32)
    for row in range(first_row, end_row):
        y = pixel_centre(row, height)
        for column in range(width):
            f = ids[image, row, column]
            g = upstream[image, row, column]
            if f < 0 or (g[0] == 0 and g[1] == 0 and g[2] == 0):
                continue
            x = pixel_centre(column, width)
            w[0], w[1], w[2], divisor = corner_weights(x, y, p[faces[f, 0]], p[faces[f, 1]], p[faces[f, 2]])
            corner_weights_backward(x, y, p, faces[f], w, divisor, g, gradient[image, band])


@kernel
def _blend(  # type: ignore[no-untyped-def]
    image, band, first_row, end_row, values, corners, ids, weights, out
) -> None:
    """``out`` [B, H, W, C] = weighted corner values; ``values`` [B or 1, N, C], ``corners`` [F, 3] rows of values."""
    source = values[min(image, values.shape[0] - 1)]
    for row in range(first_row, end_row):
        for column in range(ids.shape[2]):
            f = ids[image, row, column]
            pixel = out[image, row, column]
            if f < 0:
                pixel[:] = 0
                continue
            w = weights[image, row, column]
            a, b, c = source[corners[f, 0]], source[corners[f, 1]], source[corners[f, 2]]
            for channel in range(pixel.shape[0]):
                pixel[channel] = a[channel] * w[0] + b[channel] * w[1] + c[channel] * w[2]


@kernel
def _blend_backward(  # type: ignore[no-untyped-def]
    image, band, first_row, end_row, values, corners, ids, weights, upstream, by_values, by_weights
) -> None:
    """Gradients of :func:`_blend`: ``by_values`` [B, bands, N, C] (no bands: not asked for), ``by_weights``."""
    source = values[min(image, values.shape[0] - 1)]
    wanted = by_values.shape[1] > 0
    for row in range(first_row, end_row):
        for column in range(ids.shape[2]):
            f = ids[image, row, column]
            if f < 0:
                continue
            g = upstream[image, row, column]
            w, out = weights[image, row, column], by_weights[image, row, column]
            for corner in range(3):
                vertex = corners[f, corner]
                total = np.float32(0)
                for channel in range(g.shape[0]):
                    total += g[channel] * source[vertex, channel]
                    if wanted:
                        by_values[image, band, vertex, channel] += g[channel] * w[corner]
                out[corner] = total


def triangle_ids(points: np.ndarray, faces: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Rasterise in NumPy: ``points`` [B, V, 3] image space, ``faces`` [F, 3] -> ``[B, H, W]`` int32, -1 where empty.

    Raises:
        ValueError: if a triangle points outside the vertices.
    """
    points, faces = np.ascontiguousarray(points, np.float32), np.ascontiguousarray(faces, np.int32)
    check_faces(faces, points.shape[1])
    ids = np.empty((len(points), *size), np.int32)
    over_bands(_fill, len(points), size[0], points, faces, ids)
    return ids


def covering(points: tf.Tensor, faces: np.ndarray, size: tuple[int, int]) -> tf.Tensor:
    """:func:`triangle_ids` as a TensorFlow operation without gradient, ``[B, H, W]`` int32."""
    ids = tf.numpy_function(
        lambda p: triangle_ids(p, faces, size), [tf.stop_gradient(points)], tf.int32, stateful=False
    )
    return tf.ensure_shape(ids, [points.shape[0], *size])


def rasterize(points: tf.Tensor, faces: np.ndarray, size: tuple[int, int]) -> Fragments:
    """Rasterise projected meshes; works eagerly, in ``tf.function`` and in Keras ``fit``.

    Args:
        points: ``[B, V, 3]`` image space ([-1, 1], y down, smaller z nearer); triangles with NaN are left out.
        faces: ``[F, 3]`` int.
        size: height and width in pixels.
    """
    points = tf.convert_to_tensor(points, tf.float32)
    faces = np.ascontiguousarray(faces, np.int32)
    ids = covering(points, faces, size)

    def forward(p: np.ndarray, i: np.ndarray) -> list[np.ndarray]:
        weights = np.empty((*i.shape, 3), np.float32)
        over_bands(_weigh, len(p), i.shape[1], p, faces, i, weights)
        return [weights]

    def backward(p: np.ndarray, i: np.ndarray, upstream: np.ndarray) -> list[np.ndarray]:
        gradient = np.zeros((len(p), band_count(len(p), i.shape[1]), *p.shape[1:]), np.float32)
        over_bands(_weigh_backward, len(p), i.shape[1], p, faces, i, upstream, gradient)
        return [gradient.sum(1)]

    (weights,) = differentiable(forward, backward, [points], [[points.shape[0], *size, 3]], [ids])
    return Fragments(ids, weights, faces)


def interpolate(attributes: tf.Tensor, fragments: Fragments) -> tf.Tensor:
    """Interpolate vertex attributes ``[B, V, C]`` over the covered pixels -> ``[B, H, W, C]``, zero where empty."""
    return _interpolate(attributes, fragments.faces, fragments)


def interpolate_corners(attributes: np.ndarray, fragments: Fragments) -> tf.Tensor:
    """Interpolate constant per-corner attributes ``[F, 3, C]`` -> ``[B, H, W, C]``, zero where empty."""
    flat = np.ascontiguousarray(attributes, np.float32).reshape(1, -1, attributes.shape[-1])
    return _interpolate(flat, np.arange(flat.shape[1], dtype=np.int32).reshape(-1, 3), fragments)


def _interpolate(values: tf.Tensor | np.ndarray, corners: np.ndarray, fragments: Fragments) -> tf.Tensor:
    """Blend ``values`` [B, N, C]; a NumPy array ``[1, N, C]`` is constant and costs no gradient."""
    constant = isinstance(values, np.ndarray)
    channels = values.shape[-1]

    def forward(weights: np.ndarray, v: np.ndarray, ids: np.ndarray) -> list[np.ndarray]:
        if not constant:
            check_batch(attributes=v, picture=ids)
        check_faces(corners, v.shape[1])
        out = np.empty((*ids.shape, channels), np.float32)
        over_bands(_blend, len(ids), ids.shape[1], v, corners, ids, weights, out)
        return [out]

    def backward(weights: np.ndarray, v: np.ndarray, ids: np.ndarray, upstream: np.ndarray) -> list[np.ndarray]:
        bands = 0 if constant else band_count(len(ids), ids.shape[1])
        by_values = np.zeros((len(ids), bands, *v.shape[1:]), np.float32)
        by_weights = np.zeros_like(weights)
        over_bands(_blend_backward, len(ids), ids.shape[1], v, corners, ids, weights, upstream, by_values, by_weights)
        return [by_weights] if constant else [by_weights, by_values.sum(1)]

    shape = [*fragments.weights.shape[:3], channels]
    ids = fragments.triangle_id
    if not constant:
        return differentiable(forward, backward, [fragments.weights, values], [shape], [ids])[0]
    return differentiable(
        lambda w, i: forward(w, values, i),
        lambda w, i, g: backward(w, values, i, g),
        [fragments.weights],
        [shape],
        [ids],
    )[0]
