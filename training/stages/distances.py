"""How far two sets of codes are apart, in units that make the groups comparable."""

from __future__ import annotations

import tensorflow as tf

from emoca_tf.codes import Codes
from emoca_tf.flame.head import HeadModel

NORMAL_EXP, RANGED_EXP = 1.0, 0.25
# A change of one unit in each of these moves the picture about equally much.
SCALES: dict[str, tuple[float, ...]] = {"shape": (1.0,), "tex": (1.0,), "pose": (0.1,), "light": (0.5,)}
CAM_SCALES = (0.5, 0.01, 0.01)


def code_distance(head: HeadModel, predicted: Codes, true: Codes, groups: tuple[str, ...]) -> tf.Tensor:
    """Mean over groups of the mean squared difference in units of the group's scale.

    Args:
        head: tells whether expressions are standard-normal (FLAME) or lie in 0..1 (the default head).
        predicted: codes ``[B, ...]``.
        true: the same of the teacher or the truth.
        groups: which ones count.
    """
    total = []
    for name in groups:
        if name == "exp":
            scale = tf.constant([NORMAL_EXP if head.exp_range is None else RANGED_EXP])
        else:
            scale = tf.constant(CAM_SCALES if name == "cam" else SCALES[name])
        total.append(tf.reduce_mean(((getattr(predicted, name) - getattr(true, name)) / scale) ** 2))
    return tf.add_n(total) / len(total)


def correlation(predicted: tf.Tensor, true: tf.Tensor) -> tf.Tensor:
    """Mean over the axes that vary in the batch of Pearson's correlation; ``[B, K]`` each."""
    p, t = (x - tf.reduce_mean(x, 0) for x in (predicted, true))
    spread = tf.norm(p, axis=0) * tf.norm(t, axis=0)
    varies = tf.cast(tf.norm(t, axis=0) > 1e-3, tf.float32)
    each = tf.math.divide_no_nan(tf.reduce_sum(p * t, 0), spread)
    return tf.reduce_sum(each * varies) / tf.maximum(tf.reduce_sum(varies), 1)
