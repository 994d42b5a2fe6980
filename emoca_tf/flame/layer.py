"""FLAME as a Keras layer: shape, expression and pose in, vertices and landmarks out.

Linear blend skinning of ``DECA:decalib/models/lbs.py``, landmarks of ``DECA:decalib/models/FLAME.py`` (spec section
2). The arrays of the head are non-trainable weights, so that a saved model carries its head.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from emoca_tf.flame.head import JOINTS, HeadModel
from emoca_tf.flame.rotations import rodrigues, yaw_degrees

CONTOUR_DEGREES = 39  # rows 0..39 of the contour table are yaw 0..39, rows 40..78 are -1..-39


class FlameOutput(NamedTuple):
    """What the layer returns, in FLAME space (metres, before the camera)."""

    vertices: tf.Tensor  # [B, V, 3]
    joints: tf.Tensor  # [B, 5, 3] posed joints
    landmarks2d: tf.Tensor | None  # [B, 68, 3] 17 contour points by yaw, then 51 static ones
    landmarks3d: tf.Tensor | None  # [B, 68, 3] points fixed on the surface
    landmarks_mp: tf.Tensor | None  # [B, N, 3] MediaPipe's points, in the order of the head's table


@keras.saving.register_keras_serializable(package="emoca_tf")
class Flame(keras.layers.Layer):
    """A FLAME-format head as a layer; the official model and the default head alike.

    Args:
        head: the head model. Left out only when Keras rebuilds a saved layer from ``spec``.
        spec: sizes of the head, as :meth:`get_config` wrote them.
    """

    def __init__(self, head: HeadModel | None = None, *, spec: dict[str, Any] | None = None, **kwargs: Any) -> None:
        kwargs.setdefault("trainable", False)
        kwargs.setdefault("dtype", "float32")  # half precision cannot tell neighbouring vertices apart
        super().__init__(**kwargs)
        arrays = _constants(head) if head is not None else None
        if arrays is not None and head is not None:
            spec = {
                "n_shape": head.n_shape,
                "n_exp": head.n_exp,
                "parents": [int(p) for p in head.kintree_table[0]],
                "arrays": {name: [list(a.shape), str(a.dtype)] for name, a in arrays.items()},
            }
        if spec is None:
            raise ValueError("Flame needs a head model; received neither head nor spec")
        self.spec = spec
        self.n_shape, self.n_exp = int(spec["n_shape"]), int(spec["n_exp"])
        self._constants = {
            name: self.add_weight(
                name=name, shape=shape, dtype=dtype, initializer="zeros", trainable=False, autocast=False
            )
            for name, (shape, dtype) in spec["arrays"].items()
        }
        if arrays is not None:
            for name, array in arrays.items():
                self._constants[name].assign(array)
        self.built = True

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "spec": self.spec}

    def call(
        self,
        shape: tf.Tensor,
        exp: tf.Tensor,
        pose: tf.Tensor,
        neck_pose: tf.Tensor | None = None,
        eye_pose: tf.Tensor | None = None,
        eyelid: tf.Tensor | None = None,
    ) -> FlameOutput:
        """Pose the head.

        Args:
            shape: ``[B, n_shape]`` identity coefficients.
            exp: ``[B, n_exp]`` expression coefficients.
            pose: ``[B, 6]`` axis-angle radians, global rotation then jaw.
            neck_pose: ``[B, 3]`` axis-angle radians; None is the rest pose.
            eye_pose: ``[B, 6]`` axis-angle radians, left eye then right; None is the rest pose.
            eyelid: ``[B, 2]`` closures, left then right; only for heads with eyelid shapes.

        Raises:
            ValueError: if a code has another width than the head, or eyelids are given to a head without them.
        """
        c = self._constants
        for name, value, size in (("shape", shape, self.n_shape), ("exp", exp, self.n_exp), ("pose", pose, 6)):
            if value.shape[-1] != size:
                raise ValueError(f"{name} codes have shape {tuple(value.shape)}, this head takes [B, {size}]")
        batch = tf.shape(pose)[0]
        neck = tf.zeros((batch, 3), pose.dtype) if neck_pose is None else neck_pose
        eyes = tf.zeros((batch, 6), pose.dtype) if eye_pose is None else eye_pose
        full_pose = tf.concat([pose[:, :3], neck, pose[:, 3:], eyes], 1)
        rotations = rodrigues(tf.reshape(full_pose, (-1, len(JOINTS), 3)))
        feature = tf.reshape(rotations[:, 1:] - tf.eye(3, dtype=pose.dtype), (-1, 9 * (len(JOINTS) - 1)))
        betas = tf.concat([shape, exp], 1)
        posed = self._deform(tf.concat([betas, feature], 1)) + c["template"]
        joints = tf.reshape(betas @ tf.convert_to_tensor(c["joint_directions"]) + c["joint_template"], (-1, 5, 3))
        planes, posed_joints = self._skin(tf.reshape(posed, (batch, 3, -1)), joints, rotations)
        if eyelid is not None:
            if "eyelids" not in c:
                raise ValueError("this head has no eyelid shapes; leave the eyelid codes out")
            planes += tf.reshape(eyelid @ tf.convert_to_tensor(c["eyelids"]), (batch, 3, -1))
        vertices = tf.transpose(planes, (0, 2, 1))
        return FlameOutput(vertices, posed_joints, *self._landmarks(vertices, rotations))

    def _deform(self, codes: tf.Tensor) -> tf.Tensor:
        """Identity, expression and pose feature ``[B, S + E + 36]`` -> offsets ``[B, 3 V]``, in one product."""
        return codes @ tf.convert_to_tensor(self._constants["directions"])

    def _skin(self, planes: tf.Tensor, joints: tf.Tensor, rotations: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Linear blend skinning, ``v = sum_i w_i (R_i v + t_i)``.

        Args:
            planes: ``[B, 3, V]`` the x, then y, then z of all vertices: every product then runs along V in memory,
                which makes it three times as fast as on ``[B, V, 3]``.
            joints: ``[B, 5, 3]`` at rest.
            rotations: ``[B, 5, 3, 3]`` relative to the parent.

        Returns:
            Posed planes ``[B, 3, V]`` and joints ``[B, 5, 3]``.
        """
        turn, rest = tf.unstack(rotations, axis=1), tf.unstack(joints, axis=1)
        world, places = turn[:1], rest[:1]
        for i, parent in enumerate(self.spec["parents"][1:], 1):
            places.append(places[parent] + tf.linalg.matvec(world[parent], rest[i] - rest[parent]))
            world.append(world[parent] @ turn[i])
        place = tf.stack(places, 1)
        move = place - tf.linalg.matvec(tf.stack(world, 1), joints)
        weights = tf.convert_to_tensor(self._constants["weights"])  # [5, V]
        shape = tf.shape(planes)
        turns = tf.reshape(tf.stack(world, 3), (-1, len(JOINTS))) @ weights
        moves = tf.reshape(tf.transpose(move, (0, 2, 1)), (-1, len(JOINTS))) @ weights
        turned = tf.reduce_sum(tf.reshape(turns, (shape[0], 3, 3, shape[2])) * planes[:, None], 2)
        return turned + tf.reshape(moves, shape), place

    def _landmarks(self, vertices: tf.Tensor, rotations: tf.Tensor) -> tuple[tf.Tensor | None, ...]:
        c = self._constants

        def points(name: str) -> tf.Tensor | None:
            return on_surface(vertices, c[f"{name}_ids"], c[f"{name}_bary"]) if f"{name}_ids" in c else None

        static, contour = points("static"), None
        if static is not None and "dynamic_ids" in c:
            row = contour_row(yaw_degrees(rotations[:, 0] @ rotations[:, 1]))
            ids = tf.gather(c["dynamic_ids"], row)
            corners = tf.gather(vertices, ids, batch_dims=1)
            contour = tf.reduce_sum(corners * tf.gather(c["dynamic_bary"], row)[..., None], 2)
        landmarks2d = tf.concat([contour, static], 1) if contour is not None else None
        return landmarks2d, points("full"), points("mediapipe")


