"""AffectNet (Mollahosseini et al. 2017) in both layouts its owners have handed out.

* 2017: ``training.csv``, ``validation.csv``, ``automatically_annotated.csv`` with the columns
  ``subDirectory_filePath, face_x, face_y, face_width, face_height, facial_landmarks, expression, valence, arousal``
  (``validation.csv`` may lack the header), pictures under ``Manually_Annotated*`` and ``Automatically_Annotated*``.
* 2021: ``train_set`` and ``val_set`` with ``images/ID.jpg`` and ``annotations/ID_{exp,val,aro,lnd}.npy``.

Classes 8 to 10 (none, uncertain, no face) and valence -2 mean "not usable" and are left out, as EMOCA does
(``ignore_invalid: like_emonet``, spec 5.1).
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from emoca_tf.errors import UserError
from training.datasets.photos import Photographs
from training.datasets.source import Labels

COLUMNS = (
    *("subDirectory_filePath", "face_x", "face_y", "face_width", "face_height"),
    *("facial_landmarks", "expression", "valence", "arousal"),
)
SPLITS = {"training": "training.csv", "validation": "validation.csv", "automatic": "automatically_annotated.csv"}
FOLDERS_2021 = {"training": "train_set", "validation": "val_set"}
_PICTURE_FOLDERS = (
    *("", "Manually_Annotated_Images", "Manually_Annotated", "Manually_Annotated/Manually_Annotated_Images"),
    *("Manually_Annotated_compressed", "Automatically_Annotated_Images", "Automatically_Annotated"),
    *("Automatically_Annotated/Automatically_Annotated_Images", "Automatically_Annotated_compressed"),
)


def affectnet(
    root: Path | str, split: str = "training", *, classes: int = 8, images: Path | str | None = None
) -> Photographs:
    """Open AffectNet.

    Args:
        root: its folder.
        split: ``training``, ``validation``, ``automatic``, or the path of a csv file in the 2017 layout (EmoNet's
            cleaned splits, for example).
        classes: 8, or 7 to leave contempt out.
        images: folder that the csv's picture paths start from; found by itself if None.

    Raises:
        UserError: if neither layout is found, a column is missing or no picture is usable.
    """
    root = Path(root)
    if classes not in (7, 8):
        raise UserError(f"AffectNet has 7 or 8 classes; received classes={classes}")
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; give the folder of AffectNet")
    newer = root / FOLDERS_2021.get(split, "")
    if split in FOLDERS_2021 and (newer / "annotations").is_dir():
        return _from_2021(newer, classes)
    table = root / split if split not in SPLITS else _find_table(root, SPLITS[split])
    return _from_2017(table, root, classes, None if images is None else Path(images))


def _find_table(root: Path, name: str) -> Path:
    found = sorted(p for p in (root / name, *root.glob(f"*/{name}"), *root.glob(f"*/*/{name}")) if p.is_file())
    if not found:
        raise UserError(
            f"{root}: neither {name} (2017 layout) nor {'/'.join(FOLDERS_2021.values())} (2021 layout) found; "
            "give the folder that holds them"
        )
    return found[0]


def _from_2017(table: Path, root: Path, classes: int, images: Path | None) -> Photographs:
    rows = _read_table(table)
    expression, valence, arousal = (_numbers(rows, key, table) for key in ("expression", "valence", "arousal"))
    use = (expression >= 0) & (expression < classes) & (valence != -2) & (arousal != -2)
    rows = [row for row, good in zip(rows, use, strict=True) if good]
    names = [row["subDirectory_filePath"].strip() for row in rows]
    base = images if images is not None else _picture_folder(root, table, names)
    x, y, width, height = (_numbers(rows, f"face_{key}", table) for key in ("x", "y", "width", "height"))
    return Photographs(
        f"AffectNet {table.name}",
        [name.rsplit(".", 1)[0] for name in names],
        [base / name for name in names],
        Labels(expression[use].astype(np.int32), valence[use].astype(np.float32), arousal[use].astype(np.float32)),
        landmarks68=np.array([_landmarks(row["facial_landmarks"]) for row in rows], np.float32).reshape(-1, 68, 2),
        boxes=np.stack([x, y, x + width, y + height], 1).astype(np.float32),
    )


def _read_table(table: Path) -> list[dict[str, str]]:
    try:
        with table.open(newline="", encoding="utf-8") as stream:
            lines = [line for line in csv.reader(stream) if line]
    except FileNotFoundError:
        raise UserError(f"{table}: no such file") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{table} is not a readable csv file ({error})") from None
    header: tuple[str, ...] = COLUMNS
    if lines and COLUMNS[0] in [name.strip() for name in lines[0]]:
        header = tuple(name.strip() for name in lines.pop(0))
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise UserError(f"{table}: the columns {', '.join(missing)} are missing; AffectNet's are {', '.join(COLUMNS)}")
    for number, line in enumerate(lines, 1):
        if len(line) < len(header):
            raise UserError(f"{table}, row {number}: {len(line)} columns instead of {len(header)}")
    return [dict(zip(header, line, strict=False)) for line in lines]


def _numbers(rows: list[dict[str, str]], key: str, table: Path) -> np.ndarray:
    try:
        return np.array([float(row[key]) for row in rows])
    except ValueError as error:
        raise UserError(f"{table}: column {key} holds something that is no number ({error})") from None


def _landmarks(text: str) -> np.ndarray:
    """``x;y;x;y...`` -> ``[68, 2]``, NaN if it is anything else."""
    try:
        values = np.array([float(v) for v in text.split(";")])
    except ValueError:
        values = np.empty(0)
    return values.reshape(68, 2) if values.size == 136 else np.full((68, 2), np.nan)


def _picture_folder(root: Path, table: Path, names: list[str]) -> Path:
    """The folder that the csv's paths start from: the first under which one of the first pictures lies."""
    bases = [start / folder for start in (root, table.parent) for folder in _PICTURE_FOLDERS]
    for base in bases:
        if any((base / name).is_file() for name in names[:200]):
            return base
    if not names:
        return root
    raise UserError(
        f"the pictures of {table} (for example {names[0]}) lie in none of AffectNet's folders under {root}; "
        "give their folder with images="
    )


def _from_2021(folder: Path, classes: int) -> Photographs:
    ids, files, values, points = [], [], [], []
    for path in sorted((folder / "annotations").glob("*_exp.npy"), key=lambda p: (len(p.name), p.name)):
        identity = path.name.removesuffix("_exp.npy")
        expression, valence, arousal = (_value(path.with_name(f"{identity}_{k}.npy")) for k in ("exp", "val", "aro"))
        if not 0 <= expression < classes or valence == -2 or arousal == -2:
            continue
        marks = path.with_name(f"{identity}_lnd.npy")
        ids.append(identity)
        files.append(folder / "images" / f"{identity}.jpg")
        values.append((expression, valence, arousal))
        points.append(_load(marks).astype(np.float32).reshape(68, 2) if marks.is_file() else np.full((68, 2), np.nan))
    table = np.array(values, np.float32).reshape(-1, 3)
    labels = Labels(table[:, 0].astype(np.int32), table[:, 1], table[:, 2])
    return Photographs(f"AffectNet {folder.name}", ids, files, labels, landmarks68=np.array(points, np.float32))


def _value(path: Path) -> float:
    """A number, which AffectNet stores as text."""
    try:
        return float(_load(path).item())
    except ValueError:
        raise UserError(f"{path} does not hold one number") from None


def _load(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (ValueError, EOFError, OSError) as error:
        raise UserError(f"{path} is not a readable .npy file ({error})") from None
