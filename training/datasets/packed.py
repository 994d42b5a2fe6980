"""Many pictures in one ``.npz``: JPEG bytes joined end to end, read without unpacking them all.

The layout (also that of our own shards, see :mod:`training.datasets.shards`):

| array | shape | |
|---|---|---|
| ``id`` | [N] text | |
| ``jpeg``, ``offset`` | [bytes] uint8, [N + 1] int64 | picture k is ``jpeg[offset[k]:offset[k + 1]]`` |
| ``landmarks_x16`` | [N, 478, 3] int16 | sixteenths of a pixel; beside it in ``NAME_landmarks.npz`` in old files |
| ``label`` | [N] int8 | class in the order neutral, happy, surprise, sad, anger, disgust, fear, contempt |
| ``expression``, ``valence``, ``arousal`` | [N] | or: class in AffectNet's order, -1; NaN |
| ``person`` | [N] int64 | -1 unknown |
| ``mask_png``, ``mask_offset`` | as ``jpeg`` | face mask |

Beside an old file ``NAME_jpeg.npz`` may lie ``NAME.csv`` with ``person_group`` and ``valid_x0`` .. ``valid_y1``.
"""

from __future__ import annotations

import csv
import struct
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from emoca_tf.errors import UserError
from emoca_tf.io.npz import read_npz
from training.datasets.source import EXPRESSIONS, UNKNOWN, Labels, checked_labels

LABEL_ORDER = np.array([0, 1, 3, 2, 6, 5, 4, 7])
"""``label`` of old files -> AffectNet's index."""

_LOCAL_HEADER = 30


