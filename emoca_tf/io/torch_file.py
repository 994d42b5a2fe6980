"""torch checkpoints without torch: the zip container (torch >= 1.6), the legacy container, and plain pickled arrays.

Tensors stay in the file until they are asked for, so that a checkpoint of any size takes little memory; nothing is
executed (see ``emoca_tf/io/safe_pickle.py``). Container layouts: spec section 7.1.
"""

from __future__ import annotations

import math
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from emoca_tf.errors import UserError
from emoca_tf.io.files import map_file, refuse_impostors
from emoca_tf.io.pickled_arrays import as_array
from emoca_tf.io.safe_pickle import Global, Instance, Persistent, read_pickle

MAX_TENSOR_BYTES = 2**30
MAX_ZIP_ENTRIES = 200_000
MAX_ZIP_RATIO = 20  # torch stores without compression; a bomb expands a thousandfold
MAX_ENTRIES = 1_000_000
MAX_PICKLE_IN_ZIP = 256 * 2**20
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C

_DTYPES = {
    "Float": "f4", "Double": "f8", "Half": "f2", "BFloat16": "bfloat16", "Long": "i8", "Int": "i4", "Short": "i2",
    "Char": "i1", "Byte": "u1", "Bool": "?", "ComplexFloat": "c8", "ComplexDouble": "c16",
    "float32": "f4", "float64": "f8", "float16": "f2", "bfloat16": "bfloat16", "int64": "i8", "int32": "i4",
    "int16": "i2", "int8": "i1", "uint8": "u1", "bool": "?", "complex64": "c8", "complex128": "c16",
}  # fmt: skip


