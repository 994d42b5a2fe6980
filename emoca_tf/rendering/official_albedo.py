"""The official texture files, read in pieces: they are larger than a gigabyte, of which 40 MB are needed.

Source: DECA:decalib/models/FLAME.py (FLAMETex; spec section 1.5).
"""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from emoca_tf.errors import UserError

EDGE = 512
HALVING = 2  # the original's nearest resize from 512 to 256 takes every second row and column
OFFICIAL_LICENCE = "the licence of the texture file (BFM or FLAME: non-commercial research, not redistributable)"
# Kind, entry of the mean, entry of the basis, scale of the values.
_LAYOUTS = (("BFM", "MU", "PC", 1.0), ("FLAME", "mean", "tex_dir", 255.0))
_MAX_COMPONENTS = 1000


def read_official_albedo(path: Path, components: int) -> tuple[str, np.ndarray, np.ndarray]:
    """Read ``FLAME_albedo_from_BFM.npz`` or ``FLAME_texture.npz``.

    Args:
        path: the file.
        components: how many of its first components to keep at most (DECA and EMOCA: 50).

    Returns:
        ``"BFM"`` or ``"FLAME"``; mean ``[256, 256, 3]`` and basis ``[256, 256, 3, components]``, float32 RGB, 0..1.

    Raises:
        UserError: if the file is neither, damaged, or not of 512 x 512.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            found = [one for one in _LAYOUTS if f"{one[1]}.npy" in names and f"{one[2]}.npy" in names]
            if not found:
                raise UserError(f"{path} is no FLAME texture model (neither MU and PC nor mean and tex_dir inside)")
            kind, mean_key, basis_key, scale = found[0]
            with archive.open(f"{mean_key}.npy") as stream:
                mean = _texture(stream, 1, f"{path}: {mean_key}")[..., 0]
            with archive.open(f"{basis_key}.npy") as stream:
                basis = _texture(stream, components, f"{path}: {basis_key}")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a directory, not a file") from None
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, NotImplementedError, RuntimeError) as error:
        raise UserError(f"{path} is not a readable .npz file ({str(error)[:120]})") from None
    return kind, mean / np.float32(scale), basis / np.float32(scale)


def _texture(stream: IO[bytes], components: int, where: str) -> np.ndarray:
    """``[512 * 512 * 3 (any shape), K]`` in a stream -> ``[256, 256, 3, components]`` float32, RGB from BGR."""
    version = np.lib.format.read_magic(stream)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = header(stream)
    count, rest = divmod(math.prod(shape), EDGE * EDGE * 3)
    if rest or not 1 <= count <= _MAX_COMPONENTS or dtype.kind not in "fiu":
        raise UserError(f"{where} has shape {shape} and type {dtype}; a texture of 512 x 512 x 3 numbers is expected")
    components = min(components, count)
    kept = np.empty((EDGE // HALVING, EDGE // HALVING, 3, components), np.float32)
    if fortran and sum(n > 1 for n in shape) > 1:
        if shape != (EDGE * EDGE * 3, count):
            raise UserError(f"{where} is stored in Fortran order; save the file again with np.ascontiguousarray")
        for column in range(components):
            raw = _exactly(stream, shape[0] * dtype.itemsize, where)
            whole = np.frombuffer(raw, dtype).reshape(EDGE, EDGE, 3)
            kept[..., column] = whole[::HALVING, ::HALVING, ::-1]
        return kept
    for row in range(EDGE):
        raw = _exactly(stream, EDGE * 3 * count * dtype.itemsize, where)
        if row % HALVING == 0:
            values = np.frombuffer(raw, dtype).reshape(EDGE, 3, count)
            kept[row // HALVING] = values[::HALVING, ::-1, :components]
    return kept


def _exactly(stream: IO[bytes], size: int, where: str) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise UserError(f"{where} is cut off; get the file again")
    return data
