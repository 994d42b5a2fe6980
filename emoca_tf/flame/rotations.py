"""Axis-angle to rotation matrix, as FLAME's code does it."""

from __future__ import annotations

import tensorflow as tf

_EPSILON = 1e-8


def rodrigues(axis_angle: tf.Tensor) -> tf.Tensor:
    """Rotation matrices of axis-angle vectors (``DECA:decalib/models/lbs.py`` batch_rodrigues).

    The 1e-8 sits inside the norm, so the gradient at the zero rotation is finite; the axis is ``r / angle``. TensorFlow
    Graphics' ``from_axis_angle`` agrees to 1e-6 and is the oracle in the tests; it is not used here because its guard
    against zero is another one and because encoders must run without TensorFlow Graphics.

    Args:
        axis_angle: ``[..., 3]`` radians.

    Returns:
        ``[..., 3, 3]``.
    """
    angle = tf.norm(axis_angle + _EPSILON, axis=-1, keepdims=True)
    x, y, z = tf.unstack(axis_angle / angle, axis=-1)
    zero = tf.zeros_like(x)
    K = tf.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1)
    K = tf.reshape(K, tf.concat([tf.shape(axis_angle)[:-1], [3, 3]], 0))
    sine, cosine = tf.sin(angle)[..., None], tf.cos(angle)[..., None]
    return tf.eye(3, dtype=axis_angle.dtype) + sine * K + (1.0 - cosine) * (K @ K)


def yaw_degrees(rotation: tf.Tensor) -> tf.Tensor:
    """Yaw of rotation matrices in degrees, positive when the head turns to its left (DECA's rot_mat_to_euler).

    Args:
        rotation: ``[..., 3, 3]``.

    Returns:
        ``[...]``.
    """
    level = tf.sqrt(rotation[..., 0, 0] ** 2 + rotation[..., 1, 0] ** 2)
    return tf.atan2(-rotation[..., 2, 0], level) * (180.0 / 3.141592653589793)
