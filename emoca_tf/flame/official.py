"""The official FLAME files (2016, 2019, 2020, 2023) and what belongs to them -> our head model.

Nothing is executed: pickles are read as data, chumpy and torch are not needed. Layouts: spec sections 2.1 and 2.3.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from emoca_tf.errors import UserError
from emoca_tf.flame.head import JOINTS, HeadModel, LandmarkTable
from emoca_tf.io.files import map_file, refuse_impostors
from emoca_tf.io.npz import read_npz
from emoca_tf.io.pickled_arrays import as_array, object_array_items
from emoca_tf.io.safe_pickle import read_pickle
from emoca_tf.io.torch_file import inner_tensor

LICENCE = (
    "the licence of the FLAME file you downloaded (Max Planck: non-commercial research for 2016 to 2020 and 2023; "
    "CC-BY-4.0 with attribution for 2023 Open); not redistributable unless it says so"
)
IDENTITY_COLUMNS = {400: 300, 150: 100}
"""Number of shapedirs in a file -> how many of them are identity."""

_ARRAYS = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table", "f")
_LANDMARK_KEYS = {"static": "static_lmk", "dynamic": "dynamic_lmk", "full": "full_lmk"}


def read_flame(path: Path, n_shape: int = 100, n_exp: int = 50) -> HeadModel:
    """Read ``generic_model.pkl``, ``flame2023.pkl`` or another pickle of the same layout.

    Args:
        path: the file.
        n_shape: identity directions to keep (DECA and EMOCA: 100 of 300).
        n_exp: expression directions to keep (DECA and EMOCA: 50 of 100).

    Raises:
        UserError: damaged, hostile, or not a FLAME model; or it has fewer directions.
    """
    values = _read_dict(path)
    arrays: dict[str, np.ndarray] = {}
    for key in _ARRAYS:
        array = as_array(values.get(key), str(path), inner_tensor)
        if array is None:
            raise UserError(f"{path} is no FLAME model ({key} is missing or no array); give generic_model.pkl")
        arrays[key] = array
    columns = arrays["shapedirs"].shape[-1]
    if arrays["shapedirs"].ndim != 3 or columns not in IDENTITY_COLUMNS:
        raise UserError(
            f"{path}: shapedirs has shape {arrays['shapedirs'].shape}; [V, 3, 400] (300 identity, 100 expression) or "
            "[V, 3, 150] (100, 50) is known"
        )
    identity = IDENTITY_COLUMNS[columns]
    if arrays["f"].size == 0 or arrays["f"].min() < 0:
        raise UserError(f"{path}: the triangles are damaged; get the file again")
    floats: dict[str, Any] = {key: arrays[key].astype(np.float32) for key in _ARRAYS[:5]}
    head = HeadModel(
        name=f"FLAME ({path.stem})",
        f=arrays["f"].astype(np.int32),
        n_shape=identity,
        kintree_table=_kintree(arrays["kintree_table"], path),
        expression_names=tuple(f"exp_{index:03d}" for index in range(columns - identity)),
        licence=LICENCE,
        source=path.name,
        **floats,
    )
    return head.truncated(n_shape, n_exp)


def read_landmarks(path: Path) -> dict[str, LandmarkTable]:
    """Read DECA's ``landmark_embedding.npy``: ``static`` 51, ``dynamic`` 79 x 17, ``full`` 68.

    Raises:
        UserError: damaged, hostile, or another file.
    """
    values = _read_npy_dict(path)
    tables = {}
    for name, prefix in _LANDMARK_KEYS.items():
        faces, weights = (
            as_array(values.get(f"{prefix}_{part}"), str(path), inner_tensor) for part in ("faces_idx", "bary_coords")
        )
        if faces is None or weights is None:
            raise UserError(f"{path} has no {prefix}_faces_idx and {prefix}_bary_coords; give landmark_embedding.npy")
        tables[name] = _table(faces, weights, path)
    return tables


def read_mediapipe(path: Path) -> tuple[LandmarkTable, np.ndarray]:
    """Read ``mediapipe_landmark_embedding.npz``: the table, and which of MediaPipe's 478 points its rows are.

    Raises:
        UserError: damaged or another file.
    """
    arrays = read_npz(path)
    missing = {"lmk_face_idx", "lmk_b_coords", "landmark_indices"} - arrays.keys()
    if missing:
        raise UserError(f"{path} has no {', '.join(sorted(missing))}; give mediapipe_landmark_embedding.npz")
    table = _table(arrays["lmk_face_idx"], arrays["lmk_b_coords"], path)
    indices = arrays["landmark_indices"].astype(np.int32)
    if indices.shape != table.faces_idx.shape or (len(indices) and (indices.min() < 0 or indices.max() > 477)):
        raise UserError(f"{path}: landmark_indices {indices.shape} do not name points of MediaPipe's 478")
    return table, indices


def read_masks(path: Path, n_vertices: int) -> dict[str, np.ndarray]:
    """Read ``FLAME_masks.pkl``: region name -> int32 vertex indices.

    Raises:
        UserError: damaged, hostile, or for another mesh.
    """
    masks = {}
    for name, value in _read_dict(path).items():
        array = as_array(value, str(path), inner_tensor)
        if not isinstance(name, str) or array is None or array.ndim != 1 or array.dtype.kind not in "iu":
            raise UserError(f"{path}: region '{str(name)[:40]}' is no list of vertices; give FLAME_masks.pkl")
        if array.size and (array.min() < 0 or array.max() >= n_vertices):
            raise UserError(f"{path}: region '{name}' names vertices outside 0..{n_vertices - 1}")
        masks[name] = array.astype(np.int32)
    return masks


def read_uv(path: Path, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Read texture vertices ``[T, 2]`` and ``uv_faces [F, 3]`` from ``head_template.obj``.

    Raises:
        UserError: no OBJ with texture coordinates, or its triangles are not the head's.
    """
    uv: list[tuple[float, float]] = []
    corners: list[list[tuple[int, int]]] = []
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            kind, *fields = line.split() or [""]
            if kind == "vt":
                uv.append((float(fields[0]), float(fields[1])))
            elif kind == "f":
                pairs = [field.split("/")[:2] for field in fields]
                corners.append([(int(vertex) - 1, int(texture) - 1) for vertex, texture in pairs])
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a directory; give head_template.obj") from None
    except (ValueError, IndexError) as error:
        raise UserError(f"{path} is no OBJ file with texture coordinates ({error}); give head_template.obj") from None
    if not uv or any(len(face) != 3 for face in corners):
        raise UserError(f"{path} has no texture coordinates or no triangles; give head_template.obj")
    table = np.array(corners, np.int32).reshape(-1, 3, 2)
    if not np.array_equal(table[..., 0], faces):
        raise UserError(f"{path}: its {len(table)} triangles are not the head's {len(faces)}; it is of another mesh")
    if table[..., 1].min() < 0 or table[..., 1].max() >= len(uv):
        raise UserError(f"{path}: triangles name texture vertices that do not exist")
    return np.array(uv, np.float32), np.ascontiguousarray(table[..., 1])


