"""ID-MRF: every patch of the target's texture should find its like in the generated one (losses 4.8).

Source: ``DECA:decalib/utils/lossfunc.py`` IDMRFLoss, after Wang et al. 2018. Two VGG19 maps are compared; ``relu3_2``
and ``relu4_2`` are the ReLUs after the first convolution of blocks 3 and 4 (trap 14).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

STYLE_LAYERS = ("relu3_2", "relu4_2")
CONTENT_LAYER = "relu4_2"
_EPSILON, _BANDWIDTH = 1e-5, 0.5


def mrf(generated: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """One layer: ``Σ_batch -log(mean_q max_p e[q, p])``.

    Every pixel loses the target's mean over channels there, then both are normalised over channels; ``d = (1 - c) / 2``
    of the cosines, relative to each target patch's nearest, softly normalised over the target patches. A 64 x 64 map
    costs a 4096 x 4096 matrix a sample.

    Args:
        generated: ``[B, H, W, C]`` features.
        target: the same shape.

    Returns:
        Scalar, a sum over the batch.
    """
    generated, target = tf.convert_to_tensor(generated), tf.convert_to_tensor(target)
    mean = tf.reduce_mean(target, -1, keepdims=True)
    flat = [tf.math.l2_normalize(maps - mean, -1, epsilon=1e-24) for maps in (generated, target)]
    shape = tf.shape(target)
    of_generated, of_target = (tf.reshape(maps, [shape[0], -1, shape[3]]) for maps in flat)
    distance = (1 - tf.matmul(of_target, of_generated, transpose_b=True)) / 2  # [B, q target, p generated]
    relative = distance / (tf.reduce_min(distance, 1, keepdims=True) + _EPSILON)
    likeness = tf.exp((1 - relative) / _BANDWIDTH)
    likeness /= tf.reduce_sum(likeness, 1, keepdims=True)
    found = tf.reduce_max(likeness, 2)
    return tf.reduce_sum(-tf.math.log(tf.reduce_mean(found, 1)))


def id_mrf(network: Any, generated: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Style of both layers plus content of ``relu4_2``: ``mrf(3) + 2·mrf(4)``, a sum over the batch as in the release.

    Args:
        network: picture -> both maps, see :func:`emoca_tf.encoders.vgg.load_vgg19`.
        generated: ``[B, H, W, 3]`` in 0..1.
        target: the same; no gradient flows into it.
    """
    found: Mapping[str, tf.Tensor] = network(generated, training=False)
    wanted = {name: tf.stop_gradient(maps) for name, maps in network(target, training=False).items()}
    each = {name: mrf(found[name], wanted[name]) for name in STYLE_LAYERS}
    return tf.add_n(list(each.values())) + each[CONTENT_LAYER]
