"""The picture in one pass over the covered pixels: weights, normal, texture and light at once, with its gradient.

It equals ``albedo x shading x alpha`` put together from :mod:`rasterizer`, :mod:`texture` and :mod:`shading` (a test
holds them together); doing it pixel by pixel spares a dozen picture-sized intermediate tensors in each direction.
"""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from emoca_tf.rendering.parallel import band_count, differentiable, kernel, over_bands
from emoca_tf.rendering.rasterizer import AREA_EPSILON, Fragments
from emoca_tf.rendering.shading import BAND_FACTORS

_ONE = np.float32(1)
_HALF = np.float32(0.5)


@kernel()
def _weights(x, y, a, b, c):  # type: ignore[no-untyped-def]
    """Three weights and the area they were divided by, as in :mod:`rasterizer`."""
    area = (c[0] - a[0]) * (b[1] - a[1]) - (c[1] - a[1]) * (b[0] - a[0]) + np.float32(AREA_EPSILON)
    w0 = ((x - b[0]) * (c[1] - b[1]) - (y - b[1]) * (c[0] - b[0])) / area
    w1 = ((x - c[0]) * (a[1] - c[1]) - (y - c[1]) * (a[0] - c[0])) / area
    w2 = ((x - a[0]) * (b[1] - a[1]) - (y - a[1]) * (b[0] - a[0])) / area
    return w0, w1, w2, area


@kernel()
def _shading(x, y, z, c, colour):  # type: ignore[no-untyped-def]
    """Light of one colour at a normal; ``c`` [9, 3] includes the band factors."""
    linear = c[0, colour] + c[1, colour] * x + c[2, colour] * y + c[3, colour] * z
    mixed = c[4, colour] * x * y + c[5, colour] * x * z + c[6, colour] * y * z
    return linear + mixed + c[7, colour] * (x * x - y * y) + c[8, colour] * (np.float32(3) * z * z - _ONE)


@kernel()
def _texel(u, size):  # type: ignore[no-untyped-def]
    """Texel below a coordinate in [-1, 1], and the fraction above it."""
    x = min(max(((u + _ONE) * np.float32(size) - _ONE) * _HALF, np.float32(-2)), np.float32(size + 1))
    low = math.floor(x)
    return int(low), np.float32(x - low)


@kernel()
def _tap(texture, y, x, colour):  # type: ignore[no-untyped-def]
    """One texel, zero outside."""
    if 0 <= y < texture.shape[0] and 0 <= x < texture.shape[1]:
        return texture[y, x, colour]
    return np.float32(0)


@kernel()
def _draw(  # type: ignore[no-untyped-def]
    image, band, first_row, end_row, points, normals, albedo, light, ids, faces, corner_grid, out
) -> None:
    """``out`` [B, H, W, 3]; an albedo or light of size zero means none."""
    height, width = ids.shape[1:]
    lit, textured = light.shape[1] > 0, albedo.shape[1] > 0
    p, n, texture, c = points[image], normals[image], albedo[image], light[image]
    for row in range(first_row, end_row):
        y = (np.float32(2) * np.float32(row) + _ONE) / np.float32(height) - _ONE
        for column in range(width):
            f = ids[image, row, column]
            pixel = out[image, row, column]
            if f < 0:
                pixel[0], pixel[1], pixel[2] = 0, 0, 0
                continue
            x = (np.float32(2) * np.float32(column) + _ONE) / np.float32(width) - _ONE
            i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
            w0, w1, w2, _ = _weights(x, y, p[i], p[j], p[k])
            pixel[0], pixel[1], pixel[2] = 1, 1, 1
            if lit:
                nx = n[i, 0] * w0 + n[j, 0] * w1 + n[k, 0] * w2
                ny = n[i, 1] * w0 + n[j, 1] * w1 + n[k, 1] * w2
                nz = n[i, 2] * w0 + n[j, 2] * w1 + n[k, 2] * w2
                for colour in range(3):
                    pixel[colour] = _shading(nx, ny, nz, c, colour)
            if textured:
                g = corner_grid[f]
                left, fx = _texel(g[0, 0] * w0 + g[1, 0] * w1 + g[2, 0] * w2, texture.shape[1])
                top, fy = _texel(g[0, 1] * w0 + g[1, 1] * w1 + g[2, 1] * w2, texture.shape[0])
                for colour in range(3):
                    upper = _tap(texture, top, left, colour) * (_ONE - fx) + _tap(texture, top, left + 1, colour) * fx
                    lower = (
                        _tap(texture, top + 1, left, colour) * (_ONE - fx)
                        + _tap(texture, top + 1, left + 1, colour) * fx
                    )
                    pixel[colour] *= upper * (_ONE - fy) + lower * fy


