"""Light: nine spherical-harmonics bands in closed form, and directional lights (spec section 3.3).

Source: DECA:decalib/utils/renderer.py. The closed form replaces TensorFlow Graphics' general harmonics because theirs
have other signs in four bands and a NaN gradient at the pole, which is the frontal normal.
"""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from emoca_tf.rendering.parallel import band_count, check_batch, differentiable, kernel, over_bands

_LINEAR = (2 * math.pi / 3) * math.sqrt(3 / (4 * math.pi))
_QUADRATIC = (math.pi / 4) * 3 * math.sqrt(5 / (12 * math.pi))
_POLAR = (math.pi / 4) * 0.5 * math.sqrt(5 / (4 * math.pi))
BAND_FACTORS = (1 / math.sqrt(4 * math.pi), *3 * (_LINEAR,), *3 * (_QUADRATIC,), _QUADRATIC / 2, _POLAR)


@kernel
def light_at(x, y, z, c, colour):  # type: ignore[no-untyped-def]
    """Light of one colour on a normal; ``c`` [9, 3] includes the band factors."""
    linear = c[0, colour] + c[1, colour] * x + c[2, colour] * y + c[3, colour] * z
    mixed = c[4, colour] * x * y + c[5, colour] * x * z + c[6, colour] * y * z
    return linear + mixed + c[7, colour] * (x * x - y * y) + c[8, colour] * (np.float32(3) * z * z - np.float32(1))


@kernel
def light_backward(x, y, z, c, g, by_light):  # type: ignore[no-untyped-def]
    """Add one normal's gradient to ``by_light`` [9, 3]; the gradient by the normal comes back. ``g`` [3] by colour."""
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
        by_light[8, colour] += s * (np.float32(3) * z * z - np.float32(1))
        bx += s * (c[1, colour] + c[4, colour] * y + c[5, colour] * z + two * c[7, colour] * x)
        by += s * (c[2, colour] + c[4, colour] * x + c[6, colour] * z - two * c[7, colour] * y)
        bz += s * (c[3, colour] + c[5, colour] * x + c[6, colour] * y + np.float32(6) * c[8, colour] * z)
    return bx, by, bz


@kernel
def _shade(image, band, first_row, end_row, normals, light, out) -> None:  # type: ignore[no-untyped-def]
    c = light[image]
    for row in range(first_row, end_row):
        n = normals[image, row]
        for colour in range(3):
            out[image, row, colour] = light_at(n[0], n[1], n[2], c, colour)


@kernel
def _shade_backward(  # type: ignore[no-untyped-def]
    image, band, first_row, end_row, normals, light, upstream, by_normals, by_light
) -> None:
    c, by_c = light[image], np.zeros((9, 3), np.float32)  # a thread's own: images share cache lines in by_light
    for row in range(first_row, end_row):
        g = upstream[image, row]
        if g[0] == 0 and g[1] == 0 and g[2] == 0:
            continue
        n, out = normals[image, row], by_normals[image, row]
        out[0], out[1], out[2] = light_backward(n[0], n[1], n[2], c, g, by_c)
    by_light[image, band] = by_c


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
        check_batch(normals=n, light=c)
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
