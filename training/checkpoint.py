"""The whole state of a run in one file that appears atomically: weights, optimiser, averages, step, best value.

Nothing is pickled: arrays by name and a JSON description, as an uncompressed ``.npz``. The zip's checksums tell a
damaged file when it is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from emoca_tf.errors import UserError
from emoca_tf.io.atomic import atomic_path
from emoca_tf.io.npz import read_npz

DESCRIPTION = "progress"


@dataclass(frozen=True)
class Progress:
    """Where a run stands: next data position = ``step``; the rest is for choosing the best and stopping early."""

    step: int = 0
    best: float = float("inf")
    best_step: int = 0
    stale: int = 0


class State:
    """Named variables that are saved and restored together.

    Args:
        groups: group name (such as ``network/E_expression`` or ``optimizer``) -> its variables, in a fixed order.
    """

    def __init__(self, groups: Mapping[str, Iterable[Any]]) -> None:
        self.variables = {
            f"{group}/{index:04d}": variable
            for group, members in groups.items()
            for index, variable in enumerate(members)
        }

    def save(self, path: Path, progress: Progress) -> None:
        """Write everything to ``path``; the old file stays until the new one is complete on disk."""
        arrays = {name: np.asarray(variable) for name, variable in self.variables.items()}
        arrays[DESCRIPTION] = np.frombuffer(json.dumps(asdict(progress)).encode(), np.uint8)
        with atomic_path(path) as temporary:
            np.savez(temporary, **arrays)  # type: ignore[arg-type]

    def restore(self, path: Path) -> Progress:
        """Read what :meth:`save` wrote.

        Raises:
            UserError: damaged file, or another set of variables than this run has.
        """
        arrays = read_npz(path)
        progress = _progress(arrays.pop(DESCRIPTION, None), path)
        wrong = [
            name
            for name, variable in self.variables.items()
            if name not in arrays or arrays[name].shape != tuple(variable.shape)
        ]
        extra = arrays.keys() - self.variables.keys()
        if wrong or extra:
            raise UserError(
                f"{path} is of another configuration: {len(wrong)} arrays missing or of another shape, "
                f"{len(extra)} unknown (such as {[*wrong, *sorted(extra)][0]}); resume with the recipe it was made with"
            )
        for name, variable in self.variables.items():
            variable.assign(arrays[name])
        return progress


def _progress(stored: np.ndarray | None, path: Path) -> Progress:
    try:
        values = json.loads(stored.tobytes())  # type: ignore[union-attr]
        return Progress(**{f.name: values[f.name] for f in fields(Progress)})
    except (AttributeError, ValueError, KeyError, TypeError):
        raise UserError(f"{path} is not a checkpoint of this program (no readable '{DESCRIPTION}')") from None


def network_arrays(stored: Mapping[str, np.ndarray], prefix: str = "network/") -> dict[str, list[np.ndarray]]:
    """Network name -> its arrays in order, of a checkpoint; EMA averages are not among them. Empty for other files."""
    found: dict[str, list[np.ndarray]] = {}
    for name, array in sorted(stored.items()):
        if name.startswith(prefix):
            found.setdefault(name[len(prefix) :].rpartition("/")[0], []).append(array)
    return found
