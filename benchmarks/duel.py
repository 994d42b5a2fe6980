"""Time our code and a peer in turns, the peer in an interpreter of its own (its libraries do not fit beside ours).

A peer is a script under ``benchmarks/peers``: it gets the path of an ``.npz`` with the inputs and answers every line
``case`` on its standard input with the milliseconds of that case. Rounds alternate between us and the peer, so that a
busy machine hurts both; a round counts with its fastest repeat, a case with the median of its rounds.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

PEERS = Path(__file__).parent / "peers"


def fastest(action: Callable[[], Any], repeats: int = 5) -> float:
    """Milliseconds of the fastest of ``repeats`` calls, after one that is not counted."""
    action()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times) * 1e3


class Peer:
    """A peer script in its own interpreter; a context manager.

    Args:
        script: file name under ``benchmarks/peers``.
        arrays: the inputs, saved for the script as ``.npz``.
        python: the interpreter that has the peer installed; this one when None.

    Raises:
        SystemExit: if the peer does not start, with what it said last.
    """

    def __init__(self, script: str, arrays: Mapping[str, np.ndarray], python: str | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory()
        inputs = Path(self._folder.name) / "inputs.npz"
        np.savez(inputs, **arrays)
        clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self._process = subprocess.Popen(
            [python or sys.executable, str(PEERS / script), str(inputs)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean,
        )  # fmt: skip
        self.about = self._answer()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()  # closes its input, which ends it
        self._folder.cleanup()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            told = self._process.communicate()[1].strip().splitlines()
            sys.exit(
                f"the peer ended: {told[-1] if told else 'it said nothing'} (give its interpreter with --peer-python)"
            )
        return line.strip()

    def milliseconds(self, case: str) -> float:
        """Time of one case."""
        assert self._process.stdin is not None
        self._process.stdin.write(case + "\n")
        self._process.stdin.flush()
        return float(self._answer())


class Local:
    """A rival in this interpreter: its actions by case."""

    def __init__(self, actions: Mapping[str, Callable[[], Any]]) -> None:
        self._actions = actions

    def milliseconds(self, case: str) -> float:
        """Time of one case."""
        return fastest(self._actions[case])


def duel(
    actions: Mapping[str, Callable[[], Any]], peer: Peer | Local, rounds: int = 7
) -> dict[str, tuple[float, float]]:
    """Case -> our milliseconds and the peer's; every case of ``actions`` is known to the peer by the same name."""
    times: dict[str, list[tuple[float, float]]] = {case: [] for case in actions}
    for _ in range(rounds):
        for case, action in actions.items():
            times[case].append((fastest(action), peer.milliseconds(case)))
    return {case: tuple(map(statistics.median, zip(*pairs, strict=True))) for case, pairs in times.items()}  # type: ignore[misc]


def print_table(results: Mapping[str, tuple[float, float]], peer: str) -> None:
    """One row a case, the ratio last; at most 1 is the aim."""
    width = max(map(len, results))
    print(f"{'case':{width}s}  {'ours ms':>9s}  {peer + ' ms':>12s}  ratio")
    for case, (ours, theirs) in results.items():
        print(f"{case:{width}s}  {ours:9.2f}  {theirs:12.2f}  {ours / theirs:5.2f}")
