"""Weak-perspective camera and the map between image space and pixels.

Source: DECA:decalib/utils/util.py (batch_orth_proj) and DECA:decalib/deca.py (spec section 3.1).
"""

from __future__ import annotations

import tensorflow as tf


def project(points: tf.Tensor, cam: tf.Tensor) -> tf.Tensor:
    """Project points of head space into image space: ``s (x + tx), -s (y + ty), -s z``.

    Args:
        points: ``[B, N, 3]`` metres, y up, z out of the face.
        cam: ``[B, 3]`` scale, tx, ty; the translation is applied before the scale.

    Returns:
        ``[B, N, 3]``; the picture is [-1, 1], x right, y down, smaller z nearer.
    """
    scale = cam[:, None, :1]
    shift = tf.pad(cam[:, None, 1:], [[0, 0], [0, 0], [0, 1]])
    return (points + shift) * scale * tf.constant([1.0, -1.0, -1.0], points.dtype)


def to_pixels(points: tf.Tensor, size: int = 224) -> tf.Tensor:
    """Image space to landmark pixels, ``(x + 1) size / 2``; only the first two columns are kept."""
    return (points[..., :2] + 1.0) * (size / 2)


def from_pixels(pixels: tf.Tensor, size: int = 224) -> tf.Tensor:
    """Inverse of :func:`to_pixels`, ``[..., 2]``."""
    return pixels[..., :2] * (2.0 / size) - 1.0
