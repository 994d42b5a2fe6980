"""Bilinear texture lookup with gradients to texture and grid (torch ``grid_sample``, align_corners=False, zeros)."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from emoca_tf.rendering.parallel import band_count, differentiable, kernel, over_bands


@kernel()
def _place(u, size):  # type: ignore[no-untyped-def]
    """Texel below a coordinate in [-1, 1] and the rest; far away coordinates stop outside the texture."""
    x = ((u + np.float32(1)) * np.float32(size) - np.float32(1)) * np.float32(0.5)
    x = min(max(x, np.float32(-2)), np.float32(size + 1))
    low = math.floor(x)
    return int(low), np.float32(x - low)


@kernel()
def _sample(image, band, first_row, end_row, texture, grid, out) -> None:  # type: ignore[no-untyped-def]
    source = texture[min(image, texture.shape[0] - 1)]
    height, width, channels = source.shape
    for row in range(first_row, end_row):
        for column in range(grid.shape[2]):
            pixel = out[image, row, column]
            pixel[:] = 0
            u, v = grid[image, row, column, 0], grid[image, row, column, 1]
            if not (math.isfinite(u) and math.isfinite(v)):
                continue
            left, fx = _place(u, width)
            top, fy = _place(v, height)
            for dy in range(2):
                y = top + dy
                if y < 0 or y >= height:
                    continue
                wy = fy if dy else np.float32(1) - fy
                for dx in range(2):
                    x = left + dx
                    if x < 0 or x >= width:
                        continue
                    w = wy * (fx if dx else np.float32(1) - fx)
                    for channel in range(channels):
                        pixel[channel] += w * source[y, x, channel]


@kernel()
def _sample_backward(  # type: ignore[no-untyped-def]
    image, band, first_row, end_row, texture, grid, upstream, by_texture, by_grid
) -> None:
    """Gradients; ``by_texture`` [B, bands, h, w, C] (no bands: not asked for)."""
    source = texture[min(image, texture.shape[0] - 1)]
    height, width, channels = source.shape
    wanted = by_texture.shape[1] > 0
    for row in range(first_row, end_row):
        for column in range(grid.shape[2]):
            g = upstream[image, row, column]
            some = False
            for channel in range(channels):
                some = some or g[channel] != 0
            u, v = grid[image, row, column, 0], grid[image, row, column, 1]
            if not (some and math.isfinite(u) and math.isfinite(v)):
                continue
            left, fx = _place(u, width)
            top, fy = _place(v, height)
            by_x, by_y = np.float32(0), np.float32(0)
            for dy in range(2):
                y = top + dy
                if y < 0 or y >= height:
                    continue
                wy = fy if dy else np.float32(1) - fy
                for dx in range(2):
                    x = left + dx
                    if x < 0 or x >= width:
                        continue
                    wx = fx if dx else np.float32(1) - fx
                    total = np.float32(0)
                    for channel in range(channels):
                        total += g[channel] * source[y, x, channel]
                        if wanted:
                            by_texture[image, band, y, x, channel] += wx * wy * g[channel]
                    by_x += total * (wy if dx else -wy)
                    by_y += total * (wx if dy else -wx)
            by_grid[image, row, column, 0] = by_x * np.float32(0.5 * width)
            by_grid[image, row, column, 1] = by_y * np.float32(0.5 * height)


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
        out = np.empty((*g.shape[:3], channels), np.float32)
        over_bands(_sample, len(g), g.shape[1], t, g, out)
        return [out]

    def backward(g: np.ndarray, t: np.ndarray, upstream: np.ndarray) -> list[np.ndarray]:
        bands = 0 if constant else band_count(len(g), g.shape[1])
        by_texture = np.zeros((len(g), bands, *t.shape[1:]), np.float32)
        by_grid = np.zeros_like(g)
        over_bands(_sample_backward, len(g), g.shape[1], t, g, upstream, by_texture, by_grid)
        return [by_grid] if constant else [by_grid, by_texture.sum(1)]

    grid = tf.convert_to_tensor(grid, tf.float32)
    shape = [*grid.shape[:3], channels]
    if not constant:
        return differentiable(forward, backward, [grid, texture], [shape])[0]
    fixed = np.ascontiguousarray(texture, np.float32)
    return differentiable(lambda g: forward(g, fixed), lambda g, up: backward(g, fixed, up), [grid], [shape])[0]