def read_eyelids(left: Path, right: Path, n_vertices: int) -> np.ndarray:
    """Read SMIRK's ``l_eyelid.npy`` and ``r_eyelid.npy`` -> ``[2, V, 3]`` float32.

    Raises:
        UserError: damaged or for another mesh.
    """
    both = []
    for path in (left, right):
        try:
            array = np.load(path, allow_pickle=False)
        except FileNotFoundError:
            raise UserError(f"{path}: no such file") from None
        except (ValueError, OSError, EOFError) as error:
            raise UserError(f"{path} is no plain .npy array ({str(error)[:100]})") from None
        if not isinstance(array, np.ndarray) or array.shape != (n_vertices, 3):
            raise UserError(f"{path} has shape {getattr(array, 'shape', None)}; expected ({n_vertices}, 3)")
        both.append(array.astype(np.float32))
    return np.stack(both)


def check_tables(head: HeadModel) -> None:
    """Refuse landmark tables that name triangles the head does not have.

    Raises:
        UserError: naming the table.
    """
    for name, table in head.landmarks.items():
        if table.faces_idx.size and table.faces_idx.max() >= len(head.f):
            raise UserError(
                f"the {name} landmarks name triangles outside 0..{len(head.f) - 1}: they are of another mesh"
            )


def _read_dict(path: Path) -> dict[Any, Any]:
    with map_file(path) as data:
        refuse_impostors(path, bytes(data[:1024]))
        value, _ = read_pickle(data, str(path))
    if not isinstance(value, dict):
        raise UserError(f"{path} holds no named arrays; give the official file")
    return value


def _read_npy_dict(path: Path) -> dict[Any, Any]:
    """The dict inside an ``.npy`` file that ``np.save`` made of it."""
    with map_file(path) as data:
        head = bytes(data[:12])
        if head[:6] != b"\x93NUMPY":
            refuse_impostors(path, bytes(data[:1024]))
            raise UserError(f"{path} is no .npy file; give landmark_embedding.npy")
        start = 10 + int.from_bytes(head[8:10], "little") if head[6] == 1 else 12 + int.from_bytes(head[8:12], "little")
        value, _ = read_pickle(data, str(path), min(start, len(data)))
    items = object_array_items(value)
    if len(items) != 1 or not isinstance(items[0], dict):
        raise UserError(f"{path} holds no dict of tables; give landmark_embedding.npy")
    return items[0]


def _table(faces: np.ndarray, weights: np.ndarray, path: Path) -> LandmarkTable:
    if faces.dtype.kind not in "iu" or weights.shape != (*faces.shape, 3) or (faces.size and faces.min() < 0):
        raise UserError(f"{path}: triangles {faces.shape} and weights {weights.shape} do not fit together")
    return LandmarkTable(faces.astype(np.int32), weights.astype(np.float32))


def _kintree(table: np.ndarray, path: Path) -> np.ndarray:
    """Parents with -1 for the root, which old files write as 4294967295 (an unsigned -1)."""
    if table.shape != (2, len(JOINTS)):
        raise UserError(f"{path}: kintree_table has shape {table.shape}, expected (2, {len(JOINTS)})")
    table = table.astype(np.int64)
    table[0, 0] = -1
    return table
