"""A captured face as something to animate: what every expression axis and the jaw move, at the captured pose."""

from __future__ import annotations

import numpy as np

from emoca_tf.codes import Codes
from emoca_tf.flame.head import HeadModel

JAW_OPEN = 0.3
"""Radians about x that the ``jawOpen`` target stands for at weight 1."""


def morph_targets(head: HeadModel, codes: Codes) -> tuple[dict[str, np.ndarray], list[float]]:
    """Displacements of the posed head and the captured weight of each.

    FLAME is linear in the expression coefficients once the pose is fixed, so the targets of the expression axes are
    exact; ``jawOpen`` follows the chord of the jaw's swing.

    Args:
        head: the head model.
        codes: of one face (NumPy).

    Returns:
        Axis name -> ``[V, 3]`` float32 metres at coefficient 1, ``jawOpen`` last; and the weights in the same order.
    """
    from emoca_tf.flame.layer import Flame

    n = head.n_exp
    exp = np.concatenate([np.eye(n, dtype=np.float32), np.zeros((3, n), np.float32)])  # axes, neutral, shut, open

    def repeated(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else np.repeat(np.asarray(values, np.float32), n + 3, 0)

    pose = np.repeat(np.asarray(codes.pose, np.float32), n + 3, 0)
    pose[n + 1 :, 3:] = [[0, 0, 0], [JAW_OPEN, 0, 0]]
    vertices = Flame(head)(
        repeated(codes.shape), exp, pose, repeated(codes.neck_pose), repeated(codes.eye_pose)
    ).vertices.numpy()
    targets = dict(zip(head.expression_names, vertices[:n] - vertices[n], strict=True))
    weights = [float(value) for value in codes.exp[0]]
    name = "jawOpen" if "jawOpen" not in targets else "jaw_joint_open"
    targets[name] = vertices[n + 2] - vertices[n + 1]
    return targets, [*weights, min(max(float(codes.pose[0, 3]) / JAW_OPEN, 0.0), 1.0)]
