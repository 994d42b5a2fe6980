"""Bilinear texture lookup with gradients to texture and grid (torch ``grid_sample``, align_corners=False, zeros)."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from emoca_tf.rendering.parallel import band_count, check_batch, differentiable, kernel, over_bands


@kernel
def texel_below(u, size):  # type: ignore[no-untyped-def]
    """Texel below a coordinate in [-1, 1] and the rest; far away and NaN coordinates stop outside the texture."""
    x = ((u + np.float32(1)) * np.float32(size) - np.float32(1)) * np.float32(0.5)
    if not math.isfinite(x):
        return -2, np.float32(0)
    x = min(max(x, np.float32(-2)), np.float32(size + 1))
    low = math.floor(x)
    return int(low), np.float32(x - low)


@kernel
def _texel(texture, y, x, channel):  # type: ignore[no-untyped-def]
    """One texel, zero outside."""
    if 0 <= y < texture.shape[0] and 0 <= x < texture.shape[1]:
        return texture[y, x, channel]
    return np.float32(0)


@kernel
def _add(texture, y, x, channel, value) -> None:  # type: ignore[no-untyped-def]
    if 0 <= y < texture.shape[0] and 0 <= x < texture.shape[1]:
        texture[y, x, channel] += value


@kernel
def bilinear(texture, left, top, fx, fy, channel):  # type: ignore[no-untyped-def]
    """Mix of the four texels around a place; ``texture`` [h, w, C]."""
    one = np.float32(1)
    if 0 <= top < texture.shape[0] - 1 and 0 <= left < texture.shape[1] - 1:  # inside, the usual case
        upper = texture[top, left, channel] * (one - fx) + texture[top, left + 1, channel] * fx
        lower = texture[top + 1, left, channel] * (one - fx) + texture[top + 1, left + 1, channel] * fx
        return upper * (one - fy) + lower * fy
    upper = _texel(texture, top, left, channel) * (one - fx) + _texel(texture, top, left + 1, channel) * fx
    lower = _texel(texture, top + 1, left, channel) * (one - fx) + _texel(texture, top + 1, left + 1, channel) * fx
    return upper * (one - fy) + lower * fy


@kernel
def bilinear_backward(texture, left, top, fx, fy, g, by_texture):  # type: ignore[no-untyped-def]
    """The gradient by the coordinates; that by the texture is added to ``by_texture`` [h, w, C], if it has texels."""
    one = np.float32(1)
    wanted = by_texture.shape[0] > 0
    inside = 0 <= top < texture.shape[0] - 1 and 0 <= left < texture.shape[1] - 1
    by_x, by_y = np.float32(0), np.float32(0)
    for channel in range(texture.shape[2]):
        if inside:
            t00, t01 = texture[top, left, channel], texture[top, left + 1, channel]
            t10, t11 = texture[top + 1, left, channel], texture[top + 1, left + 1, channel]
        else:
            t00, t01 = _texel(texture, top, left, channel), _texel(texture, top, left + 1, channel)
            t10, t11 = _texel(texture, top + 1, left, channel), _texel(texture, top + 1, left + 1, channel)
        s = g[channel]
        by_x += s * ((t01 - t00) * (one - fy) + (t11 - t10) * fy)
        by_y += s * ((t10 - t00) * (one - fx) + (t11 - t01) * fx)
        if wanted and inside:
            by_texture[top, left, channel] += s * (one - fx) * (one - fy)
            by_texture[top, left + 1, channel] += s * fx * (one - fy)
            by_texture[top + 1, left, channel] += s * (one - fx) * fy
            by_texture[top + 1, left + 1, channel] += s * fx * fy
        elif wanted:
            _add(by_texture, top, left, channel, s * (one - fx) * (one - fy))
            _add(by_texture, top, left + 1, channel, s * fx * (one - fy))
            _add(by_texture, top + 1, left, channel, s * (one - fx) * fy)
            _add(by_texture, top + 1, left + 1, channel, s * fx * fy)
    half = np.float32(0.5)
    return by_x * half * np.float32(texture.shape[1]), by_y * half * np.float32(texture.shape[0])


@kernel
def _sample(image, band, first_row, end_row, texture, grid, out) -> None:  # type: ignore[no-untyped-def]
    source = texture[min(image, texture.shape[0] - 1)]
    for row in range(first_row, end_row):
        for column in range(grid.shape[2]):
            place, pixel = grid[image, row, column], out[image, row, column]
            left, fx = texel_below(place[0], source.shape[1])
            top, fy = texel_below(place[1], source.shape[0])
            for channel in range(source.shape[2]):
                pixel[channel] = bilinear(source, left, top, fx, fy, channel)


@kernel
def _sample_backward(  # type: ignore[no-untyped-def]
    image, band, first_row, end_row, texture, grid, upstream, by_texture, by_grid
) -> None:
    """Gradients; ``by_texture`` [B, bands, h, w, C] (no texels: not asked for)."""
    source = texture[min(image, texture.shape[0] - 1)]
    for row in range(first_row, end_row):
        for column in range(grid.shape[2]):
            g = upstream[image, row, column]
            some = False
            for channel in range(source.shape[2]):
                some = some or g[channel] != 0
            if not some:
                continue
            place, out = grid[image, row, column], by_grid[image, row, column]
            left, fx = texel_below(place[0], source.shape[1])
            top, fy = texel_below(place[1], source.shape[0])
            out[0], out[1] = bilinear_backward(source, left, top, fx, fy, g, by_texture[image, band])


def sample(texture: tf.Tensor | np.ndarray, grid: tf.Tensor) -> tf.Tensor:
    """Look a texture up.

    Args:
        texture: ``[B, h, w, C]``; a NumPy array ``[1, h, w, C]`` is one constant texture for the whole batch, which
            costs no gradient.
        grid: ``[B, H, W, 2]`` x then y in [-1, 1]; texel (row i, column j) has its centre at ``(2j + 1) / w - 1``.

    Returns:
        ``[B, H, W, C]``; outside the texture the neighbours are zero.
    """
    constant = isinstance(texture, np.ndarray)
    channels = texture.shape[-1]

    def forward(g: np.ndarray, t: np.ndarray) -> list[np.ndarray]:
        if not constant:
            check_batch(texture=t, grid=g)
        out = np.empty((*g.shape[:3], channels), np.float32)
        over_bands(_sample, len(g), g.shape[1], t, g, out)
        return [out]

    def backward(g: np.ndarray, t: np.ndarray, upstream: np.ndarray) -> list[np.ndarray]:
        texels = (0, 0) if constant else t.shape[1:3]
        by_texture = np.zeros((len(g), band_count(len(g), g.shape[1]), *texels, channels), np.float32)
        by_grid = np.zeros_like(g)
        over_bands(_sample_backward, len(g), g.shape[1], t, g, upstream, by_texture, by_grid)
        return [by_grid] if constant else [by_grid, by_texture.sum(1)]

    grid = tf.convert_to_tensor(grid, tf.float32)
    shape = [*grid.shape[:3], channels]
    if not constant:
        return differentiable(forward, backward, [grid, texture], [shape])[0]
    fixed = np.ascontiguousarray(texture, np.float32)
    return differentiable(lambda g: forward(g, fixed), lambda g, up: backward(g, fixed, up), [grid], [shape])[0]
