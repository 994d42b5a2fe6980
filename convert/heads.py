"""The head as a network: codes to vertices and landmarks, whole or decimated.

Nothing on the phone re-implements FLAME: the :class:`~emoca_tf.flame.layer.Flame` layer itself becomes a TFLite file.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from convert.blocks import BlockFlame, blocks, moving
from convert.networks import Network
from emoca_tf.flame.head import HeadModel
from emoca_tf.flame.layer import Flame

SMALL_TRIANGLES = 2400
CODE_MEANING = {
    "shape": "identity coefficients",
    "exp": "expression coefficients",
    "pose": "axis-angle radians, global rotation 0:3, jaw 3:6",
    "eyelid": "left, right closure in 0..1",
}


TURN = 0.1
"""Usual size of the entries of a rotation minus the identity."""


class _Posed(keras.layers.Layer):
    """The FLAME layer with its outputs by name, without those that the head does not have.

    Its directions and codes are scaled against each other, see :func:`code_units`; with ``lean`` without those that
    move nothing, see :mod:`convert.blocks`.
    """

    def __init__(self, head: HeadModel, landmarks: bool, lean: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = np.split(code_units(head), [head.n_shape])
        scaled = replace(head, shapedirs=(head.shapedirs * np.concatenate(self.units)).astype(np.float32))
        self.flame = BlockFlame(scaled, blocks(moving(head))) if lean else Flame(scaled)
        self.landmarks, self.built = landmarks, True

    def call(self, codes: dict[str, Any]) -> dict[str, Any]:
        shape, exp = (codes[name] * (1 / unit) for name, unit in zip(("shape", "exp"), self.units, strict=True))
        out = self.flame(shape, exp, codes["pose"], eyelid=codes.get("eyelid"))
        lean = isinstance(self.flame, BlockFlame)
        found = {"vertices": tf.gather(out.vertices, self.flame.place, axis=1) if lean else out.vertices}
        if self.landmarks:
            found |= {"landmarks": out.landmarks2d, "landmarks_mp": out.landmarks_mp}
        return {name: value for name, value in found.items() if value is not None}


def code_units(head: HeadModel) -> np.ndarray:
    """``[n_shape + n_exp]`` float32: what each direction is multiplied by, and its code divided by.

    With 8 bits a coordinate's directions share one scale, set by the largest, and a rounding error counts by the size
    of its code: seldom used long directions would drown the others. The product of both errors is least with the
    square root of code size over direction size, the pose correctives' being 1.
    """
    used = np.ones(head.n_exp) if head.exp_range is None else np.ptp(head.exp_range, axis=1) / 4
    used = np.concatenate([np.ones(head.n_shape), used])

    def size(directions: np.ndarray) -> np.ndarray:
        return np.sqrt((directions.reshape(-1, directions.shape[-1]).astype(np.float64) ** 2).mean(0))

    own, pose = size(head.shapedirs), size(head.posedirs)
    reference = np.sqrt((pose**2).mean()) / TURN
    if reference == 0:
        return np.ones(len(own), np.float32)
    usable = (own > 0) & (used > 0)
    units = np.sqrt(np.where(usable, used, 1) * reference / np.where(usable, own, reference))
    return np.where(usable, units, 1).astype(np.float32)


def head_network(head: HeadModel, name: str = "head", landmarks: bool = True) -> Network:
    """Codes by name -> ``vertices [1, V, 3]`` and, where the head has them, ``landmarks`` and ``landmarks_mp``, metres.

    Args:
        head: the head model.
        name: name of the network.
        landmarks: also give the landmarks.
    """
    sizes = {"shape": head.n_shape, "exp": head.n_exp, "pose": 6}
    if head.eyelids is not None:
        sizes["eyelid"] = 2

    def model(lean: bool) -> Any:
        codes = {key: keras.Input((size,), name=key) for key, size in sizes.items()}
        return keras.Model(list(codes.values()), _Posed(head, landmarks, lean, name="flame")(codes), name=name)

    meaning = {key: CODE_MEANING[key] for key in sizes}
    axes = dict.fromkeys(("vertices", "landmarks", "landmarks_mp"), ("x", "y", "z"))
    return Network(name, model(lean=False), "head", inputs=meaning, axes=axes, lean=lambda: model(lean=True))


def small_mesh(head: HeadModel, triangles: int = SMALL_TRIANGLES) -> tuple[np.ndarray, np.ndarray]:
    """A mesh of fewer triangles between vertices of the head.

    Edges collapse, so that lips and lids that touch stay apart.

    Args:
        head: the head model.
        triangles: about how many.

    Returns:
        ``[K]`` which vertices, ascending, and ``[T, 3]`` int32 triangles that name them by their place there.
    """
    import fast_simplification

    template, faces = head.v_template.astype(np.float32), head.f.astype(np.int32)
    _, _, collapses = fast_simplification.simplify(template, faces, target_count=triangles, return_collapses=True)
    points, _, merged = fast_simplification.replay_simplification(template, faces, collapses)
    corners = _representatives(template, points, merged)[faces]
    whole = (corners[:, 0] != corners[:, 1]) & (corners[:, 1] != corners[:, 2]) & (corners[:, 0] != corners[:, 2])
    kept, places = np.unique(corners[whole], return_inverse=True)
    return kept, places.reshape(-1, 3).astype(np.int32)


def _representatives(vertices: np.ndarray, points: np.ndarray, merged: np.ndarray) -> np.ndarray:
    """``[V]`` for every vertex that of the vertices merged with it which lies nearest to what they became.

    Args:
        vertices: ``[V, 3]``.
        points: ``[P, 3]`` what they became.
        merged: ``[V]`` row of ``points`` that each vertex became.
    """
    distance = np.linalg.norm(vertices - points[merged], axis=1)
    order = np.lexsort((distance, merged))
    rows, first = np.unique(merged[order], return_index=True)
    nearest = np.zeros(len(points), np.int64)
    nearest[rows] = order[first]
    return nearest[merged]


def decimated(head: HeadModel, triangles: int = SMALL_TRIANGLES) -> HeadModel:
    """The head with the vertices of :func:`small_mesh` alone, so that every direction stays exact."""
    kept, faces = small_mesh(head, triangles)
    values = {f.name: getattr(head, f.name) for f in fields(head)}
    regressor = head.J_regressor.astype(np.float64)
    values |= {
        "name": f"{head.name} (decimated)",
        "v_template": head.v_template[kept],
        "f": faces,
        "shapedirs": head.shapedirs[kept],
        "posedirs": head.posedirs[kept],
        "weights": head.weights[kept],
        "eyelids": None if head.eyelids is None else head.eyelids[:, kept],
        "J_regressor": _joint_regressor(head, regressor, kept),
        "landmarks": {},
        "mediapipe_indices": None,
        "masks": {},
        "uv": None,
        "uv_faces": None,
    }
    return HeadModel(**values)


def _joint_regressor(head: HeadModel, regressor: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """``[5, K]``: joints of the decimated head that follow those of the whole head over all shape directions.

    The smallest weights (least squares) that give the same joints for the template and every direction.
    """
    columns = np.concatenate(
        [head.v_template.reshape(-1, 3, 1), head.shapedirs, np.ones((head.n_vertices, 3, 1)) * 0.1], 2
    ).astype(np.float64)  # [V, 3, 1 + K + 1]; the last keeps the weights' sum at one
    flat = columns.reshape(head.n_vertices, -1)
    wanted = regressor @ flat
    solved = np.linalg.lstsq(flat[kept].T, wanted.T, rcond=1e-10)[0]
    return solved.T.astype(np.float32)