class Tensor:
    """A tensor that is read when NumPy asks for it (``np.asarray(tensor)``).

    Attributes:
        shape: its sizes.
        dtype: of the array it becomes (bfloat16 becomes float32).
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any], read: Callable[[], np.ndarray]) -> None:
        self.shape, self.dtype, self._read = shape, dtype, read

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self._read()
        return array if dtype is None else array.astype(dtype, copy=False)

    def __repr__(self) -> str:
        return f"Tensor({self.shape}, {self.dtype})"


@dataclass
class Checkpoint:
    """An open checkpoint file.

    Attributes:
        root: what was saved, as inert data.
        container: ``zip``, ``legacy`` or ``pickle``.
        skipped: names of the classes met while collecting tensors that were left unresolved.
    """

    root: Any
    container: str
    where: str
    _storages: _Storages
    skipped: set[str] = field(default_factory=set)

    def tensors(self, value: Any = None) -> dict[str, Tensor]:
        """Every tensor and numeric array in nested dicts, under dotted names (``"E_flame.encoder.conv1.weight"``).

        Args:
            value: where to look; the whole file if left out.

        Raises:
            UserError: if the parts of a tensor contradict each other or it is absurdly large.
        """
        found: dict[str, Tensor] = {}
        budget = [MAX_ENTRIES]
        self._collect(self.root if value is None else value, "", found, budget)
        return found

    def _collect(self, value: Any, prefix: str, found: dict[str, Tensor], budget: list[int], depth: int = 4) -> None:
        for key, entry in value.items() if isinstance(value, dict) else ():
            budget[0] -= 1
            if budget[0] < 0:
                raise UserError(f"{self.where}: more than {MAX_ENTRIES} entries; refused")
            if not isinstance(key, str):
                continue
            if isinstance(entry, dict):
                if depth:
                    self._collect(entry, f"{prefix}{key}.", found, budget, depth - 1)
            elif isinstance(entry, Instance):
                tensor = self.tensor(entry)
                if tensor is not None:
                    found[prefix + key] = tensor
                else:
                    self.skipped.add(str(entry.kind))

    def tensor(self, value: Any) -> Tensor | None:
        """The tensor that a record stands for, or None."""
        if isinstance(value, Instance) and value.kind.module.split(".")[0] in ("torch", "_torch"):
            return _guarded(self.where, lambda: _tensor(value, self._storages))
        array = as_array(value, self.where) if isinstance(value, Instance) else None
        return None if array is None else Tensor(array.shape, array.dtype, lambda: array)


@contextmanager
def open_checkpoint(path: Path | str) -> Iterator[Checkpoint]:
    """Open a ``.pt``, ``.pth``, ``.ckpt``, ``.tar`` or pickled ``.pkl`` file; tensors can be read inside the block.

    Raises:
        UserError: one line that says what is wrong: no file, empty, a web page, another format, cut off, damaged,
            malicious, or absurd sizes.
    """
    path = Path(path)
    with ExitStack() as stack:
        data = stack.enter_context(map_file(path))
        head = bytes(data[:1024])
        refuse_impostors(path, head)
        if head.startswith(b"PK"):
            yield _open_zip(path, stack)
        else:
            yield _open_pickles(data, str(path))


def _open_zip(path: Path, stack: ExitStack) -> Checkpoint:
    try:
        archive = stack.enter_context(zipfile.ZipFile(path))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error, OSError) as error:
        raise UserError(f"{path} is cut off or no complete zip file ({error}); download it again") from None
    entries = archive.infolist()
    _refuse_bombs(path, entries)
    names = [e.filename for e in entries]
    roots = [n[: -len("data.pkl")] for n in names if n.rsplit("/", 1)[-1] == "data.pkl"]
    if not roots:
        inside = next((n for n in names if n.endswith((".ckpt", ".pt", ".pth", ".tar", ".pkl"))), None)
        hint = f"unpack it and give the file inside ({inside})" if inside else f"it holds {', '.join(names[:3])} ..."
        raise UserError(f"{path} is a zip archive but no torch checkpoint; {hint}")
    if len(roots) > 1:
        raise UserError(f"{path} holds {len(roots)} data.pkl files; a torch checkpoint has one")
    root = roots[0]
    storages = _ZipStorages(archive, root, str(path))
    if archive.getinfo(root + "data.pkl").file_size > MAX_PICKLE_IN_ZIP:
        raise UserError(f"{path}: data.pkl is absurdly large; refused")
    value, _ = read_pickle(storages.entry("data.pkl"), str(path))
    if root + "byteorder" in names and storages.entry("byteorder").strip() == b"big":
        storages.order = ">"
    return Checkpoint(value, "zip", str(path), storages)


def _refuse_bombs(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    total, size = sum(e.file_size for e in entries), path.stat().st_size
    if len(entries) > MAX_ZIP_ENTRIES or total > MAX_ZIP_RATIO * size:
        raise UserError(
            f"{path}: {size} bytes claim to expand to {total} in {len(entries)} entries, as zip bombs do; refused"
        )
    if any(e.flag_bits & 1 for e in entries):
        raise UserError(f"{path} is an encrypted zip archive; unpack it first")


class _Storages:
    """Where raw tensor data come from."""

    order = "<"

    def size(self, key: str) -> int:
        """Bytes that the file holds for a storage."""
        raise ValueError(f"storage {key[:40]} lies outside the file")

    def read(self, key: str) -> bytes | memoryview:
        """All bytes of a storage."""
        raise NotImplementedError


class _ZipStorages(_Storages):
    def __init__(self, archive: zipfile.ZipFile, root: str, where: str) -> None:
        self.archive, self.root, self.where = archive, root, where
        self._last: tuple[str, bytes] = ("", b"")

    def entry(self, name: str) -> bytes:
        try:
            return self.archive.read(self.root + name)
        except KeyError:
            raise UserError(f"{self.where} is incomplete ({self.root + name} is missing); download it again") from None
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError) as e:
            raise UserError(f"{self.where} is cut off or damaged ({e}); download it again") from None

    def size(self, key: str) -> int:
        try:
            return self.archive.getinfo(f"{self.root}data/{key}").file_size
        except KeyError:
            raise UserError(f"{self.where} is incomplete (storage {key} is missing); download it again") from None

    def read(self, key: str) -> bytes:
        if self._last[0] != key:  # flattened parameters share one storage
            self._last = (key, self.entry(f"data/{key}"))
        return self._last[1]


def _open_pickles(data: memoryview, where: str) -> Checkpoint:
    value, position = read_pickle(data, where)
    if value != LEGACY_MAGIC:
        return Checkpoint(value, "pickle", where, _LegacyStorages(data, {}))
    try:
        return _open_legacy(data, position, where)
    except ValueError as error:
        raise UserError(f"{where} is cut off or damaged ({error}); get the file again") from None


def _open_legacy(data: memoryview, position: int, where: str) -> Checkpoint:
    """Magic, protocol, system, object, storage keys; then each storage as an int64 count and its elements."""
    _protocol, position = read_pickle(data, where, position)
    system, position = read_pickle(data, where, position)
    root, position = read_pickle(data, where, position)
    keys, position = read_pickle(data, where, position)
    if not isinstance(keys, list) or not all(isinstance(k, str) for k in keys):
        raise UserError(f"{where} is cut off or damaged (no list of storages); get the file again")
    sizes = _storage_item_sizes(root)
    places: dict[str, tuple[int, int]] = {}
    for key in keys:
        count = struct.unpack("<q", data[position : position + 8])[0] if position + 8 <= len(data) else -1
        end = position + 8 + count * sizes.get(key, 1)
        if count < 0 or end > len(data):
            raise UserError(f"{where} is cut off (storage {key} is incomplete); download it again")
        places[key] = (position + 8, end)
        position = end
    storages = _LegacyStorages(data, places)
    if isinstance(system, dict) and system.get("little_endian") is False:
        storages.order = ">"
    return Checkpoint(root, "legacy", where, storages)


def _storage_item_sizes(root: Any) -> dict[str, int]:
    """Storage key -> bytes an element, from every reference in the object (each container is visited once)."""
    sizes: dict[str, int] = {}
    waiting, seen = [root], set()
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        if isinstance(value, Persistent):
            key, dtype, _ = _storage_reference(value)
            sizes[key] = _itemsize(dtype)
            continue
        parts: list[Any] = []
        if isinstance(value, dict):
            parts = list(value.values())
        elif isinstance(value, list | tuple):
            parts = list(value)
        elif isinstance(value, Instance):
            parts = [value.args, value.state, value.items]
        if parts:
            seen.add(id(value))
            waiting.extend(part for part in parts if isinstance(part, dict | list | tuple | Instance | Persistent))
    return sizes


class _LegacyStorages(_Storages):
    def __init__(self, data: memoryview, places: Mapping[str, tuple[int, int]]) -> None:
        self.data, self.places = data, places

    def size(self, key: str) -> int:
        if key not in self.places:
            raise ValueError(f"storage {key[:40]} is missing")
        start, end = self.places[key]
        return end - start

    def read(self, key: str) -> memoryview:
        start, end = self.places[key]
        return self.data[start:end]


def _guarded(where: str, make: Callable[[], Tensor | None]) -> Tensor | None:
    try:
        return make()
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
        raise UserError(f"{where} holds a damaged tensor ({str(error)[:120]}); get the file again") from None


def _tensor(value: Instance, storages: _Storages) -> Tensor | None:
    name, args = value.kind.name, value.args
    if name in ("_rebuild_parameter", "_rebuild_parameter_with_state", "Parameter") and args:
        return _tensor(args[0], storages) if isinstance(args[0], Instance) and args[0] is not value else None
    if name == "_rebuild_tensor_v3" and len(args) >= 7:
        dtype = _DTYPES.get(args[6].name)
    elif name in ("_rebuild_tensor", "_rebuild_tensor_v2") and len(args) >= 4:
        dtype = None
    else:
        return None
    storage, offset, shape, strides = args[:4]
    if isinstance(storage, Instance):
        storages, storage = _storage_in_bytes(storage)
    key, stored, count = _storage_reference(storage)
    dtype = dtype or stored
    item, held = _itemsize(dtype), storages.size(key)
    if count * _itemsize(stored) > held:
        raise ValueError(f"storage {key} claims {count * _itemsize(stored)} bytes, the file holds {held}")
    _check_view(shape, strides, offset, held // item, item)

    def read() -> np.ndarray:
        raw = storages.read(key)
        if len(raw) < held:
            raise UserError(f"storage {key} is cut off; download the file again")
        return _view(raw, dtype, storages.order, shape, strides, offset)

    return Tensor(shape, np.dtype("f4" if dtype == "bfloat16" else dtype), read)


def inner_tensor(value: Any) -> np.ndarray | None:
    """A torch tensor inside another pickle, its storage pickled along (``landmark_embedding.npy``); None if it is none.

    Raises:
        UserError: if its parts contradict each other.
    """
    if not isinstance(value, Instance) or value.kind.module.split(".")[0] != "torch":
        return None
    tensor = _guarded("a tensor inside", lambda: _tensor(value, _Storages()))
    return None if tensor is None else np.asarray(tensor)


def _storage_in_bytes(storage: Instance) -> tuple[_Storages, Any]:
    """A storage pickled as a whole little torch file (``torch.storage._load_from_bytes``), as in DECA's landmarks."""
    if (
        storage.kind.name != "_load_from_bytes"
        or len(storage.args) != 1
        or not isinstance(storage.args[0], str | bytes)
    ):
        raise ValueError(f"a storage of kind {storage.kind}")
    raw = storage.args[0]
    inner = _open_pickles(memoryview(raw.encode("latin-1") if isinstance(raw, str) else raw), "the storage inside")
    return inner._storages, inner.root


