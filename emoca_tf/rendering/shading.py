"""Light: nine spherical-harmonics bands in closed form, and directional lights (spec section 3.3).

Source: DECA:decalib/utils/renderer.py. The closed form replaces TensorFlow Graphics' general harmonics because theirs
have other signs in four bands and a NaN gradient at the pole, which is the frontal normal.
"""

from __future__ import annotations

import math

import tensorflow as tf

_LINEAR = (2 * math.pi / 3) * math.sqrt(3 / (4 * math.pi))
_QUADRATIC = (math.pi / 4) * 3 * math.sqrt(5 / (12 * math.pi))
_POLAR = (math.pi / 4) * 0.5 * math.sqrt(5 / (4 * math.pi))
BAND_FACTORS = (1 / math.sqrt(4 * math.pi), *3 * (_LINEAR,), *3 * (_QUADRATIC,), _QUADRATIC / 2, _POLAR)


def spherical_harmonics(normals: tf.Tensor, light: tf.Tensor) -> tf.Tensor:
    """Shade normals by nine bands; no clamp.

    Args:
        normals: ``[B, ..., 3]`` head-space normals.
        light: ``[B, 9, 3]`` band by colour.

    Returns:
        ``[B, ..., 3]``.
    """
    x, y, z = tf.unstack(normals, axis=-1)
    bands = [tf.ones_like(x), x, y, z, x * y, x * z, y * z, x * x - y * y, 3 * z * z - 1]
    basis = tf.stack(bands, -1)
    coefficients = light * tf.constant(BAND_FACTORS, light.dtype)[:, None]
    shape = tf.shape(normals)
    flat = tf.reshape(basis, tf.stack([shape[0], -1, 9]))
    shaded = tf.reshape(tf.linalg.matmul(flat, coefficients), shape)
    shaded.set_shape(normals.shape)
    return shaded


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
