"""Bilinear texture lookup with gradients to texture and grid (torch ``grid_sample``, align_corners=False, zeros)."""

from __future__ import annotations

import tensorflow as tf


def sample(texture: tf.Tensor, grid: tf.Tensor) -> tf.Tensor:
    """Look a texture up.

    Args:
        texture: ``[B, h, w, C]``.
        grid: ``[B, H, W, 2]`` x then y in [-1, 1]; texel (row i, column j) has its centre at ``(2j + 1) / w - 1``.

    Returns:
        ``[B, H, W, C]``; outside the texture the neighbours are zero.
    """
    shape = tf.shape(texture)
    height, width = shape[1], shape[2]
    x = ((grid[..., 0] + 1.0) * tf.cast(width, grid.dtype) - 1.0) * 0.5
    y = ((grid[..., 1] + 1.0) * tf.cast(height, grid.dtype) - 1.0) * 0.5
    x = tf.clip_by_value(x, -2.0, tf.cast(width, grid.dtype) + 1.0)
    y = tf.clip_by_value(y, -2.0, tf.cast(height, grid.dtype) + 1.0)
    left, top = tf.floor(x), tf.floor(y)
    # A frame of two zero texels makes every neighbour exist, so no mask is needed.
    framed = tf.pad(texture, [[0, 0], [2, 3], [2, 3], [0, 0]])
    flat = tf.reshape(framed, tf.stack([shape[0], -1, shape[3]]))
    stride = width + 5
    first = (tf.cast(top, tf.int32) + 2) * stride + tf.cast(left, tf.int32) + 2
    fx, fy = (x - left)[..., None], (y - top)[..., None]
    corners = [tf.gather(flat, first + offset, batch_dims=1) for offset in (0, 1, stride, stride + 1)]
    upper = corners[0] * (1 - fx) + corners[1] * fx
    lower = corners[2] * (1 - fx) + corners[3] * fx
    return upper * (1 - fy) + lower * fy