def map_npz(path: Path) -> dict[str, np.ndarray]:
    """Arrays of an ``.npz``: memory-mapped where stored uncompressed, read otherwise; nothing is unpickled.

    Raises:
        UserError: if the file is missing or damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
            if not stored:
                return read_npz(path)
            return {entry.filename.removesuffix(".npy"): _map_entry(path, archive, entry) for entry in entries}
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (zipfile.BadZipFile, ValueError, EOFError, OSError, struct.error) as error:
        raise UserError(f"{path} is not a readable .npz file ({error})") from None


def _map_entry(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    with path.open("rb") as stream:
        stream.seek(entry.header_offset)
        header = stream.read(_LOCAL_HEADER)
        name, extra = struct.unpack("<HH", header[26:30])
        start = entry.header_offset + _LOCAL_HEADER + name + extra
        stream.seek(start)
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(stream)
        if dtype.hasobject:
            raise ValueError(f"{entry.filename} holds Python objects")
        offset = stream.tell()
    if not np.prod(shape) or dtype.kind == "U":  # nothing to map, or small
        with archive.open(entry) as member:
            return np.lib.format.read_array(member, allow_pickle=False)
    return np.memmap(path, dtype, "r", offset, shape, "F" if fortran else "C")


class Packed:
    """A :class:`~training.datasets.source.Source` over one packed file.

    Args:
        path: the ``.npz``, or ``NAME`` for ``NAME_jpeg.npz`` with its companions.
        classes: 8, or 7 for data with next to no contempt: its pictures then count as unlabelled.

    Raises:
        UserError: if the file is damaged or of another layout.
    """

    def __init__(self, path: Path | str, classes: int = len(EXPRESSIONS)) -> None:
        path = Path(path)
        if not path.suffix and path.with_name(f"{path.name}_jpeg.npz").is_file():
            path = path.with_name(f"{path.name}_jpeg.npz")
        arrays = map_npz(path)
        stem = path.name.removesuffix("_jpeg.npz")
        beside = path.with_name(f"{stem}_landmarks.npz")
        if "landmarks_x16" not in arrays and stem != path.name and beside.is_file():
            arrays |= {"landmarks_x16": _companion(beside, arrays)["landmarks_x16"]}
        self._open(str(path), arrays, classes)
        table = path.with_name(f"{stem}.csv")
        if stem != path.name and table.is_file():
            self._read_table(table)

    @classmethod
    def from_arrays(cls, where: str, arrays: Mapping[str, np.ndarray]) -> Packed:
        self = cls.__new__(cls)
        self._open(where, arrays)
        return self

    def _open(self, where: str, arrays: Mapping[str, np.ndarray], classes: int = len(EXPRESSIONS)) -> None:
        missing = [name for name in ("id", "jpeg", "offset") if name not in arrays]
        if missing:
            raise UserError(f"{where} is no packed data set (no {', '.join(missing)})")
        self.where, self.arrays = where, arrays
        self.ids: Sequence[str] = [str(name) for name in arrays["id"]]
        count = len(self.ids)
        self.offset = np.asarray(arrays["offset"])
        if len(self.offset) != count + 1 or (count and self.offset[-1] > len(arrays["jpeg"])):
            raise UserError(f"{where}: offset does not fit id and jpeg; the file is damaged")
        self.landmarks = arrays.get("landmarks_x16")
        if self.landmarks is not None and self.landmarks.shape != (count, 478, 3):
            raise UserError(f"{where}: landmarks_x16 has shape {self.landmarks.shape}, expected {(count, 478, 3)}")
        labels = checked_labels(_labels(arrays, count), count, where)
        expression = np.where(labels.expression < classes, labels.expression, UNKNOWN).astype(np.int32)
        self.labels = replace(labels, expression=expression)
        person = np.asarray(arrays["person"]) if "person" in arrays else np.full(count, -1)
        self.persons: np.ndarray | None = person if (person >= 0).any() else None
        self.valid: np.ndarray | None = None

    def _read_table(self, table: Path) -> None:
        with table.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        if [row.get("id") for row in rows] != list(self.ids):
            raise UserError(f"{table} does not list the pictures of {self.where} in their order")
        if rows and "person_group" in rows[0]:
            self.persons = np.unique([row["person_group"] for row in rows], return_inverse=True)[1]
        if rows and "valid_x0" in rows[0]:
            keys = ("valid_x0", "valid_y0", "valid_x1", "valid_y1")
            self.valid = np.array([[float(row[key]) for key in keys] for row in rows], np.float32)

    def __len__(self) -> int:
        return len(self.ids)

    def example(self, index: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        start, end = self.offset[index : index + 2]
        image = _decode(self.arrays["jpeg"][start:end], cv2.IMREAD_COLOR)
        if image is None:
            raise UserError(f"{self.where}: picture {self.ids[index]} is damaged")
        out = {"image": cv2.cvtColor(image, cv2.COLOR_BGR2RGB)}
        if self.landmarks is not None:
            points = self.landmarks[index, :, :2].astype(np.float32) / 16
            out["landmarks"] = np.concatenate([points, np.ones((len(points), 1), np.float32)], 1)
        if "mask_png" in self.arrays:
            start, end = self.arrays["mask_offset"][index : index + 2]
            mask = _decode(self.arrays["mask_png"][start:end], cv2.IMREAD_GRAYSCALE)
            if mask is not None:
                out["mask"] = mask
        if self.valid is not None:
            out["valid"] = self.valid[index]
        return out


class Mosaics:
    """A :class:`~training.datasets.source.Source` over small grey pictures kept as mosaics (FER2013, 48 x 48).

    ``mosaic`` and ``offset`` are joined JPEGs of 1,000 pictures each, 25 a row, or ``image`` ``[N, 48, 48]`` holds them
    plainly; ``label`` and ``id`` as in :class:`Packed`. The picture is the crop. Landmarks are read from
    ``NAME_landmarks.npz`` beside it, if there is one (:mod:`training.datasets.mosaic_landmarks`).

    Args:
        path: the ``.npz``.
        faces_only: leave out pictures whose ``face_detected`` is false.
        border: pixels by which the edges are repeated on every side. These pictures end at the face, while crops around
            landmarks leave room; 5 of 48 makes faces equally large in both.

    Raises:
        UserError: if the file is damaged or of another layout.
    """

    def __init__(self, path: Path | str, faces_only: bool = True, border: int = 5) -> None:
        arrays = map_npz(Path(path))
        self.border = border
        if "image" in arrays:
            images = np.asarray(arrays["image"])
        elif {"mosaic", "offset", "count"} <= arrays.keys():
            offset = arrays["offset"]
            tiles = [_tiles(arrays["mosaic"][a:b], str(path)) for a, b in pairwise(offset)]
            images = np.concatenate(tiles)[: int(arrays["count"])]
        else:
            raise UserError(f"{path} holds neither image nor mosaic, offset and count")
        keep = np.ones(len(images), bool)
        if faces_only and "face_detected" in arrays:
            keep = np.asarray(arrays["face_detected"], bool)
        self.images = images[keep]
        self.landmarks = _mosaic_landmarks(Path(path), arrays, keep)
        self.ids: Sequence[str] = [str(name) for name in np.asarray(arrays["id"])[keep]]
        labels = _labels(arrays, len(images)).take(keep)
        self.labels = checked_labels(labels, len(self.images), str(path))
        self.persons: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.images)

    def example(self, index: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        b = self.border
        picture = cv2.copyMakeBorder(self.images[index], b, b, b, b, cv2.BORDER_REPLICATE)
        out = {"image": cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB), "framed": np.array(True)}
        if self.landmarks is not None:
            points = self.landmarks[index].astype(np.float32)
            points[:, :2] = points[:, :2] / 16 + b
            out["landmarks"] = points
        return out


def _mosaic_landmarks(path: Path, arrays: Mapping[str, np.ndarray], keep: np.ndarray) -> np.ndarray | None:
    """``[N, 478, 3]`` sixteenths of a pixel and validity; None without a file of them."""
    beside = path.with_name(f"{path.stem}_landmarks.npz")
    return np.asarray(_companion(beside, arrays)["landmarks_x16"])[keep] if beside.is_file() else None


def _tiles(data: np.ndarray, where: str, side: int = 48, columns: int = 25) -> np.ndarray:
    picture = _decode(data, cv2.IMREAD_GRAYSCALE)
    if picture is None or picture.shape[1] != side * columns or picture.shape[0] % side:
        raise UserError(f"{where}: a mosaic is damaged")
    return picture.reshape(-1, side, columns, side).swapaxes(1, 2).reshape(-1, side, side)


def _labels(arrays: Mapping[str, np.ndarray], count: int) -> Labels:
    blank = Labels.unknown(count)
    expression = blank.expression
    if "expression" in arrays:
        expression = np.asarray(arrays["expression"], np.int32)
    elif "label" in arrays:
        old = np.asarray(arrays["label"], np.int32)
        expression = np.where(old >= 0, LABEL_ORDER[old.clip(0, 7)], UNKNOWN).astype(np.int32)
    valence, arousal = (np.asarray(arrays.get(key, blank.valence), np.float32) for key in ("valence", "arousal"))
    return Labels(expression, valence, arousal)


def _companion(path: Path, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    other = map_npz(path)
    if "landmarks_x16" not in other or list(other.get("id", arrays["id"])) != list(arrays["id"]):
        raise UserError(f"{path} does not hold the landmarks of the same pictures in the same order")
    return other


def _decode(data: np.ndarray, flags: int) -> np.ndarray | None:
    return cv2.imdecode(np.asarray(data), flags) if len(data) else None
