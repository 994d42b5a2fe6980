"""AFEW-VA (Kossaifi et al. 2017): 600 film clips, per frame 68 landmarks, valence and arousal from -10 to 10.

Layout: ``001/001.json`` and ``001/00000.png`` ...; the JSON has ``video_id``, ``actor`` and ``frames``: frame name ->
``landmarks`` (68 x 2), ``valence``, ``arousal``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from emoca_tf.errors import UserError
from training.datasets.photos import Photographs
from training.datasets.source import UNKNOWN, Labels

SPLITS = ("training", "validation", "test", "all")
SCALE = 10.0


def afew_va(root: Path | str, split: str = "training") -> Photographs:
    """Open AFEW-VA. ``persons`` are the clips.

    Args:
        root: folder of the numbered clip folders (those of the twelve archives put together).
        split: ``training``, ``validation``, ``test`` (60, 20, 20 % of the clips, the release's shuffle) or ``all``.

    Raises:
        UserError: if there is no clip or a JSON is not AFEW-VA's.
    """
    root = Path(root)
    if split not in SPLITS:
        raise UserError(f"AFEW-VA's splits are {', '.join(SPLITS)}; received '{split}'")
    clips = sorted(p.parent for p in root.glob("*/*.json") if p.stem == p.parent.name and p.stem.isdecimal())
    if not clips:
        raise UserError(f"{root}: no AFEW-VA clip (such as 001/001.json) in this folder")
    chosen = [clips[i] for i in split_rows(len(clips), split)]
    ids: list[str] = []
    files: list[Path] = []
    points, values, persons = [], [], []
    for clip in chosen:
        for frame, entry in sorted(_frames(clip / f"{clip.name}.json").items()):
            ids.append(f"{clip.name}/{frame}")
            files.append(clip / f"{frame}.png")
            points.append(_points(entry))
            values.append((float(entry["valence"]), float(entry["arousal"])))
            persons.append(int(clip.name))
    table = (np.array(values, np.float32) / SCALE).reshape(-1, 2)
    labels = Labels(np.full(len(ids), UNKNOWN, np.int32), table[:, 0], table[:, 1])
    where = f"AFEW-VA {split}"
    marks = np.array(points, np.float32).reshape(-1, 68, 2)
    return Photographs(where, ids, files, labels, persons=np.array(persons), landmarks68=marks)


def split_rows(count: int, split: str) -> np.ndarray:
    """Rows of the sorted clips in a split (emoca:gdl/datasets/AfewVaDataModule.py: shuffle with NumPy's seed 0)."""
    order = np.arange(count)
    np.random.RandomState(0).shuffle(order)
    first, second = int(0.6 * count), int(0.8 * count)
    parts = {"training": order[:first], "validation": order[first:second], "test": order[second:], "all": order}
    return np.sort(parts[split])


def _frames(path: Path) -> dict[str, Any]:
    try:
        frames = json.loads(path.read_text(encoding="utf-8"))["frames"]
        for entry in frames.values():
            if not {"valence", "arousal"} <= entry.keys():
                raise KeyError("valence, arousal")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is not an AFEW-VA annotation ({type(error).__name__}: {error})") from None
    return dict(frames)


def _points(entry: dict[str, Any]) -> np.ndarray:
    points = np.asarray(entry.get("landmarks", ()), np.float32)
    return points if points.shape == (68, 2) else np.full((68, 2), np.nan, np.float32)
