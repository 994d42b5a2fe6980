"""Reading binary glTF by its specification, morph targets included (trimesh leaves them out)."""

from __future__ import annotations

import numpy as np

from emoca_tf.flame.head import HeadModel

FRAMES = 5
"""Of :func:`made_up_recording`."""


def accessor(tree: dict, buffer: bytes, number: int) -> np.ndarray:
    """Any VEC3 float accessor, sparse or dense, straight from the specification."""
    one = tree["accessors"][number]
    values = np.zeros((one["count"], 3), np.float32)
    if "bufferView" in one:
        start = tree["bufferViews"][one["bufferView"]].get("byteOffset", 0) + one.get("byteOffset", 0)
        values = np.frombuffer(buffer, "<f4", 3 * one["count"], start).reshape(-1, 3).copy()
    if "sparse" in one:
        sparse = one["sparse"]
        at = tree["bufferViews"][sparse["indices"]["bufferView"]]["byteOffset"]
        kind = {5123: "<u2", 5125: "<u4"}[sparse["indices"]["componentType"]]
        index = np.frombuffer(buffer, kind, sparse["count"], at)
        start = tree["bufferViews"][sparse["values"]["bufferView"]]["byteOffset"]
        values[index] = np.frombuffer(buffer, "<f4", 3 * sparse["count"], start).reshape(-1, 3)
    np.testing.assert_array_equal(one["min"], values.min(0))
    np.testing.assert_array_equal(one["max"], values.max(0))
    return values


def opened(tree: dict, buffer: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Base vertices, and what a viewer shows at the default weights."""
    mesh = tree["meshes"][0]
    primitive = mesh["primitives"][0]
    base = accessor(tree, buffer, primitive["attributes"]["POSITION"])
    shown = base.astype(np.float64)
    for weight, target in zip(mesh["weights"], primitive["targets"], strict=True):
        shown += weight * accessor(tree, buffer, target["POSITION"])
    return base, shown


def quaternion(turn: np.ndarray) -> list[float]:
    """Of an axis-angle vector, x y z w."""
    angle = float(np.linalg.norm(turn))
    axis = turn / angle if angle else turn
    return [*(np.sin(angle / 2) * axis), float(np.cos(angle / 2))]


def made_up_recording(head: HeadModel, seed: int = 5) -> tuple[dict, dict[str, np.ndarray]]:
    """A recording as the app writes it, and the codes in it."""
    rng = np.random.default_rng(seed)
    exp = rng.uniform(0, 0.6, (FRAMES, head.n_exp)) * (rng.random((FRAMES, head.n_exp)) < 0.2)
    pose = rng.normal(0, 0.25, (FRAMES, 6))
    pose[:, 3] = np.linspace(0, 0.35, FRAMES)
    pose[:, 4:] *= 0.1
    shape = rng.normal(0, 0.7, head.n_shape)
    tree = {
        "format": "emoca-tf recording 1", "head": head.name, "weights_from": "made up",
        "targets": list(head.expression_names), "emotions": ["neutral"], "shape": shape.tolist(),
        "times": (np.arange(FRAMES) / 30).tolist(), "weights": exp.tolist(),
        "rotations": [quaternion(turn) for turn in pose[:, :3]], "jaws": [quaternion(turn) for turn in pose[:, 3:]],
        "eyelids": [[0.0, 0.0]] * FRAMES, "cameras": [[9.0, 0, 0]] * FRAMES, "emotion_shares": [[1.0]] * FRAMES,
        "valence_arousal": [[0.0, 0.0]] * FRAMES,
    }  # fmt: skip
    return tree, {"shape": shape, "exp": exp, "pose": pose}