def contour_row(yaw: tf.Tensor) -> tf.Tensor:
    """Row of the contour table for a yaw in degrees (DECA's sign; smplx and FLAME_PyTorch use the opposite).

    Args:
        yaw: ``[B]``.

    Returns:
        ``[B]`` int32 in 0..78.
    """
    rounded = tf.cast(tf.round(tf.clip_by_value(yaw, -CONTOUR_DEGREES, CONTOUR_DEGREES)), tf.int32)
    return tf.where(rounded < 0, CONTOUR_DEGREES - rounded, rounded)


def on_surface(vertices: tf.Tensor, ids: Any, bary: Any) -> tf.Tensor:
    """Points ``[B, N, 3]`` of barycentric weights ``bary [N, 3]`` on triangles with corners ``ids [N, 3]``."""
    corners = tf.gather(vertices, tf.convert_to_tensor(ids), axis=1)
    return tf.reduce_sum(corners * tf.convert_to_tensor(bary)[..., None], 2)


def _constants(head: HeadModel) -> dict[str, np.ndarray]:
    """The head's arrays in the layout the layer computes with: everything by vertex runs along the vertices."""
    K = head.shapedirs.shape[2]
    regressor = head.J_regressor.astype(np.float64)
    directions = np.concatenate([head.shapedirs, head.posedirs.reshape(*head.v_template.shape, -1)], 2)
    arrays = {
        "template": head.v_template.T.reshape(-1),
        "directions": directions.transpose(2, 1, 0).reshape(directions.shape[2], -1),
        "joint_template": (regressor @ head.v_template).reshape(-1),
        "joint_directions": np.einsum("jv,vik->kji", regressor, head.shapedirs).reshape(K, -1),
        "weights": head.weights.T,
    }
    if head.eyelids is not None:
        arrays["eyelids"] = head.eyelids.transpose(0, 2, 1).reshape(len(head.eyelids), -1)
    arrays = {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}
    for name, table in head.landmarks.items():
        arrays[f"{name}_ids"] = head.f[table.faces_idx.reshape(-1, *table.faces_idx.shape[-1:])].astype(np.int32)
        arrays[f"{name}_bary"] = table.bary_coords.reshape(arrays[f"{name}_ids"].shape).astype(np.float32)
        if name != "dynamic":
            arrays[f"{name}_ids"] = arrays[f"{name}_ids"].reshape(-1, 3)
            arrays[f"{name}_bary"] = arrays[f"{name}_bary"].reshape(-1, 3)
    return arrays
