"""Same person: cosine distance of face-recognition features (``DECA:decalib/utils/lossfunc.py`` VGGFace2Loss)."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from emoca_tf.emotion.identity import preprocess


def identity(network: Any, photo: tf.Tensor, head: tf.Tensor) -> tf.Tensor:
    """``mean(1 - cos)`` of the network's features, with DECA's odd preprocessing (losses 4.3).

    The original draws the head over the photo, ``albedo · light · mask + photo · (1 - mask)`` with albedo and light
    detached, so that only geometry learns.

    Args:
        network: see :func:`emoca_tf.emotion.identity.load_identity`.
        photo: ``[B, 224, 224, 3]`` RGB in 0..1; no gradient flows into it.
        head: the same of the rendered overlay.
    """
    wanted = tf.math.l2_normalize(tf.stop_gradient(network(preprocess(photo), training=False)), -1)
    found = tf.math.l2_normalize(network(preprocess(head), training=False), -1)
    return tf.reduce_mean(1 - tf.reduce_sum(wanted * found, -1))
