"""How far two sets of codes are apart, in units that make the groups comparable."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from emoca_tf.codes import Codes
from emoca_tf.flame.head import HeadModel

NORMAL_EXP, RANGED_EXP = 1.0, 0.25
# A change of one unit in each of these moves the picture about equally much.
SCALES: dict[str, tuple[float, ...]] = {"shape": (1.0,), "tex": (1.0,), "pose": (0.1,), "jaw": (0.1,), "light": (0.5,)}
CAM_SCALES = (0.5, 0.01, 0.01)


def code_distance(head: HeadModel, predicted: Codes, true: Codes, groups: tuple[str, ...]) -> tf.Tensor:
    """Mean over groups of the mean squared difference in units of the group's scale.

    Args:
        head: tells whether expressions are standard-normal (FLAME) or lie in 0..1 (the default head).
        predicted: codes ``[B, ...]``.
        true: the same of the teacher or the truth.
        groups: which ones count; ``jaw`` is the second half of the pose. Rows of NaN are unknown and do not count.
    """
    total = []
    for name in groups:
        if name == "exp":
            scale = tf.constant([NORMAL_EXP if head.exp_range is None else RANGED_EXP])
        else:
            scale = tf.constant(CAM_SCALES if name == "cam" else SCALES[name])
        mine, given = (codes.pose[:, 3:] if name == "jaw" else getattr(codes, name) for codes in (predicted, true))
        total.append(tf.reduce_mean(((mine - filled(given, mine)) / scale) ** 2))
    return tf.add_n(total) / len(total)


def filled(given: tf.Tensor, own: tf.Tensor) -> tf.Tensor:
    """``given`` with its NaN (unknown values) replaced by our own ones, so that their difference vanishes."""
    return tf.where(tf.math.is_finite(given), given, tf.stop_gradient(own))


class Deformation:
    """How far two expressions move a head's vertices apart, without building the vertices.

    The expression basis is linear: the sum of squared displacements is a quadratic form of the coefficients.

    Args:
        head: gives the basis.
    """

    def __init__(self, head: HeadModel) -> None:
        basis = head.shapedirs[:, :, head.n_shape :].reshape(-1, head.n_exp).astype(np.float64) * 1000
        self.form = tf.constant((basis.T @ basis / head.n_vertices).astype(np.float32))

    def __call__(self, mine: tf.Tensor, given: tf.Tensor) -> tf.Tensor:
        """Mean over the known rows of the root mean square displacement, millimetres."""
        known = tf.cast(tf.reduce_all(tf.math.is_finite(given), 1), tf.float32)
        gap = mine - filled(given, mine)
        squared = tf.reduce_sum(tf.matmul(gap, self.form) * gap, 1)
        return tf.math.divide_no_nan(tf.reduce_sum(tf.sqrt(squared + 1e-6) * known), tf.reduce_sum(known))


def correlation(predicted: tf.Tensor, true: tf.Tensor) -> tf.Tensor:
    """Mean over the axes that vary in the batch of Pearson's correlation; ``[B, K]`` each, unknown rows NaN."""
    known = tf.cast(tf.reduce_all(tf.math.is_finite(true), 1, keepdims=True), tf.float32)
    count = tf.maximum(tf.reduce_sum(known), 1)
    p, t = ((x - tf.reduce_sum(x * known, 0) / count) * known for x in (predicted, filled(true, predicted)))
    spread = tf.norm(p, axis=0) * tf.norm(t, axis=0)
    varies = tf.cast(tf.norm(t, axis=0) > 1e-3, tf.float32)
    each = tf.math.divide_no_nan(tf.reduce_sum(p * t, 0), spread)
    return tf.reduce_sum(each * varies) / tf.maximum(tf.reduce_sum(varies), 1)
