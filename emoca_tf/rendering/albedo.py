"""Albedo model: mean texture plus a linear basis, as data and as a layer.

Source: DECA:decalib/models/FLAME.py (FLAMETex; spec section 1.5).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from emoca_tf.errors import UserError
from emoca_tf.io.npz import read_npz, write_npz
from emoca_tf.rendering.official_albedo import OFFICIAL_LICENCE, read_official_albedo

SIZE = 256
COMPONENTS = 50
DEFAULT_FILE = "default_albedo.npz"


@dataclass(frozen=True)
class AlbedoModel:
    """Textures of a head: ``mean + basis . code``, RGB in 0..1.

    Attributes:
        name: what the model is called.
        mean: ``[256, 256, 3]`` float32.
        basis: ``[256, 256, 3, K]`` float32.
        component_names: K names, or empty.
        licence: licence of the data.
        source: where the data come from.
    """

    name: str
    mean: np.ndarray
    basis: np.ndarray
    component_names: tuple[str, ...] = ()
    licence: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        if self.mean.ndim != 3 or self.mean.shape[-1] != 3 or self.basis.shape[:-1] != self.mean.shape:
            raise UserError(
                f"albedo '{self.name}': mean {self.mean.shape} and basis {self.basis.shape} do not fit together"
            )

    def save_exact(self, path: Path | str) -> None:
        """Write the model atomically without loss (float32; about 40 MB for 50 components)."""
        write_npz(path, {"mean": self.mean, "basis": self.basis, "meta": self._meta()}, compress=False)

    def _meta(self) -> np.ndarray:
        names = list(self.component_names)
        meta = {"name": self.name, "licence": self.licence, "source": self.source, "component_names": names}
        return np.frombuffer(json.dumps(meta, ensure_ascii=True, sort_keys=True).encode(), np.uint8)

    def save(self, path: Path | str, basis_size: int = SIZE) -> None:
        """Write the model atomically, mean as uint8 and basis as int8 with one scale per component (lossy).

        Args:
            path: the file to write.
            basis_size: edge at which the basis is stored (at most 256; it is enlarged again when read).
        """
        basis = np.moveaxis(self.basis, -1, 0).astype(np.float32)
        if basis_size != basis.shape[1]:
            basis = tf.image.resize(basis, [basis_size, basis_size], method="area").numpy()
        scale = np.abs(basis).max((1, 2, 3)) / 127
        quantised = np.round(basis / np.where(scale > 0, scale, 1)[:, None, None, None])
        arrays = {
            "mean": np.round(self.mean.clip(0, 1) * 255).astype(np.uint8),
            "basis_q": quantised.astype(np.int8),
            "basis_scale": scale.astype(np.float32),
            "meta": self._meta(),
        }
        write_npz(path, arrays)

    @classmethod
    def load(cls, path: Path | str = "default") -> AlbedoModel:
        """Read a model written by :meth:`save` or :meth:`save_exact`; ``"default"`` is the embedded one.

        Raises:
            UserError: if the file is missing, damaged, or not an albedo model.
        """
        if str(path) == "default":
            with as_file(files("emoca_tf.rendering") / "data" / DEFAULT_FILE) as real:
                arrays = read_npz(real)
        else:
            arrays = read_npz(Path(path))
        needed = ("mean", "basis", "meta") if "basis" in arrays else ("mean", "basis_q", "basis_scale", "meta")
        missing = [key for key in needed if key not in arrays]
        if missing:
            raise UserError(f"{path} is not an emoca-tf albedo model (no {', '.join(missing)})")
        try:
            meta: dict[str, Any] = json.loads(arrays["meta"].tobytes())
        except ValueError as error:
            raise UserError(f"{path}: the albedo model's description is damaged ({error})") from None
        names = tuple(meta.get("component_names", ()))
        description = {key: str(meta.get(key, "")) for key in ("name", "licence", "source")}
        if "basis" in arrays:
            return cls(mean=arrays["mean"], basis=arrays["basis"], component_names=names, **description)
        mean = arrays["mean"].astype(np.float32) / (255 if arrays["mean"].dtype == np.uint8 else 1)
        basis = arrays["basis_q"].astype(np.float32) * arrays["basis_scale"][:, None, None, None]
        if basis.shape[1:3] != mean.shape[:2]:
            basis = tf.image.resize(basis, mean.shape[:2], method="bilinear").numpy()
        return cls(mean=mean, basis=np.moveaxis(basis, 0, -1), component_names=names, **description)

    @classmethod
    def from_official(cls, path: Path | str) -> AlbedoModel:
        """Read ``FLAME_albedo_from_BFM.npz`` (MU, PC) or ``FLAME_texture.npz`` (mean, tex_dir) of 512 x 512.

        The original's nearest halving is ``[::2, ::2]``; channels go from BGR to RGB.

        Raises:
            UserError: if the file is neither.
        """
        kind, mean, basis = read_official_albedo(Path(path), COMPONENTS)
        return cls(f"{kind} albedo", mean, basis, licence=OFFICIAL_LICENCE, source=Path(path).name)


class Albedo(keras.layers.Layer):
    """Texture code to texture: ``[B, K]`` -> ``[B, 256, 256, 3]`` RGB, not clipped (as the original)."""

    def __init__(self, model: AlbedoModel, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mean = np.ascontiguousarray(model.mean, np.float32)
        self.basis = np.ascontiguousarray(model.basis.reshape(-1, model.basis.shape[-1]).T, np.float32)

    def call(self, code: tf.Tensor) -> tf.Tensor:
        code = tf.convert_to_tensor(code)
        if code.shape[-1] != len(self.basis):
            raise ValueError(f"texture code has {code.shape[-1]} numbers, the model {len(self.basis)} components")
        texture = tf.linalg.matmul(code, tf.constant(self.basis, code.dtype))
        return tf.constant(self.mean, code.dtype) + tf.reshape(texture, [-1, *self.mean.shape])
