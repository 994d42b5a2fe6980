"""Shards: what ``prepare.py`` makes of a raw folder: packed files and an ``index.json`` that vouches for them.

Every shard is a packed ``.npz`` (see :mod:`training.datasets.packed`), stored uncompressed so that it is memory-mapped.
The index holds each file's size and SHA-256; what does not match is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from emoca_tf.errors import UserError
from emoca_tf.io.atomic import atomic_path, write_text
from training.datasets.packed import Packed, map_npz
from training.datasets.source import Labels

INDEX = "index.json"
FORMAT = "emoca-tf shards 1"


@dataclass(frozen=True)
class Shard:
    """One file of the index; without pictures there is no file.

    Attributes:
        file: name in the folder, empty if every picture of it was skipped.
        images: pictures inside.
        bytes: size of the file.
        sha256: of the file.
        skipped: (id, reason) of the pictures that are not inside.
    """

    file: str
    images: int
    bytes: int
    sha256: str
    skipped: list[list[str]] = field(default_factory=list)


@dataclass
class Index:
    """``index.json``: which run made the shards, and the shards so far.

    Attributes:
        run: settings of the run and a digest of its list of pictures; equal for a run that is resumed.
        total: pictures of the whole run.
        shards: finished ones, in order.
    """

    run: dict[str, Any]
    total: int
    shards: list[Shard] = field(default_factory=list)

    @property
    def seen(self) -> int:
        """Pictures that were looked at."""
        return sum(shard.images + len(shard.skipped) for shard in self.shards)

    def save(self, folder: Path) -> None:
        text = json.dumps({"format": FORMAT, **asdict(self)}, indent=1)
        write_text(folder / INDEX, text)

    @classmethod
    def load(cls, folder: Path) -> Index:
        """Raises UserError if there is no sound index."""
        path = folder / INDEX
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            if data.pop("format", None) != FORMAT:
                raise UserError(f"{path} is not an index of emoca-tf shards")
            return cls(data["run"], int(data["total"]), [Shard(**shard) for shard in data["shards"]])
        except FileNotFoundError:
            raise UserError(f"{folder} holds no {INDEX}; make shards with training/datasets/prepare.py") from None
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} is damaged ({error}); make the shards again") from None


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _sha256(stream)


def _sha256(stream: Any) -> str:
    value = hashlib.sha256()
    while block := stream.read(1 << 20):
        value.update(block)
    return value.hexdigest()


def write_shard(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write one packed file, uncompressed and atomically."""
    with atomic_path(path) as temporary:
        np.savez(temporary, **dict(arrays))


def check(folder: Path, shard: Shard) -> None:
    """Compare a shard with the index.

    Raises:
        UserError: if the file is missing or was changed.
    """
    path = folder / shard.file
    mend = "delete it and run prepare.py again, or copy it anew"
    if not path.is_file():
        raise UserError(f"{path} is missing though {INDEX} names it; {mend}")
    if path.stat().st_size != shard.bytes:
        raise UserError(
            f"{path} has {path.stat().st_size} bytes instead of {shard.bytes}; it was cut off or changed: {mend}"
        )
    if digest(path) != shard.sha256:
        raise UserError(f"{path} does not have the SHA-256 that {INDEX} gives; it was changed or damaged: {mend}")


class Shards:
    """A :class:`~training.datasets.source.Source` over a folder of shards.

    Args:
        folder: made by ``prepare.py``; an unfinished one may be used, too.
        verify: compare every shard with its SHA-256 first (about a second a gigabyte).

    Raises:
        UserError: if there is no index or a shard does not match it.
    """

    def __init__(self, folder: Path | str, verify: bool = True) -> None:
        folder = Path(folder)
        shards = [shard for shard in Index.load(folder).shards if shard.images]
        if not shards:
            raise UserError(f"{folder} holds no picture; see skipped.csv for the reasons")
        if verify:
            with ThreadPoolExecutor() as pool:
                list(pool.map(lambda shard: check(folder, shard), shards))
        self.parts = [Packed.from_arrays(str(folder / s.file), map_npz(folder / s.file)) for s in shards]
        self.starts = np.cumsum([0, *(len(part) for part in self.parts)])
        self.ids: Sequence[str] = [identity for part in self.parts for identity in part.ids]
        self.labels = Labels.joined([part.labels for part in self.parts])
        known = [part.persons for part in self.parts]
        self.persons: np.ndarray | None = None
        if any(persons is not None for persons in known):
            blank = [np.full(len(part), -1) if p is None else p for part, p in zip(self.parts, known, strict=True)]
            self.persons = np.concatenate(blank)

    def __len__(self) -> int:
        return int(self.starts[-1])

    def example(self, index: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        part = int(np.searchsorted(self.starts, index, side="right")) - 1
        return self.parts[part].example(index - int(self.starts[part]), rng)
