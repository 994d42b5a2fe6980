"""Codes of a whole data set: pictures in, one row a picture out; resumable, and a bad file never stops the run.

The row format is the one all later evaluation reads: ``id`` (file stem), ``found`` (a face was found and encoded) and
one array a code group, NaN where ``found`` is false.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from emoca_tf.errors import UserError
from emoca_tf.io.npz import read_npz, write_npz

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm"})
CROP_SIZE = 224

Crop = Callable[[Path], "np.ndarray | None"]
"""Picture file -> ``[224, 224, 3]`` float32 RGB in 0..1, or None when it shows no face; UserError when unreadable."""


class BatchEncoder(Protocol):
    """What turns crops into named codes."""

    labels: tuple[str, ...]
    """Names of the columns of ``expression_prob``, empty when the encoder gives none."""

    fingerprint: str
    """Changes when the weights change; a resumed run must have the same one."""

    @property
    def sizes(self) -> Mapping[str, tuple[int, ...]]:
        """Group name -> shape of one row."""
        ...

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """``[B, 224, 224, 3]`` -> group name -> ``[B, *sizes[name]]``."""
        ...


@dataclass(frozen=True)
class Summary:
    """What a run did."""

    rows: int
    found: int
    no_face: tuple[str, ...]
    unreadable: tuple[tuple[str, str], ...]


def list_pictures(source: Path) -> list[Path]:
    """The pictures of a folder (with its sub-folders, sorted) or of a text file with one path a line.

    Relative lines of a list are relative to the list's folder; empty lines and lines starting with ``#`` are skipped.

    Raises:
        UserError: if the source does not exist or names no picture.
    """
    if source.is_dir():
        pictures = sorted(p for p in source.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
        if not pictures:
            raise UserError(f"{source}: no pictures in this folder ({', '.join(sorted(IMAGE_SUFFIXES))})")
        return pictures
    if source.suffix.lower() in IMAGE_SUFFIXES:
        raise UserError(f"{source} is one picture; give a folder or a text list, or use: emoca-tf capture {source}")
    try:
        lines = source.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise UserError(f"{source}: no such folder or list") from None
    except UnicodeDecodeError:
        raise UserError(f"{source} is not a text file with one picture path a line") from None
    entries = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not entries:
        raise UserError(f"{source}: the list names no picture")
    return [source.parent / entry for entry in entries]


def row_ids(pictures: Sequence[Path]) -> list[str]:
    """File stems; where two pictures share a stem, both get their folder in front (``anger/0001``).

    Raises:
        UserError: if even those are not unique.
    """
    stems = [p.stem for p in pictures]
    uses = Counter(stems)
    ids = [f"{p.parent.name}/{p.stem}" if uses[p.stem] > 1 else p.stem for p in pictures]
    (often, count), *_ = Counter(ids).most_common(1)
    if count > 1:
        raise UserError(f"{count} pictures would have the id '{often}'; rename them or encode their folders one by one")
    return ids


def encode_dataset(
    pictures: Sequence[Path],
    encoder: BatchEncoder,
    crop: Crop,
    output: Path,
    *,
    batch: int = 16,
    part: int = 256,
    settings: str = "",
    progress: Callable[[Iterable[int], int], Iterable[int]] | None = None,
) -> Summary:
    """Encode every picture and write ``output`` (``.npz``); an interrupted run goes on where it stopped.

    Finished parts of ``part`` pictures lie in ``<output>.parts`` until the whole is written.

    Args:
        pictures: files in the order of the rows.
        encoder: crops -> named codes.
        crop: picture file -> crop.
        output: the ``.npz`` to write.
        batch: crops encoded at a time.
        part: pictures between two resume points.
        settings: anything else that must be equal for a run to be resumed (crop options).
        progress: wraps the iteration over pictures, e.g. with a progress bar; its second argument is how many are done.

    Raises:
        UserError: if the parts on disk belong to other pictures, weights or settings.
    """
    ids = row_ids(pictures)
    folder = _parts_folder(output, _run_key(pictures, encoder.fingerprint, settings))
    starts = range(0, len(pictures), part)
    done = sum(min(part, len(pictures) - s) for s in starts if _part_file(folder, s).exists())
    waiting = iter((progress or (lambda items, _done: items))(range(done, len(pictures)), done))
    for start in starts:
        if not _part_file(folder, start).exists():
            chosen = pictures[start : start + part]
            write_npz(_part_file(folder, start), _encode_part(chosen, encoder, crop, batch, waiting))
    for _ in waiting:  # lets the bar reach its end
        pass
    parts = [read_npz(_part_file(folder, start)) for start in starts]
    rows = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
    why = rows.pop("why")
    rows["id"] = np.array(ids)
    if encoder.labels:
        rows["expression_names"] = np.array(encoder.labels)
    write_npz(output, rows)
    shutil.rmtree(folder)
    return Summary(
        rows=len(ids),
        found=int(rows["found"].sum()),
        no_face=tuple(i for i, reason in zip(ids, why, strict=True) if reason == _NO_FACE),
        unreadable=tuple((i, str(r)) for i, r in zip(ids, why, strict=True) if r and r != _NO_FACE),
    )


_NO_FACE = "no face"


def _encode_part(
    pictures: Sequence[Path], encoder: BatchEncoder, crop: Crop, batch: int, waiting: Iterator[int]
) -> dict[str, np.ndarray]:
    rows = {name: np.full((len(pictures), *size), np.nan, np.float32) for name, size in encoder.sizes.items()}
    found, why = np.zeros(len(pictures), bool), [""] * len(pictures)
    crops: list[np.ndarray] = []
    places: list[int] = []

    def flush() -> None:
        if crops:
            # A full batch each time: one traced shape, so that the last short batch is not compiled anew.
            padded = np.stack(crops + [crops[-1]] * (batch - len(crops)))
            for name, values in encoder(padded).items():
                rows[name][places] = np.asarray(values)[: len(places)].reshape(len(places), *encoder.sizes[name])
            found[places] = True
        crops.clear()
        places.clear()

    for place, picture in enumerate(pictures):
        next(waiting, None)
        try:
            image = crop(picture)
        except UserError as error:
            why[place] = " ".join(str(error).split())
            continue
        if image is None:
            why[place] = _NO_FACE
            continue
        crops.append(image)
        places.append(place)
        if len(crops) == batch:
            flush()
    flush()
    return {**rows, "found": found, "why": np.array(why)}


def _run_key(pictures: Sequence[Path], fingerprint: str, settings: str) -> str:
    digest = hashlib.sha256()
    for text in (fingerprint, settings, *(str(p) for p in pictures)):
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()


def _parts_folder(output: Path, key: str) -> Path:
    folder = output.with_name(output.name + ".parts")
    note = folder / "run.json"
    if note.exists():
        if json.loads(note.read_text())["key"] != key:
            raise UserError(
                f"{folder} holds an unfinished run with other pictures, weights or options; "
                "finish it with the same command or delete that folder"
            )
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps({"key": key}))
    return folder


def _part_file(folder: Path, start: int) -> Path:
    return folder / f"part_{start:08d}.npz"
