"""``.npz`` files without pickles: deterministic bytes out, bounded sizes in."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from emoca_tf.errors import UserError
from emoca_tf.io.atomic import atomic_path

MAX_ARRAY_BYTES = 512 * 2**20


def write_npz(path: Path | str, arrays: Mapping[str, Any], compress: bool = True) -> None:
    """Write an ``.npz`` atomically; equal arrays give equal bytes (zip entries carry a fixed date).

    Args:
        path: the file.
        arrays: name -> array, or anything that becomes one when it is its turn (tensors that still lie in a file).
        compress: slow and useless for trained weights, which are noise to a compressor.
    """
    method = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with (
        atomic_path(path) as temporary,
        zipfile.ZipFile(temporary, "w", method, compresslevel=9) as archive,
    ):
        for name in sorted(arrays):
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = method
            entry.external_attr = 0o644 << 16
            with archive.open(entry, "w") as stream:
                np.lib.format.write_array(stream, np.ascontiguousarray(arrays[name]), allow_pickle=False)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Read every array of an ``.npz`` without unpickling anything.

    Raises:
        UserError: if the file is missing, damaged, holds pickled objects, or an array is absurdly large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                if entry.file_size > MAX_ARRAY_BYTES:
                    raise UserError(f"{path}: array {entry.filename} claims {entry.file_size} bytes; refused")
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a directory, not a file") from None
    except (zipfile.BadZipFile, ValueError, EOFError, KeyError, NotImplementedError, zlib.error) as error:
        raise UserError(f"{path} is not a readable .npz file ({error})") from None
