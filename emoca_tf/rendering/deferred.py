"""The picture in one pass over the covered pixels: weights, normal, texture and light at once, with its gradient.

It equals ``albedo x shading x alpha`` put together from :mod:`rasterizer`, :mod:`texture` and :mod:`shading` (a test
holds them together); doing it pixel by pixel spares a dozen picture-sized intermediate tensors in each direction.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from emoca_tf.rendering.parallel import band_count, check_batch, differentiable, kernel, over_bands
from emoca_tf.rendering.rasterizer import Fragments, corner_weights, corner_weights_backward, pixel_centre
from emoca_tf.rendering.shading import BAND_FACTORS, light_at, light_backward
from emoca_tf.rendering.texture import bilinear, bilinear_backward, texel_below


@kernel
def _blend(values, channel, w, corners):  # type: ignore[no-untyped-def]
    """One channel of the corner values ``[N, C]``, weighted."""
    return values[corners[0], channel] * w[0] + values[corners[1], channel] * w[1] + values[corners[2], channel] * w[2]


@kernel
def _place(texture, grid, w):  # type: ignore[no-untyped-def]
    """Where a pixel looks the texture up; ``grid`` [3, 2] of its corners."""
    u = grid[0, 0] * w[0] + grid[1, 0] * w[1] + grid[2, 0] * w[2]
    v = grid[0, 1] * w[0] + grid[1, 1] * w[1] + grid[2, 1] * w[2]
    left, fx = texel_below(u, texture.shape[1])
    top, fy = texel_below(v, texture.shape[0])
    return left, top, fx, fy


@kernel
def _draw(  # type: ignore[no-untyped-def]
    image, band, first_row, end_row, points, normals, albedo, light, ids, faces, corner_grid, out
) -> None:
    """``out`` [B, H, W, 3]; an albedo or light of size zero means none."""
    height, width = ids.shape[1:]
    lit, textured = light.shape[1] > 0, albedo.shape[1] > 0
    p, n, texture, c = points[image], normals[image], albedo[image], light[image]
    for row in range(first_row, end_row):
        y = pixel_centre(row, height)
        for column in range(width):
            f = ids[image, row, column]
            pixel = out[image, row, column]
            if f < 0:
                pixel[0], pixel[1], pixel[2] = 0, 0, 0
                continue
            x = pixel_centre(column, width)
            corners = faces[f]
            w0, w1, w2, _ = corner_weights(x, y, p[corners[0]], p[corners[1]], p[corners[2]])
            w = (w0, w1, w2)
            pixel[0], pixel[1], pixel[2] = 1, 1, 1
            if lit:
                nx, ny, nz = _blend(n, 0, w, corners), _blend(n, 1, w, corners), _blend(n, 2, w, corners)
                for colour in range(3):
                    pixel[colour] = light_at(nx, ny, nz, c, colour)
            if textured:
                left, top, fx, fy = _place(texture, corner_grid[f], w)
                for colour in range(3):
                    pixel[colour] *= bilinear(texture, left, top, fx, fy, colour)


@kernel
def _draw_backward(  # type: ignore[no-untyped-def]
    image, band, first_row, end_row, points, normals, albedo, light, ids, faces, corner_grid, upstream,
    by_points, by_normals, by_albedo, by_light,
) -> None:  # fmt: skip
    """Add the band's part to the gradients, each ``[B, bands, ...]``."""
    height, width = ids.shape[1:]
    lit, textured = light.shape[1] > 0, albedo.shape[1] > 0
    p, n, texture, c = points[image], normals[image], albedo[image], light[image]
    by_albedo_here, by_light_here = np.empty(3, np.float32), np.empty(3, np.float32)  # of this pixel, by colour
    w, by_w = np.empty(3, np.float32), np.empty(3, np.float32)
    by_c = np.zeros((9, 3), np.float32)  # this thread's own: images share cache lines in by_light
    for row in range(first_row, end_row):
        y = pixel_centre(row, height)
        for column in range(width):
            f = ids[image, row, column]
            g = upstream[image, row, column]
            if f < 0 or (g[0] == 0 and g[1] == 0 and g[2] == 0):
                continue
            x = pixel_centre(column, width)
            corners = faces[f]
            w[0], w[1], w[2], divisor = corner_weights(x, y, p[corners[0]], p[corners[1]], p[corners[2]])
            by_w[:] = 0
            by_albedo_here[:] = g
            by_light_here[:] = g
            nx, ny, nz = _blend(n, 0, w, corners), _blend(n, 1, w, corners), _blend(n, 2, w, corners)
            if lit:
                for colour in range(3):
                    by_albedo_here[colour] *= light_at(nx, ny, nz, c, colour)
            if textured:
                grid = corner_grid[f]
                left, top, fx, fy = _place(texture, grid, w)
                for colour in range(3):
                    by_light_here[colour] *= bilinear(texture, left, top, fx, fy, colour)
                bu, bv = bilinear_backward(texture, left, top, fx, fy, by_albedo_here, by_albedo[image, band])
                for k in range(3):
                    by_w[k] += bu * grid[k, 0] + bv * grid[k, 1]
            if lit:
                bx, by, bz = light_backward(nx, ny, nz, c, by_light_here, by_c)
                for k in range(3):
                    normal, out = n[corners[k]], by_normals[image, band, corners[k]]
                    by_w[k] += bx * normal[0] + by * normal[1] + bz * normal[2]
                    out[0] += w[k] * bx
                    out[1] += w[k] * by
                    out[2] += w[k] * bz
            corner_weights_backward(x, y, p, corners, w, divisor, by_w, by_points[image, band])
    if lit:
        by_light[image, band] = by_c


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
        check_batch(**dict(zip(("points", "normals", "albedo", "light"), arrays, strict=False)))
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
