"""Any folder of face pictures: sorted into sub-folders by class, described by a csv file, or without labels."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from emoca_tf.capture.dataset import list_pictures
from emoca_tf.errors import UserError
from training.datasets.photos import Photographs
from training.datasets.source import EXPRESSIONS, UNKNOWN, Labels

SYNONYMS = {
    "neutral": "neutral",
    **dict.fromkeys(("happy", "happiness", "joy", "smile", "smiling"), "happy"),
    **dict.fromkeys(("sad", "sadness"), "sad"),
    **dict.fromkeys(("surprise", "surprised"), "surprise"),
    **dict.fromkeys(("fear", "fearful", "afraid"), "fear"),
    **dict.fromkeys(("disgust", "disgusted"), "disgust"),
    **dict.fromkeys(("anger", "angry"), "anger"),
    **dict.fromkeys(("contempt", "contemptuous"), "contempt"),
    **dict.fromkeys(("", "unknown", "-1", "nan"), ""),
}
"""Class names that are understood, besides AffectNet's numbers 0..7."""

_PATH_COLUMNS = ("path", "file", "filename", "image", "id")
_CLASS_COLUMNS = ("expression", "label", "class", "emotion")


def class_index(name: str) -> int:
    """AffectNet index of a class name or number, -1 for none.

    Raises:
        UserError: if it is neither.
    """
    key = name.strip().lower()
    if key.isdecimal() and int(key) < len(EXPRESSIONS):
        return int(key)
    if key not in SYNONYMS:
        raise UserError(f"'{name}' is no expression class; use {', '.join(EXPRESSIONS)} or 0..7 in that order")
    return EXPRESSIONS.index(SYNONYMS[key]) if SYNONYMS[key] else UNKNOWN


def unlabelled(root: Path | str) -> Photographs:
    """All pictures of a folder and its sub-folders. The names of the sub-folders are taken as persons.

    Raises:
        UserError: if there is none.
    """
    root = Path(root)
    files = list_pictures(root)
    ids = [_identity(root, path) for path in files]
    owners = [str(path.parent) for path in files]
    persons = np.unique(owners, return_inverse=True)[1] if len(set(owners)) > 1 else None
    return Photographs(str(root), ids, files, Labels.unknown(len(files)), persons=persons)


def labelled(root: Path | str, table: Path | str | None = None) -> Photographs:
    """Pictures with labels.

    Args:
        root: a folder with one sub-folder a class (``happy/``, ``3/`` ...), or the folder a csv's paths start from.
        table: csv file with a header: a picture column (path, file, filename, image or id), and any of a class column
            (expression, label, class or emotion), ``valence``, ``arousal``, ``person``. By default ``labels.csv`` in
            the folder if there is one.

    Raises:
        UserError: if a class is not understood or the table lacks the picture column.
    """
    root = Path(root)
    if table is None and (root / "labels.csv").is_file():
        table = root / "labels.csv"
    if table is not None:
        return _from_table(root, Path(table))
    files = list_pictures(root)
    loose = [path for path in files if path.parent == root]
    if loose:
        raise UserError(f"{root}: {loose[0].name} lies in no class folder; sort pictures into {', '.join(EXPRESSIONS)}")
    classes = {folder: class_index(folder) for folder in {path.relative_to(root).parts[0] for path in files}}
    expression = np.array([classes[path.relative_to(root).parts[0]] for path in files], np.int32)
    return Photographs(str(root), [_identity(root, path) for path in files], files, Labels.of_classes(expression))


def _from_table(root: Path, table: Path) -> Photographs:
    try:
        with table.open(newline="", encoding="utf-8-sig") as stream:
            rows = [{k.strip().lower(): v for k, v in row.items() if k} for row in csv.DictReader(stream)]
    except FileNotFoundError:
        raise UserError(f"{table}: no such file") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{table} is not a readable csv file ({error})") from None
    columns = rows[0].keys() if rows else ()
    picture = next((name for name in _PATH_COLUMNS if name in columns), None)
    if picture is None:
        raise UserError(f"{table}: no picture column ({', '.join(_PATH_COLUMNS)}) among {', '.join(columns) or 'none'}")
    named = next((name for name in _CLASS_COLUMNS if name in columns), None)
    files = [root / row[picture] for row in rows]
    labels = Labels(
        np.array([class_index(row[named] or "") if named else UNKNOWN for row in rows], np.int32),
        _column(rows, "valence", table),
        _column(rows, "arousal", table),
    )
    persons = np.unique([row["person"] for row in rows], return_inverse=True)[1] if "person" in columns else None
    return Photographs(str(table), [_identity(root, path) for path in files], files, labels, persons=persons)


def _column(rows: list[dict[str, str]], name: str, table: Path) -> np.ndarray:
    try:
        return np.array([float(row.get(name) or "nan") for row in rows], np.float32)
    except ValueError as error:
        raise UserError(f"{table}: column {name} holds something that is no number ({error})") from None


def _identity(root: Path, path: Path) -> str:
    """Path below the root without suffix."""
    return (path.relative_to(root) if path.is_relative_to(root) else path).with_suffix("").as_posix()