@kernel()
def _add_tap(texture, y, x, colour, value) -> None:  # type: ignore[no-untyped-def]
    if 0 <= y < texture.shape[0] and 0 <= x < texture.shape[1]:
        texture[y, x, colour] += value


@kernel()
def _texture_backward(texture, left, top, fx, fy, by_colour, by_texture):  # type: ignore[no-untyped-def]
    """Scatter the gradient of one pixel's colour into the texture; the gradient by the grid comes back."""
    by_x, by_y = np.float32(0), np.float32(0)
    for colour in range(3):
        t00, t01 = _tap(texture, top, left, colour), _tap(texture, top, left + 1, colour)
        t10, t11 = _tap(texture, top + 1, left, colour), _tap(texture, top + 1, left + 1, colour)
        g = by_colour[colour]
        by_x += g * ((t01 - t00) * (_ONE - fy) + (t11 - t10) * fy)
        by_y += g * ((t10 - t00) * (_ONE - fx) + (t11 - t01) * fx)
        _add_tap(by_texture, top, left, colour, g * (_ONE - fx) * (_ONE - fy))
        _add_tap(by_texture, top, left + 1, colour, g * fx * (_ONE - fy))
        _add_tap(by_texture, top + 1, left, colour, g * (_ONE - fx) * fy)
        _add_tap(by_texture, top + 1, left + 1, colour, g * fx * fy)
    return by_x * _HALF * np.float32(texture.shape[1]), by_y * _HALF * np.float32(texture.shape[0])


@kernel()
def _light_backward(x, y, z, c, g, by_light):  # type: ignore[no-untyped-def]
    """Add one pixel's gradient to ``by_light`` [9, 3]; the gradient by the normal comes back."""
    bx, by, bz = np.float32(0), np.float32(0), np.float32(0)
    two = np.float32(2)
    for colour in range(3):
        s = g[colour]
        by_light[0, colour] += s
        by_light[1, colour] += s * x
        by_light[2, colour] += s * y
        by_light[3, colour] += s * z
        by_light[4, colour] += s * x * y
        by_light[5, colour] += s * x * z
        by_light[6, colour] += s * y * z
        by_light[7, colour] += s * (x * x - y * y)
        by_light[8, colour] += s * (np.float32(3) * z * z - _ONE)
        bx += s * (c[1, colour] + c[4, colour] * y + c[5, colour] * z + two * c[7, colour] * x)
        by += s * (c[2, colour] + c[4, colour] * x + c[6, colour] * z - two * c[7, colour] * y)
        bz += s * (c[3, colour] + c[5, colour] * x + c[6, colour] * y + np.float32(6) * c[8, colour] * z)
    return bx, by, bz


@kernel()
def _points_backward(x, y, a, b, c, area, w, g, out, i, j, k) -> None:  # type: ignore[no-untyped-def]
    """Gradient of the weights by the corners; ``g`` [3] by the weights."""
    g0, g1, g2 = g[0] / area, g[1] / area, g[2] / area
    ga = -(g0 * w[0] + g1 * w[1] + g2 * w[2])
    out[i, 0] += g1 * (c[1] - y) + g2 * (y - b[1]) + ga * (c[1] - b[1])
    out[i, 1] += g1 * (x - c[0]) + g2 * (b[0] - x) + ga * (b[0] - c[0])
    out[j, 0] += g0 * (y - c[1]) + g2 * (a[1] - y) + ga * (a[1] - c[1])
    out[j, 1] += g0 * (c[0] - x) + g2 * (x - a[0]) + ga * (c[0] - a[0])
    out[k, 0] += g0 * (b[1] - y) + g1 * (y - a[1]) + ga * (b[1] - a[1])
    out[k, 1] += g0 * (x - b[0]) + g1 * (a[0] - x) + ga * (a[0] - b[0])


