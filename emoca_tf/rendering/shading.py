"""Light: nine spherical-harmonics bands in closed form, and directional lights (spec section 3.3).

Source: DECA:decalib/utils/renderer.py. The closed form replaces TensorFlow Graphics' general harmonics because theirs
have other signs in four bands and a NaN gradient at the pole, which is the frontal normal.
"""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from emoca_tf.rendering.parallel import band_count, differentiable, kernel, over_bands

_LINEAR = (2 * math.pi / 3) * math.sqrt(3 / (4 * math.pi))
_QUADRATIC = (math.pi / 4) * 3 * math.sqrt(5 / (12 * math.pi))
_POLAR = (math.pi / 4) * 0.5 * math.sqrt(5 / (4 * math.pi))
BAND_FACTORS = (1 / math.sqrt(4 * math.pi), *3 * (_LINEAR,), *3 * (_QUADRATIC,), _QUADRATIC / 2, _POLAR)


@kernel()
def _bands(x, y, z, bands) -> None:  # type: ignore[no-untyped-def]
    """The nine unscaled harmonics of one normal."""
    bands[0], bands[1], bands[2], bands[3] = 1, x, y, z
    bands[4], bands[5], bands[6] = x * y, x * z, y * z
    bands[7], bands[8] = x * x - y * y, 3 * z * z - 1


@kernel()
def _shade(image, band, first_row, end_row, normals, light, out) -> None:  # type: ignore[no-untyped-def]
    bands = np.empty(9, np.float32)
    for row in range(first_row, end_row):
        n = normals[image, row]
        _bands(n[0], n[1], n[2], bands)
        for colour in range(3):
            total = np.float32(0)
            for k in range(9):
                total += bands[k] * light[image, k, colour]
            out[image, row, colour] = total


@kernel()
def _shade_backward(  # type: ignore[no-untyped-def]
    image, band, first_row, end_row, normals, light, upstream, by_normals, by_light
) -> None:
    bands, by_bands = np.empty(9, np.float32), np.empty(9, np.float32)
    for row in range(first_row, end_row):
        g = upstream[image, row]
        if g[0] == 0 and g[1] == 0 and g[2] == 0:
            continue
        n = normals[image, row]
        x, y, z = n[0], n[1], n[2]
        _bands(x, y, z, bands)
        for k in range(9):
            by_bands[k] = 0
            for colour in range(3):
                by_light[image, band, k, colour] += bands[k] * g[colour]
                by_bands[k] += g[colour] * light[image, k, colour]
        d = by_bands
        by_normals[image, row, 0] = d[1] + d[4] * y + d[5] * z + 2 * d[7] * x
        by_normals[image, row, 1] = d[2] + d[4] * x + d[6] * z - 2 * d[7] * y
        by_normals[image, row, 2] = d[3] + d[5] * x + d[6] * y + 6 * d[8] * z


def spherical_harmonics(normals: tf.Tensor, light: tf.Tensor) -> tf.Tensor:
    """Shade normals by nine bands; no clamp.

    Args:
        normals: ``[B, ..., 3]`` head-space normals.
        light: ``[B, 9, 3]`` band by colour.

    Returns:
        ``[B, ..., 3]``.
    """
    normals = tf.convert_to_tensor(normals, tf.float32)
    coefficients = light * tf.constant(BAND_FACTORS, tf.float32)[:, None]
    flat = tf.reshape(normals, tf.stack([tf.shape(normals)[0], -1, 3]))

    def forward(n: np.ndarray, c: np.ndarray) -> list[np.ndarray]:
        out = np.empty_like(n)
        over_bands(_shade, len(n), n.shape[1], n, c, out)
        return [out]

    def backward(n: np.ndarray, c: np.ndarray, upstream: np.ndarray) -> list[np.ndarray]:
        by_normals = np.zeros_like(n)
        by_light = np.zeros((len(n), band_count(len(n), n.shape[1]), 9, 3), np.float32)
        over_bands(_shade_backward, len(n), n.shape[1], n, c, upstream, by_normals, by_light)
        return [by_normals, by_light.sum(1)]

    (shaded,) = differentiable(forward, backward, [flat, coefficients], [flat.shape])
    return tf.ensure_shape(tf.reshape(shaded, tf.shape(normals)), normals.shape)


def directional(normals: tf.Tensor, lights: tf.Tensor) -> tf.Tensor:
    """Mean over the lights of ``clip(n . l, 0, 1) x intensity``.

    Args:
        normals: ``[B, ..., 3]``.
        lights: ``[B, L, 6]`` direction (any length), then the intensity of red, green, blue.

    Returns:
        ``[B, ..., 3]``.
    """
    directions = tf.math.l2_normalize(lights[..., :3], -1, epsilon=1e-24)
    shape = tf.shape(normals)
    flat = tf.reshape(normals, tf.stack([shape[0], -1, 3]))
    cosine = tf.clip_by_value(tf.linalg.matmul(flat, directions, transpose_b=True), 0.0, 1.0)
    count = tf.cast(tf.shape(lights)[1], normals.dtype)
    shaded = tf.reshape(tf.linalg.matmul(cosine, lights[..., 3:]) / count, shape)
    shaded.set_shape(normals.shape)
    return shaded
