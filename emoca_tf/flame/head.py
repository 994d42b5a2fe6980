"""A head model as data: the arrays of a FLAME-format head under FLAME's own names.

The default head and an imported official FLAME file are the same class; nothing downstream asks which one it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np

from emoca_tf.errors import UserError
from emoca_tf.io.npz import read_npz, write_npz

JOINTS = ("global", "neck", "jaw", "left_eye", "right_eye")
DEFAULT_FILE = "default_head.npz"
DEFAULT_HEAD_NAME = "anny-default"


@dataclass(frozen=True)
class LandmarkTable:
    """Points on the surface: triangle indices and barycentric weights.

    Attributes:
        faces_idx: ``[..., N]`` int32 rows of ``f``.
        bary_coords: ``[..., N, 3]`` float32 weights of the three corners, sum 1.
    """

    faces_idx: np.ndarray
    bary_coords: np.ndarray


@dataclass(frozen=True)
class HeadModel:
    """A FLAME-format head. Lengths are metres; x points to the person's left, y up, z out of the face.

    Attributes:
        name: what the head is called in ``capture.json``.
        v_template: ``[V, 3]`` float32 mean head.
        f: ``[F, 3]`` int32 triangles, counter-clockwise seen from outside.
        shapedirs: ``[V, 3, n_shape + n_exp]`` float32, identity directions then expression directions.
        n_shape: number of identity directions (100 in DECA).
        posedirs: ``[V, 3, 36]`` float32 correctives of ``(R[1:] - I)`` flattened row-major.
        J_regressor: ``[5, V]`` float32.
        weights: ``[V, 5]`` float32 skinning weights.
        kintree_table: ``[2, 5]`` int64, row 0 the parents with -1 for the root.
        expression_names: axis names, ARKit's where the axis is an ARKit one; ``exp_000`` ... for official FLAME.
        exp_range: ``[n_exp, 2]`` float32 lowest and highest sensible coefficient, or None (standard-normal axes).
        uv: ``[T, 2]`` float32 texture vertices in 0..1, v up (as in OBJ), or None.
        uv_faces: ``[F, 3]`` int32 rows of ``uv``, or None.
        landmarks: the tables the head has: ``static`` (51), ``dynamic`` (79 x 17 contour points by yaw), ``full`` (68),
            ``mediapipe`` (N).
        mediapipe_indices: ``[N]`` int32, which of MediaPipe's 478 points each row of ``mediapipe`` is, or None.
        masks: region name -> int32 vertex indices.
        eyelids: ``[2, V, 3]`` float32 left and right closure added after skinning (SMIRK), or None.
        licence: licence of the data.
        source: where the data come from.
    """

    name: str
    v_template: np.ndarray
    f: np.ndarray
    shapedirs: np.ndarray
    n_shape: int
    posedirs: np.ndarray
    J_regressor: np.ndarray
    weights: np.ndarray
    kintree_table: np.ndarray
    expression_names: tuple[str, ...]
    exp_range: np.ndarray | None = None
    uv: np.ndarray | None = None
    uv_faces: np.ndarray | None = None
    landmarks: Mapping[str, LandmarkTable] = field(default_factory=dict)
    mediapipe_indices: np.ndarray | None = None
    masks: Mapping[str, np.ndarray] = field(default_factory=dict)
    eyelids: np.ndarray | None = None
    licence: str = ""
    source: str = ""

    @property
    def n_vertices(self) -> int:
        return len(self.v_template)

    @property
    def n_exp(self) -> int:
        return int(self.shapedirs.shape[2]) - self.n_shape

    @property
    def exp_limits(self) -> tuple[float, float] | None:
        """Lowest and highest sensible coefficient of every expression axis; None without, or where axes differ."""
        if self.exp_range is None or not len(self.exp_range) or (self.exp_range != self.exp_range[0]).any():
            return None
        return float(self.exp_range[0, 0]), float(self.exp_range[0, 1])

    def __post_init__(self) -> None:
        V, J = len(self.v_template), len(JOINTS)
        expected = {
            "v_template": (V, 3),
            "shapedirs": (V, 3, self.shapedirs.shape[-1]),
            "posedirs": (V, 3, 9 * (J - 1)),
            "J_regressor": (J, V),
            "weights": (V, J),
            "kintree_table": (2, J),
            "f": (len(self.f), 3),
        }
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise UserError(f"head '{self.name}': {name} has shape {getattr(self, name).shape}, expected {shape}")
        if not 0 < self.n_shape <= self.shapedirs.shape[2]:
            raise UserError(f"head '{self.name}': n_shape {self.n_shape} outside 1..{self.shapedirs.shape[2]}")
        if self.f.min() < 0 or self.f.max() >= V:
            raise UserError(f"head '{self.name}': f names vertices outside 0..{V - 1}")
        if len(self.expression_names) != self.n_exp:
            raise UserError(
                f"head '{self.name}': {len(self.expression_names)} expression names for {self.n_exp} expression axes"
            )
        self._check_range()

    def _check_range(self) -> None:
        if self.exp_range is None:
            return
        if self.exp_range.shape != (self.n_exp, 2):
            raise UserError(
                f"head '{self.name}': exp_range has shape {self.exp_range.shape}, expected {(self.n_exp, 2)}"
            )
        if not (np.isfinite(self.exp_range).all() and (self.exp_range[:, 0] < self.exp_range[:, 1]).all()):
            raise UserError(f"head '{self.name}': exp_range must be finite, the lower limit below the upper one")

    def truncated(self, n_shape: int, n_exp: int) -> HeadModel:
        """The same head with its first ``n_shape`` identity and ``n_exp`` expression directions (DECA: 100 and 50).

        Raises:
            UserError: if the head has fewer.
        """
        if n_shape > self.n_shape or n_exp > self.n_exp:
            raise UserError(
                f"head '{self.name}' has {self.n_shape} shape and {self.n_exp} expression axes; "
                f"{n_shape} and {n_exp} were asked for"
            )
        columns = [*range(n_shape), *range(self.n_shape, self.n_shape + n_exp)]
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        values |= {
            "shapedirs": self.shapedirs[:, :, columns],
            "n_shape": n_shape,
            "expression_names": self.expression_names[:n_exp],
            "exp_range": None if self.exp_range is None else self.exp_range[:n_exp],
        }
        return HeadModel(**values)

    def sha256(self) -> str:
        """Hex digest over every array with its name, shape and type: which head this is, whatever file it came in."""
        digest = hashlib.sha256()
        for name, array in sorted(self._arrays().items()):
            digest.update(f"{name} {array.shape} {array.dtype.str}\n".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def identity(self) -> dict[str, Any]:
        """What ``capture.json`` says about the head: name, hash, counts, licence and source."""
        return {
            "name": self.name,
            "sha256": self.sha256(),
            "vertices": self.n_vertices,
            "shape_axes": self.n_shape,
            "expression_axes": self.n_exp,
            "unit": "metres",
            "licence": self.licence,
            "source": self.source,
        }

    def _arrays(self) -> dict[str, np.ndarray]:
        arrays: dict[str, np.ndarray] = {}
        for name in ("v_template", "f", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table"):
            arrays[name] = getattr(self, name)
        for name in ("exp_range", "uv", "uv_faces", "mediapipe_indices", "eyelids"):
            if getattr(self, name) is not None:
                arrays[name] = getattr(self, name)
        for name, table in self.landmarks.items():
            arrays[f"lmk_{name}_faces_idx"] = table.faces_idx
            arrays[f"lmk_{name}_bary_coords"] = table.bary_coords
        for name, vertices in self.masks.items():
            arrays[f"mask_{name}"] = vertices
        return arrays

    def save(self, path: Path | str, half_precision: bool = False) -> None:
        """Write the head as one ``.npz``, atomically and with identical bytes for identical data.

        Args:
            path: the file to write.
            half_precision: store ``shapedirs`` and ``posedirs`` as float16 (rounding below 0.05 mm on a head).
        """
        arrays = self._arrays()
        if half_precision:
            arrays |= {name: arrays[name].astype(np.float16) for name in ("shapedirs", "posedirs")}
        meta = {
            "name": self.name,
            "n_shape": self.n_shape,
            "expression_names": list(self.expression_names),
            "licence": self.licence,
            "source": self.source,
        }
        arrays["meta"] = np.frombuffer(json.dumps(meta, ensure_ascii=True, sort_keys=True).encode(), np.uint8)
        write_npz(path, arrays)

    @classmethod
    def load(cls, path: Path | str = "default") -> HeadModel:
        """Read a head written by :meth:`save`; ``"default"`` is the embedded head.

        Raises:
            UserError: if the file is missing, damaged, or not a head model.
        """
        if str(path) == "default":
            resource = files("emoca_tf.flame") / "data" / DEFAULT_FILE
            with as_file(resource) as real:
                return cls._from_arrays(read_npz(real), "default head")
        return cls._from_arrays(read_npz(Path(path)), str(path))

    @classmethod
    def _from_arrays(cls, arrays: dict[str, np.ndarray], where: str) -> HeadModel:
        required = ("v_template", "f", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table", "meta")
        missing = [name for name in required if name not in arrays]
        if missing:
            raise UserError(
                f"{where} is not an emoca-tf head model (no {', '.join(missing)}); give one written by HeadModel.save"
            )
        try:
            meta: dict[str, Any] = json.loads(arrays.pop("meta").tobytes())
            names = tuple(str(name) for name in meta["expression_names"])
            n_shape = int(meta["n_shape"])
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{where}: the head's description is damaged ({error}); write the file again") from None
        landmarks = {
            key[len("lmk_") : -len("_faces_idx")]: LandmarkTable(
                arrays[key], arrays[key.replace("_faces_idx", "_bary_coords")].astype(np.float32)
            )
            for key in arrays
            if key.startswith("lmk_") and key.endswith("_faces_idx")
        }
        optional: dict[str, Any] = {
            name: arrays.get(name) for name in ("exp_range", "uv", "uv_faces", "mediapipe_indices", "eyelids")
        }
        floats = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights")
        return cls(
            name=str(meta.get("name", "head")),
            n_shape=n_shape,
            expression_names=names,
            licence=str(meta.get("licence", "")),
            source=str(meta.get("source", "")),
            f=arrays["f"].astype(np.int32),
            kintree_table=arrays["kintree_table"].astype(np.int64),
            landmarks=landmarks,
            masks={key[len("mask_") :]: arrays[key] for key in arrays if key.startswith("mask_")},
            **{name: arrays[name].astype(np.float32) for name in floats},
            **optional,
        )