def _storage_reference(value: Any) -> tuple[str, str, int]:
    """``("storage", torch.FloatStorage, key, location, count)`` -> key, dtype, count."""
    key = value.key if isinstance(value, Persistent) else None
    if not isinstance(key, tuple) or len(key) < 5 or key[0] != "storage" or not isinstance(key[1], Global):
        raise ValueError("a tensor without storage")
    kind = key[1].name
    dtype = "u1" if kind == "UntypedStorage" else _DTYPES.get(kind.removesuffix("Storage"))
    if dtype is None:
        raise ValueError(f"storage type {key[1]} is unknown")
    if not isinstance(key[2], str) or type(key[4]) is not int or key[4] < 0:
        raise ValueError("a damaged storage reference")
    if len(key) > 5 and key[5] is not None:
        raise ValueError("storage views of torch < 0.4 are not supported")
    return key[2], dtype, key[4]


def _itemsize(dtype: str) -> int:
    return 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize


def _check_view(shape: Any, strides: Any, offset: Any, available: int, item: int) -> None:
    for name, numbers in (("shape", shape), ("strides", strides), ("offset", (offset,))):
        if not isinstance(numbers, tuple) or any(type(n) is not int or n < 0 for n in numbers):
            raise ValueError(f"a tensor whose {name} are no sizes")
    if len(shape) != len(strides) or len(shape) > 8:
        raise ValueError(f"shape {shape} with strides {strides}")
    if math.prod(shape) * item > MAX_TENSOR_BYTES:
        raise ValueError(f"a tensor of shape {shape}: absurdly large")
    last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    if math.prod(shape) and last >= available:
        raise ValueError(f"shape {shape} needs {last + 1} elements, its storage holds {available}")


def _view(
    raw: bytes | memoryview, dtype: str, order: str, shape: tuple[int, ...], strides: tuple[int, ...], offset: int
) -> np.ndarray:
    plain = np.dtype("u2" if dtype == "bfloat16" else dtype).newbyteorder(order)  # type: ignore[arg-type]
    if math.prod(shape) == 0:
        return np.zeros(shape, np.float32 if dtype == "bfloat16" else dtype)
    flat = np.frombuffer(raw, plain, count=len(raw) // plain.itemsize)[offset:]
    view = np.lib.stride_tricks.as_strided(flat, shape, [s * plain.itemsize for s in strides], writeable=False)
    if dtype == "bfloat16":  # the upper half of a float32
        return (view.astype(np.uint32) << 16).view(np.float32)
    return view.astype(plain.newbyteorder("="), copy=True)
