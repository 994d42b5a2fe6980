"""Reading binary glTF by its specification, morph targets included (trimesh leaves them out)."""

from __future__ import annotations

import numpy as np


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
