"""NumPy arrays out of inert pickle records: numpy, chumpy and scipy.sparse objects as plain data.

Nothing here imports chumpy or calls what the pickle names; shapes and sizes are checked before memory is taken.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from emoca_tf.errors import UserError
from emoca_tf.io.safe_pickle import Instance

MAX_ARRAY_BYTES = 2**30
MAX_DENSE = 2**27  # elements of a sparse matrix made dense
_DTYPE = re.compile(r"[<>=|]?[biufc]\d{1,2}")
_NESTING = 4  # chumpy around chumpy around an array


def as_array(value: Any, where: str, tensor: Callable[[Any], np.ndarray | None] | None = None) -> np.ndarray | None:
    """The array that a pickle record stands for.

    Args:
        value: from :func:`emoca_tf.io.safe_pickle.read_pickle`.
        where: name for messages.
        tensor: tried first; resolves what this function does not know (torch tensors).

    Returns:
        The array (sparse matrices dense, chumpy variables their value), or None when ``value`` is no numeric array.

    Raises:
        UserError: if the array's parts contradict each other or it is absurdly large.
    """
    try:
        return _array(value, where, tensor, _NESTING)
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, MemoryError) as error:
        raise UserError(f"{where} holds a damaged array ({str(error)[:120]}); get the file again") from None


def object_array_items(value: Any) -> list[Any]:
    """The Python values in a pickled NumPy object array (what ``np.save`` makes of a dict); empty if it is none."""
    if isinstance(value, Instance) and value.kind.name == "_reconstruct" and isinstance(value.state, tuple):
        last = value.state[-1]
        return last if isinstance(last, list) else []
    return []


def _array(value: Any, where: str, tensor: Callable[[Any], np.ndarray | None] | None, depth: int) -> np.ndarray | None:
    if depth == 0 or not isinstance(value, Instance):
        return _numbers(value)
    if tensor is not None and (found := tensor(value)) is not None:
        return found
    package, name = value.kind.module.split(".")[0], value.kind.name
    if package == "numpy":
        return _numpy(value, where)
    state = value.state
    if package == "chumpy" and isinstance(state, dict):
        return _array(state.get("x"), where, tensor, depth - 1)
    if package == "scipy" and isinstance(state, dict):
        if isinstance(state.get("coords"), tuple) and len(state["coords"]) == 2:  # scipy >= 1.13
            state = {**state, "row": state["coords"][0], "col": state["coords"][1]}
        parts = {key: _array(state.get(key), where, tensor, depth - 1) for key in _SPARSE_PARTS}
        shape = state.get("_shape", state.get("shape"))
        return _dense(name, parts, shape)
    return None


def _numbers(value: Any) -> np.ndarray | None:
    """A list or nested list of numbers (some FLAME tools write triangles so), or None."""
    if not isinstance(value, list) or not value or len(value) > 10**6:
        return None
    if all(isinstance(v, int | float) for v in value):
        return np.array(value)
    if all(isinstance(v, list | tuple) and len(v) == 3 and all(isinstance(n, int | float) for n in v) for v in value):
        return np.array(value)
    return None


def _dtype(value: Any) -> np.dtype[Any] | None:
    """A plain numeric dtype, or None for objects, text and records."""
    if not isinstance(value, Instance) or value.kind.name != "dtype" or not value.args:
        return None
    code = str(value.args[0])
    if not _DTYPE.fullmatch(code):
        return None
    order = value.state[1] if isinstance(value.state, tuple) and len(value.state) > 1 else "<"
    dtype = np.dtype(code)
    return dtype.newbyteorder(">") if order == ">" else dtype


def _numpy(value: Instance, where: str) -> np.ndarray | None:
    name, state = value.kind.name, value.state
    if name == "_reconstruct" and isinstance(state, tuple) and len(state) == 5:
        _, shape, dtype, fortran, raw = state
        return _from_bytes(raw, _dtype(dtype), shape, bool(fortran), where)
    if name == "_frombuffer" and len(value.args) == 4:
        raw, dtype, shape, order = value.args
        return _from_bytes(raw, _dtype(dtype), shape, order == "F", where)
    if name == "scalar" and len(value.args) == 2:
        return _from_bytes(value.args[1], _dtype(value.args[0]), (), False, where)
    return None


def _from_bytes(raw: Any, dtype: np.dtype[Any] | None, shape: Any, fortran: bool, where: str) -> np.ndarray | None:
    if dtype is None or isinstance(raw, list):
        return None
    if isinstance(raw, str):  # written by Python 2
        raw = raw.encode("latin-1")
    _check_shape(shape)
    size = math.prod(shape) * dtype.itemsize
    if size > MAX_ARRAY_BYTES:
        raise UserError(f"{where}: an array claims {size} bytes; refused")
    if not isinstance(raw, bytes) or len(raw) != size:
        got = len(raw) if isinstance(raw, bytes) else type(raw).__name__
        raise ValueError(f"shape {shape} needs {size} bytes, the file holds {got}")
    return np.frombuffer(raw, dtype).reshape(shape, order="F" if fortran else "C").astype(dtype.newbyteorder("="))


def _check_shape(shape: Any) -> None:
    if not isinstance(shape, tuple) or len(shape) > 8 or any(type(n) is not int or n < 0 for n in shape):
        raise ValueError("a shape that is no tuple of sizes")


_SPARSE_PARTS = ("data", "indices", "indptr", "row", "col")


def _dense(name: str, parts: dict[str, np.ndarray | None], shape: Any) -> np.ndarray | None:
    """A compressed or coordinate matrix as a dense one; indices are checked, duplicates summed as scipy does."""
    _check_shape(shape)
    if len(shape) != 2 or math.prod(shape) > MAX_DENSE:
        raise ValueError(f"a sparse matrix of shape {shape}")
    data = parts["data"]
    if data is None:
        return None
    if name.startswith(("csc", "csr")):
        minor, pointers = parts["indices"], parts["indptr"]
        if minor is None or pointers is None or len(pointers) != shape[name.startswith("csc")] + 1:
            raise ValueError("the index of a sparse matrix does not fit its shape")
        counts = np.diff(pointers)
        if (counts < 0).any() or counts.sum() != len(data):
            raise ValueError("the index of a sparse matrix does not fit its values")
        major = np.repeat(np.arange(len(counts)), counts)
        rows, columns = (minor, major) if name.startswith("csc") else (major, minor)
    elif name.startswith("coo") and parts["row"] is not None and parts["col"] is not None:
        rows, columns = parts["row"], parts["col"]
    else:
        return None
    if len(rows) != len(data) or len(columns) != len(data) or rows.min(initial=0) < 0 or columns.min(initial=0) < 0:
        raise ValueError("the indices of a sparse matrix do not fit its values")
    dense = np.zeros(shape, data.dtype)
    np.add.at(dense, (rows, columns), data)
    return dense
