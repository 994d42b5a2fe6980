"""Recordings of the Android demo (``emoca-recording.json``) as an animated head."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emoca_tf.errors import UserError
from emoca_tf.flame.head import JOINTS, HeadModel
from emoca_tf.io.gltf_animation import Skeleton, with_animation
from emoca_tf.io.mesh import glb_bytes, plain_mesh, seam_corners, textured_mesh

FORMAT = "emoca-tf recording 1"
LARGEST = 256 << 20
"""Bytes of a file that is read: some 90 minutes."""
JAW = JOINTS.index("jaw")
FALLS = 5
"""Entry (1, 2) of the jaw's rotation matrix, which falls as the mouth opens: its target is turned round, since Blender
limits weights to 0..1."""
STILL = 1e-6
"""Metres: pose correctives that move no vertex further are left out."""


@dataclass(frozen=True)
class Recording:
    """Codes of one face over time.

    Attributes:
        head: name of the head model that the codes belong to.
        source: name of the weights that saw them.
        axes: ``[E]`` names of the expression axes.
        shape: ``[S]`` identity coefficients; may be shorter than the head's, the rest is 0.
        times: ``[F]`` seconds, increasing.
        exp: ``[F, E]`` expression coefficients.
        rotations: ``[F, 4]`` the head's turn, unit quaternions x y z w; likewise ``jaws``, relative to the head.
        eyelids: ``[F, 2]`` closures, left and right.
    """

    head: str
    source: str
    axes: tuple[str, ...]
    shape: np.ndarray
    times: np.ndarray
    exp: np.ndarray
    rotations: np.ndarray
    jaws: np.ndarray
    eyelids: np.ndarray


def read_recording(path: Path | str) -> Recording:
    """Read and check a recording.

    Frames that carry the time of the one before are left out.

    Raises:
        UserError: the file is missing, damaged or none.
    """
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST:
            raise UserError(f"{path} has more than {LARGEST >> 20} MB; that is no recording of a face")
        tree = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError):
        raise UserError(f"{path} is no JSON, or was cut off; share the recording from the app again") from None
    if not isinstance(tree, dict) or tree.get("format") != FORMAT:
        raise UserError(f"{path} is no recording of the Android demo (its format is not {FORMAT!r})")
    try:
        return _recording(tree)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is a damaged recording ({_reason(error)})") from None


def _recording(tree: Mapping[str, Any]) -> Recording:
    axes = tuple(str(name) for name in tree["targets"])
    times = _numbers(tree, "times", ())
    if len(times) == 0:
        raise ValueError("it has no frame: no face was seen while it ran")
    if np.any(np.diff(times) < 0):
        raise ValueError("its times run backwards")
    tables = {
        "exp": _numbers(tree, "weights", (len(axes),)),
        "rotations": _numbers(tree, "rotations", (4,)),
        "jaws": _numbers(tree, "jaws", (4,)),
        "eyelids": _numbers(tree, "eyelids", (2,)),
    }
    for name, table in tables.items():
        if len(table) != len(times):
            raise ValueError(f"{len(times)} times, but {len(table)} rows of {name}")
        if name in ("rotations", "jaws") and np.any(np.abs(np.linalg.norm(table, axis=1) - 1) > 1e-3):
            raise ValueError(f"{name} are no unit quaternions")
    later = np.concatenate([[True], np.diff(times) > 0])
    tables = {name: table[later] for name, table in tables.items()}
    shape = _numbers(tree, "shape", ())
    return Recording(str(tree["head"]), str(tree["weights_from"]), axes, shape, times[later], **tables)


def _numbers(tree: Mapping[str, Any], name: str, row: tuple[int, ...]) -> np.ndarray:
    values = np.array(tree[name], np.float64)
    if len(values) == 0:
        values = values.reshape(0, *row)
    if values.shape[1:] != row or not np.isfinite(values).all():
        raise ValueError(f"{name} has shape {values.shape}, or numbers that are none")
    return values


def _reason(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error).splitlines()[0]


def animated_glb(recording: Recording, head: HeadModel) -> bytes:
    """A head that moves as recorded, as binary glTF.

    Morph targets carry the expression axes by name, and what the jaw's turn adds to skinning (FLAME's pose correctives,
    linear in the entries of its rotation matrix); the joints turn head and jaw. A viewer that does morphing and
    skinning as glTF 2.0 says therefore shows FLAME's own vertices; only the joints keep the places that they have
    without expression. Viewers that do not animate show the first frame.

    Raises:
        UserError: the recording belongs to another head.
    """
    if recording.head != head.name:
        raise UserError(
            f"the recording is of head {recording.head!r}, not {head.name!r}; give the right one with --head"
        )
    if len(recording.shape) > head.n_shape or not set(recording.axes) <= set(head.expression_names):
        raise UserError(f"the recording has axes that head {head.name!r} lacks; it was made with another version of it")
    shape = np.zeros(head.n_shape)
    shape[: len(recording.shape)] = recording.shape
    neutral = head.v_template + head.shapedirs[:, :, : head.n_shape] @ shape
    targets, weights = _targets(recording, head)
    first = neutral + sum(weight * target for weight, target in zip(weights[0], targets.values(), strict=True))
    mesh, rows = _mesh(first, head)
    glb = glb_bytes(
        mesh,
        {name: target[rows] for name, target in targets.items()},
        [float(weight) for weight in weights[0]],
        {"head": head.name, "weights_from": recording.source},
    )
    skeleton = Skeleton(
        JOINTS, [int(parent) for parent in head.kintree_table[0]], head.J_regressor @ neutral, head.weights[rows]
    )
    return with_animation(
        glb, skeleton, recording.times, weights, {JOINTS[0]: recording.rotations, JOINTS[JAW]: recording.jaws}
    )


def _targets(recording: Recording, head: HeadModel) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Displacements ``[V, 3]`` by name, and ``[F, T]`` weights."""
    axes = [head.expression_names.index(name) for name in recording.axes]
    targets = {head.expression_names[axis]: head.shapedirs[:, :, head.n_shape + axis] for axis in axes}
    columns = [recording.exp]
    correctives = head.posedirs.reshape(head.n_vertices, 3, -1, 9)[:, :, JAW - 1]
    turned = _matrices(recording.jaws).reshape(-1, 9) - np.eye(3).reshape(-1)
    for entry in np.flatnonzero(np.abs(correctives).max((0, 1)) > STILL):
        sign = -1 if entry == FALLS else 1
        targets[f"jawCorrective{entry // 3}{entry % 3}"] = sign * correctives[:, :, entry]
        columns.append(sign * turned[:, entry, None])
    if head.eyelids is not None:
        targets |= dict(zip(("eyelidLeft", "eyelidRight"), head.eyelids, strict=True))
        columns.append(recording.eyelids)
    return targets, np.concatenate(columns, 1)


def _matrices(quaternions: np.ndarray) -> np.ndarray:
    """``[F, 3, 3]`` rotation matrices of unit quaternions x y z w."""
    x, y, z, w = quaternions.T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), 2, 0)


def _mesh(vertices: np.ndarray, head: HeadModel) -> tuple[Any, np.ndarray]:
    """Textured with the mean albedo where the head has texture coordinates; and rows of the head's vertices."""
    if head.uv is None or head.uv_faces is None:
        return plain_mesh(vertices, head.f), np.arange(head.n_vertices)
    from emoca_tf.capture.refine import albedo_of  # loads TensorFlow

    mesh = textured_mesh(vertices, head.f, head.uv, head.uv_faces, albedo_of(head).mean)
    return mesh, seam_corners(head.f, head.uv_faces)[0][:, 0]
