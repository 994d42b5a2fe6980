"""Morph targets for binary glTF, which trimesh reads and writes without them (glTF 2.0, sections 3.6 and 3.7.2)."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_MAGIC, _JSON, _BIN = b"glTF", b"JSON", b"BIN\0"
_FLOAT, _UINT16, _UINT32 = 5126, 5123, 5125
STILL = 1e-5
"""Metres: vertices that a target moves less are left out of it (0.01 mm)."""


def read_glb(content: bytes) -> tuple[dict[str, Any], bytes]:
    """The JSON and the binary buffer of a GLB.

    Raises:
        ValueError: it is none.
    """
    if content[:4] != _MAGIC or len(content) < 20:
        raise ValueError("not a binary glTF file")
    chunks, at = {}, 12
    while at + 8 <= len(content):
        length, kind = struct.unpack_from("<I4s", content, at)
        chunks[kind] = content[at + 8 : at + 8 + length]
        at += 8 + length
    if _JSON not in chunks:
        raise ValueError("a binary glTF file without JSON")
    return json.loads(chunks[_JSON]), chunks.get(_BIN, b"")


def write_glb_bytes(tree: Mapping[str, Any], buffer: bytes) -> bytes:
    """A GLB of its JSON and its binary buffer."""
    text = json.dumps(tree, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    buffer += b"\0" * (-len(buffer) % 4)
    body = struct.pack("<I4s", len(text), _JSON) + text + struct.pack("<I4s", len(buffer), _BIN) + buffer
    return struct.pack("<4sII", _MAGIC, 2, 12 + len(body)) + body


def with_morph_targets(glb: bytes, targets: Mapping[str, np.ndarray], weights: Sequence[float]) -> bytes:
    """Give the one mesh of a GLB morph targets, such that it opens looking exactly as it did.

    The stored base is what is left when ``weights`` times the targets are taken away, and ``weights`` are the mesh's
    defaults. Targets are sparse accessors; names go to ``extras.targetNames``, where Blender looks for shape keys.

    Args:
        glb: binary glTF with one mesh of one primitive.
        targets: name -> ``[N, 3]`` displacement of every vertex at weight 1, metres.
        weights: one for each target.

    Raises:
        ValueError: another number of meshes, vertices or weights.
    """
    tree, buffer = read_glb(glb)
    if len(tree.get("meshes", [])) != 1 or len(tree["meshes"][0]["primitives"]) != 1:
        raise ValueError("morph targets need a file with one mesh of one primitive")
    if len(weights) != len(targets):
        raise ValueError(f"{len(targets)} targets, but {len(weights)} weights")
    mesh, data = tree["meshes"][0], bytearray(buffer)
    position = tree["accessors"][mesh["primitives"][0]["attributes"]["POSITION"]]
    start = tree["bufferViews"][position["bufferView"]].get("byteOffset", 0) + position.get("byteOffset", 0)
    count = position["count"]
    base = np.frombuffer(buffer, "<f4", 3 * count, start).reshape(count, 3).astype(np.float64)
    mesh["primitives"][0]["targets"] = []
    for (name, target), weight in zip(targets.items(), weights, strict=True):
        if target.shape != (count, 3):
            raise ValueError(f"target {name} has shape {target.shape}; the mesh has {count} vertices")
        moved = np.flatnonzero(np.abs(target).max(1) > STILL)
        base[moved] -= weight * target[moved].astype(np.float32)
        accessor = _append_sparse(tree, data, moved, target[moved], count)
        mesh["primitives"][0]["targets"].append({"POSITION": accessor})
    data[start : start + 12 * count] = base.astype("<f4").tobytes()
    position |= bounds(base.astype(np.float32))
    mesh["weights"] = [float(weight) for weight in weights]
    mesh["extras"] = {**mesh.get("extras", {}), "targetNames": list(targets)}
    tree["buffers"][0]["byteLength"] = len(data)
    return write_glb_bytes(tree, bytes(data))


def with_extras(glb: bytes, extras: Mapping[str, Any]) -> bytes:
    """Add values to the ``extras`` of the first mesh of a GLB (glTF 2.0, section 3.1.1: application-specific data)."""
    tree, buffer = read_glb(glb)
    mesh = tree["meshes"][0]
    mesh["extras"] = {**mesh.get("extras", {}), **extras}
    return write_glb_bytes(tree, buffer)


def _append_sparse(tree: dict[str, Any], data: bytearray, index: np.ndarray, values: np.ndarray, count: int) -> int:
    """Add an accessor of ``count`` zero vectors but for ``values [M, 3]`` at ``index [M]``; returns its number."""
    stored = values.astype("<f4")
    inside = stored if len(index) == count else np.concatenate([stored, np.zeros((1, 3), np.float32)])
    accessor: dict[str, Any] = {"componentType": _FLOAT, "type": "VEC3", "count": count, **bounds(inside)}
    if len(index):
        kind, component = ("<u2", _UINT16) if count <= 65_535 else ("<u4", _UINT32)
        accessor["sparse"] = {
            "count": len(index),
            "indices": {"bufferView": append_array(tree, data, index.astype(kind)), "componentType": component},
            "values": {"bufferView": append_array(tree, data, stored)},
        }
    tree["accessors"].append(accessor)
    return len(tree["accessors"]) - 1


def append_array(tree: dict[str, Any], data: bytearray, array: np.ndarray) -> int:
    """Add an array to the buffer, aligned to 4 bytes; returns the number of its view."""
    data += b"\0" * (-len(data) % 4)
    tree["bufferViews"].append({"buffer": 0, "byteOffset": len(data), "byteLength": array.nbytes})
    data += array.tobytes()
    return len(tree["bufferViews"]) - 1


def bounds(values: np.ndarray) -> dict[str, list[float]]:
    """``min`` and ``max`` of an accessor over ``values [N, C]``, column by column."""
    return {"min": values.min(0).tolist(), "max": values.max(0).tolist()}
