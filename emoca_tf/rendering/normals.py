"""Area-weighted vertex normals (spec: DECA:decalib/utils/util.py, vertex_normals)."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

EPSILON = 1e-6


def vertex_normals(vertices: tf.Tensor, faces: np.ndarray) -> tf.Tensor:
    """Unit normals at the vertices, the sum of the touching triangles' cross products.

    Args:
        vertices: ``[B, V, 3]``.
        faces: ``[F, 3]`` int.

    Returns:
        ``[B, V, 3]``; shorter than one only where the summed area is below ``EPSILON``, zero for unused vertices.
    """
    a, b, c = (tf.gather(vertices, faces[:, k], axis=1) for k in range(3))
    cross = tf.linalg.cross(b - a, c - a)
    by_vertex_first = tf.transpose(tf.concat([cross, cross, cross], 1), [1, 0, 2])
    corner_ids = tf.constant(np.asarray(faces).T.ravel(), tf.int32)
    total = tf.math.unsorted_segment_sum(by_vertex_first, corner_ids, tf.shape(vertices)[1])
    total = tf.transpose(total, [1, 0, 2])
    squared = tf.reduce_sum(total * total, -1, keepdims=True)
    return total * tf.math.rsqrt(tf.maximum(squared, EPSILON**2))