@kernel()
def _draw_backward(  # type: ignore[no-untyped-def]
    image, band, first_row, end_row, points, normals, albedo, light, ids, faces, corner_grid, upstream,
    by_points, by_normals, by_albedo, by_light,
) -> None:  # fmt: skip
    """Add the band's part to the gradients, each ``[B, bands, ...]``."""
    height, width = ids.shape[1:]
    lit, textured = light.shape[1] > 0, albedo.shape[1] > 0
    p, n, texture, c = points[image], normals[image], albedo[image], light[image]
    out_n, out_t = by_normals[image, band], by_albedo[image, band]
    out_c = np.zeros((9, 3), np.float32)
    shade, colours = np.ones(3, np.float32), np.ones(3, np.float32)
    by_weights, w = np.zeros(3, np.float32), np.zeros(3, np.float32)
    for row in range(first_row, end_row):
        y = (np.float32(2) * np.float32(row) + _ONE) / np.float32(height) - _ONE
        for column in range(width):
            f = ids[image, row, column]
            g = upstream[image, row, column]
            if f < 0 or (g[0] == 0 and g[1] == 0 and g[2] == 0):
                continue
            x = (np.float32(2) * np.float32(column) + _ONE) / np.float32(width) - _ONE
            i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
            w[0], w[1], w[2], area = _weights(x, y, p[i], p[j], p[k])
            by_weights[:] = 0
            nx = n[i, 0] * w[0] + n[j, 0] * w[1] + n[k, 0] * w[2]
            ny = n[i, 1] * w[0] + n[j, 1] * w[1] + n[k, 1] * w[2]
            nz = n[i, 2] * w[0] + n[j, 2] * w[1] + n[k, 2] * w[2]
            if lit:
                for colour in range(3):
                    shade[colour] = _shading(nx, ny, nz, c, colour)
            if textured:
                q = corner_grid[f]
                left, fx = _texel(q[0, 0] * w[0] + q[1, 0] * w[1] + q[2, 0] * w[2], texture.shape[1])
                top, fy = _texel(q[0, 1] * w[0] + q[1, 1] * w[1] + q[2, 1] * w[2], texture.shape[0])
                if lit:
                    for colour in range(3):
                        upper = (
                            _tap(texture, top, left, colour) * (_ONE - fx) + _tap(texture, top, left + 1, colour) * fx
                        )
                        lower = (
                            _tap(texture, top + 1, left, colour) * (_ONE - fx)
                            + _tap(texture, top + 1, left + 1, colour) * fx
                        )
                        colours[colour] = (upper * (_ONE - fy) + lower * fy) * g[colour]
                for colour in range(3):
                    shade[colour] *= g[colour]
                bu, bv = _texture_backward(texture, left, top, fx, fy, shade, out_t)
                for corner in range(3):
                    by_weights[corner] += bu * q[corner, 0] + bv * q[corner, 1]
                shade[:] = 1
            else:
                colours[:] = g
            if lit:
                bx, by, bz = _light_backward(nx, ny, nz, c, colours, out_c)
                for corner in range(3):
                    vertex = faces[f, corner]
                    by_weights[corner] += bx * n[vertex, 0] + by * n[vertex, 1] + bz * n[vertex, 2]
                    out_n[vertex, 0] += w[corner] * bx
                    out_n[vertex, 1] += w[corner] * by
                    out_n[vertex, 2] += w[corner] * bz
            _points_backward(x, y, p[i], p[j], p[k], area, w, by_weights, by_points[image, band], i, j, k)
    if lit:
        by_light[image, band] = out_c


def draw(
    points: tf.Tensor,
    normals: tf.Tensor,
    albedo: tf.Tensor | None,
    light: tf.Tensor | None,
    fragments: Fragments,
    corner_grid: np.ndarray,
) -> tf.Tensor:
    """Draw textured, lit meshes on black.

    Args:
        points: ``[B, V, 3]`` image space; the gradient goes through the weights.
        normals: ``[B, V, 3]`` unit, head space.
        albedo: ``[B, h, w, 3]`` or None for white.
        light: ``[B, 9, 3]`` spherical harmonics or None for unlit.
        fragments: of the same points.
        corner_grid: ``[F, 3, 2]`` texture coordinates of the corners as sampling grid.

    Returns:
        ``[B, H, W, 3]``, zero where empty.
    """
    points, normals = tf.convert_to_tensor(points, tf.float32), tf.convert_to_tensor(normals, tf.float32)
    batch = tf.shape(points)[0]
    factors = tf.constant(BAND_FACTORS, tf.float32)[:, None]
    albedo = tf.zeros([batch, 0, 0, 3]) if albedo is None else tf.convert_to_tensor(albedo, tf.float32)
    light = tf.zeros([batch, 0, 3]) if light is None else tf.convert_to_tensor(light, tf.float32) * factors
    faces, corners = fragments.faces, np.ascontiguousarray(corner_grid, np.float32)

    def forward(*arrays: np.ndarray) -> list[np.ndarray]:
        ids = arrays[4]
        out = np.empty((*ids.shape, 3), np.float32)
        over_bands(_draw, len(ids), ids.shape[1], *arrays, faces, corners, out)
        return [out]

    def backward(*arrays: np.ndarray) -> list[np.ndarray]:
        *given, ids, upstream = arrays
        bands = band_count(len(ids), ids.shape[1])
        gradients = [np.zeros((len(ids), bands, *array.shape[1:]), np.float32) for array in given]
        over_bands(_draw_backward, len(ids), ids.shape[1], *given, ids, faces, corners, upstream, *gradients)
        return [gradient[:, 0] if bands == 1 else gradient.sum(1) for gradient in gradients]

    shape = [*fragments.triangle_id.shape, 3]
    return differentiable(forward, backward, [points, normals, albedo, light], [shape], [fragments.triangle_id])[0]
