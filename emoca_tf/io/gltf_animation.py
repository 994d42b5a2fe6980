"""Joints and animation for the binary glTF of one mesh (glTF 2.0, sections 3.7.3 skins and 3.11 animations)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emoca_tf.io.gltf import append_array, bounds, read_glb, write_glb_bytes

_FLOAT, _BYTE = 5126, 5121
_INFLUENCES = 4
"""Joints that move one vertex: what every program takes."""


@dataclass(frozen=True)
class Skeleton:
    """Joints of a mesh at rest.

    Attributes:
        names: ``[J]``, the root first.
        parents: ``[J]`` rows of the parents, each before its children; -1 for the root.
        places: ``[J, 3]`` metres, in the mesh's space.
        weights: ``[N, J]`` share of each joint in each vertex; rows sum to 1.
    """

    names: Sequence[str]
    parents: Sequence[int]
    places: np.ndarray
    weights: np.ndarray


def with_animation(
    glb: bytes,
    skeleton: Skeleton,
    times: np.ndarray,
    weights: np.ndarray,
    rotations: Mapping[str, np.ndarray],
    name: str = "capture",
) -> bytes:
    """Give the one mesh of a GLB joints, and let them and its morph targets move; at rest the joints stand as at first.

    Args:
        glb: binary glTF with one mesh; as many morph targets as ``weights`` has columns.
        skeleton: joints and what they move. No more than four joints may move one vertex.
        times: ``[F]`` seconds, increasing.
        weights: ``[F, T]`` of the morph targets.
        rotations: joint -> ``[F, 4]`` unit quaternions x y z w, relative to the parent.
        name: of the animation.

    Raises:
        ValueError: sizes that do not fit each other, times that do not increase, or a vertex of more than four joints.
    """
    tree, buffer = read_glb(glb)
    data = bytearray(buffer)
    targets = len(tree["meshes"][0]["primitives"][0].get("targets", []))
    if weights.shape != (len(times), targets):
        raise ValueError(f"weights of shape {weights.shape} for {len(times)} times and {targets} morph targets")
    if len(times) == 0 or np.any(np.diff(times) <= 0):
        raise ValueError("an animation needs times, each later than the one before")
    joints = _add_skin(tree, data, skeleton)
    clock = _add(tree, data, times.astype("<f4")[:, None], "SCALAR", limits=True)
    animation: dict[str, Any] = {"name": name, "samplers": [], "channels": []}

    def channel(node: int, path: str, values: int) -> None:
        animation["channels"].append({"sampler": len(animation["samplers"]), "target": {"node": node, "path": path}})
        animation["samplers"].append({"input": clock, "output": values, "interpolation": "LINEAR"})

    channel(0, "weights", _add(tree, data, weights.astype("<f4").reshape(-1, 1), "SCALAR"))
    for joint, turns in rotations.items():
        if turns.shape != (len(times), 4):
            raise ValueError(f"rotations of {joint} have shape {turns.shape} for {len(times)} times")
        smooth = shortest_way(turns)
        tree["nodes"][joints[joint]]["rotation"] = [float(value) for value in smooth[0]]
        channel(joints[joint], "rotation", _add(tree, data, smooth.astype("<f4"), "VEC4"))
    tree["animations"] = [animation]
    tree["buffers"][0]["byteLength"] = len(data)
    return write_glb_bytes(tree, bytes(data))


def shortest_way(turns: np.ndarray) -> np.ndarray:
    """Unit quaternions ``[F, 4]`` with signs such that each is near the one before: q and -q are the same turn."""
    unit = turns / np.linalg.norm(turns, axis=1, keepdims=True)
    flips = np.where((unit[1:] * unit[:-1]).sum(1) < 0, -1.0, 1.0)
    signs: np.ndarray = np.concatenate([[1.0], np.cumprod(flips)])
    return unit * signs[:, None]


def _add_skin(tree: dict[str, Any], data: bytearray, skeleton: Skeleton) -> dict[str, int]:
    """Make the mesh's node (0) a skinned root beside a tree of joints; the joints' nodes by name."""
    order = np.argsort(-skeleton.weights, axis=1, kind="stable")[:, :_INFLUENCES]
    shares = np.take_along_axis(skeleton.weights, order, 1)
    missing = _INFLUENCES - order.shape[1]
    order, shares = (np.pad(values, ((0, 0), (0, max(missing, 0)))) for values in (order, shares))
    if np.any(shares.sum(1) < 0.999):
        raise ValueError("more than four joints move one vertex, or their shares do not sum to 1")
    shares /= shares.sum(1, keepdims=True)
    attributes = tree["meshes"][0]["primitives"][0]["attributes"]
    if len(shares) != tree["accessors"][attributes["POSITION"]]["count"]:
        raise ValueError(f"{len(shares)} rows of shares for another number of vertices")
    order = np.where(shares > 0, order, 0)  # a joint without a share has to be the first one
    attributes["JOINTS_0"] = _add(tree, data, order.astype("<u1"), "VEC4", component=_BYTE)
    attributes["WEIGHTS_0"] = _add(tree, data, shares.astype("<f4"), "VEC4")
    inverse = np.tile(np.eye(4, dtype="<f4"), (len(skeleton.names), 1, 1))
    inverse[:, 3, :3] = -skeleton.places  # stored column by column: the last column is the last row here
    matrices = _add(tree, data, inverse.reshape(-1, 16), "MAT4")

    nodes: list[dict[str, Any]] = [{"name": "head", "mesh": 0, "skin": 0}]
    for name, parent, place in zip(skeleton.names, skeleton.parents, skeleton.places, strict=True):
        base = skeleton.places[parent] if parent >= 0 else np.zeros(3)
        nodes.append({"name": name, "translation": [float(value) for value in place - base]})
        if parent >= 0:
            nodes[1 + parent].setdefault("children", []).append(len(nodes) - 1)
    tree["nodes"] = nodes
    tree["scene"], tree["scenes"] = 0, [{"nodes": [0, 1]}]
    joints = list(range(1, len(nodes)))
    tree["skins"] = [{"inverseBindMatrices": matrices, "joints": joints, "skeleton": 1}]
    return dict(zip(skeleton.names, joints, strict=True))


def _add(
    tree: dict[str, Any], data: bytearray, rows: np.ndarray, kind: str, component: int = _FLOAT, limits: bool = False
) -> int:
    """Add an accessor over ``rows [N, ...]``; its number."""
    view = append_array(tree, data, rows)
    accessor = {"bufferView": view, "componentType": component, "type": kind, "count": len(rows)}
    tree["accessors"].append(accessor | (bounds(rows) if limits else {}))
    return len(tree["accessors"]) - 1
