"""Checkpoints as torch writes them, made without torch: the zip container around hand-written opcodes."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import seeded

CHECKPOINTS = Path(__file__).parent / "golden" / "checkpoints"
MANIFEST: dict[str, Any] = json.loads((CHECKPOINTS / "checkpoint_manifest.json").read_text())
_STORAGES = {"float32": "Float", "float64": "Double", "int64": "Long"}


def _text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + len(raw).to_bytes(4, "little") + raw


def _integers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(b"\x8a\x08" + v.to_bytes(8, "little") for v in values) + b"t"


def _tensor(array: np.ndarray, key: int) -> bytes:
    strides = tuple(s // array.itemsize for s in array.strides)
    storage = _text("storage") + f"ctorch\n{_STORAGES[array.dtype.name]}Storage\n".encode() + _text(str(key))
    reference = b"(" + storage + _text("cpu") + b"\x8a\x08" + array.size.to_bytes(8, "little") + b"tQ"
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + reference + b"K\x00" + _integers(array.shape) + _integers(strides)
        + b"\x89ccollections\nOrderedDict\n)RtR"
    )  # fmt: skip


def write_checkpoint(path: Path, root: Mapping[str, Any]) -> Path:
    """Write nested dicts of arrays (and plain values) as torch's zip container."""
    count = 0

    def emit(value: Any, archive: zipfile.ZipFile) -> Iterator[bytes]:
        nonlocal count
        if isinstance(value, Mapping):
            yield b"}("
            for key, entry in value.items():
                yield _text(key)
                yield from emit(entry, archive)
            yield b"u"
        elif isinstance(value, np.ndarray):
            archive.writestr(f"archive/data/{count}", np.ascontiguousarray(value).tobytes())
            yield _tensor(value, count)
            count += 1
        else:
            yield pickle.dumps(value, 2)[2:-1]

    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + b"".join(emit(root, archive)) + b".")
        archive.writestr("archive/version", b"3\n")
    return path


class Lazy(Mapping[str, np.ndarray]):
    """Seeded tensors made when they are asked for, so that a full checkpoint is never in memory twice.

    Args:
        names: entry name and shape.
        rename: entry name -> name that seeds it.
    """

    def __init__(self, names: list[tuple[str, tuple[int, ...]]], rename: Any = lambda name: name) -> None:
        self.names, self.rename = dict(names), rename

    def __getitem__(self, name: str) -> np.ndarray:
        return seeded.tensor(self.rename(name), self.names[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def manifest(*path: str) -> list[tuple[str, tuple[int, ...]]]:
    """Names and shapes of a part of the manifest."""
    part: Any = MANIFEST
    for key in path:
        part = part[key]
    return [(name, tuple(shape)) for name, shape, _ in part]


def emoca_state(networks: tuple[str, ...], outputs: int = 50, foreign: bool = False) -> Lazy:
    """EMOCA's ``state_dict`` at full size, with what else the real file holds if ``foreign``."""
    prefixes = tuple(f"deca.{name}." for name in networks)
    entries = [(n, s) for n, s in manifest("emoca.ckpt", "state_dict_networks") if n.startswith(prefixes)]
    if outputs != 50:
        wide = {"deca.E_expression.layers.2.weight": (outputs, 1024), "deca.E_expression.layers.2.bias": (outputs,)}
        entries = [(n, wide.get(n, s)) for n, s in entries]
    if foreign:
        entries += [(n, s) for n, s in manifest("emoca.ckpt", "state_dict_to_ignore") if "flametex" not in n]
    expression = "E_expression" if outputs == 50 else f"E_expression_{outputs}"
    return Lazy(entries, lambda n: n.removeprefix("deca.").replace("E_expression", expression, 1))
