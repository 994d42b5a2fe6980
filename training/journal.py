"""What a run writes while it goes: ``metrics.csv``, TensorBoard scalars and pictures, and the progress bar.

After a kill, ``metrics.csv`` is cut back to the checkpoint's step, so that no step stands in it twice.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from emoca_tf.io.atomic import write_text

BAR = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}{postfix}]"


class Metrics:
    """``metrics.csv``: one row a logged step; the columns are fixed by the first row.

    Args:
        path: the file.
        kept_steps: rows beyond this step are removed (they will be written again).
    """

    def __init__(self, path: Path, kept_steps: int) -> None:
        self.path = path
        rows = [row for row in read_metrics(path) if int(float(row["step"])) <= kept_steps]
        self.columns = list(rows[0]) if rows else []
        if path.exists():
            write_text(path, self._lines(rows, header=True))

    def write(self, row: Mapping[str, Any]) -> None:
        """Append a row; unknown columns of later rows are refused, absent ones stay empty."""
        header = not self.columns
        self.columns = self.columns or list(row)
        with self.path.open("a", encoding="utf-8", newline="") as stream:
            stream.write(self._lines([row], header))

    def _lines(self, rows: Sequence[Mapping[str, Any]], header: bool) -> str:
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, restval="", lineterminator="\n")
        if header and self.columns:
            writer.writeheader()
        writer.writerows({name: _short(value) for name, value in row.items()} for row in rows)
        return text.getvalue()


def _short(value: Any) -> Any:
    return float(f"{value:.9g}") if isinstance(value, float) else value


def read_metrics(path: Path) -> list[dict[str, str]]:
    """The complete rows of a ``metrics.csv``; a last line that a kill left half-written is ignored."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1])))
    return [row for row in rows if None not in row and None not in row.values() and row.get("step")]


def series(rows: Sequence[Mapping[str, str]], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values of one column, where it has values."""
    pairs = [(float(row["step"]), float(row[name])) for row in rows if row.get(name)]
    return np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])


class Journal:
    """Bar, file and TensorBoard of one run.

    Args:
        folder: the run directory.
        start: step to go on from.
        steps: length of the run.
    """

    def __init__(self, folder: Path, start: int, steps: int) -> None:
        self.metrics = Metrics(folder / "metrics.csv", start)
        self.board = tf.summary.create_file_writer(str(folder / "tensorboard"))
        self.bar = tqdm(total=steps, initial=start, desc=folder.name, bar_format=BAR, mininterval=0.5, unit="step")

    def record(self, step: int, values: Mapping[str, Any]) -> None:
        """Write one row and the same scalars."""
        self.metrics.write({"step": step, **values})
        with self.board.as_default(step=step):
            for name, value in values.items():
                if value != "" and math.isfinite(value):
                    tf.summary.scalar(name, value)

    def advance(self, loss: float, wait: float) -> None:
        """One step on the bar, with the loss and the share of time spent waiting for input."""
        self.bar.set_postfix_str(f"loss {loss:.4g}, input wait {wait:.1%}", refresh=False)
        self.bar.update()

    def picture(self, step: int, picture: np.ndarray) -> None:
        """``[H, W, 3]`` uint8 to TensorBoard."""
        with self.board.as_default(step=step):
            tf.summary.image("pictures", picture[None])

    def close(self) -> None:
        self.bar.close()
        self.board.close()
