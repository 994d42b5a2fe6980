"""Latency of files side by side, in one process on one CPU. Ratios only: these numbers say nothing about a phone."""

from __future__ import annotations

import platform
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from emoca_tf.capture.tflite import TFLiteModel

WARM_UP, RUNS, FEWEST = 5, 40, 3
SECONDS = 4.0
"""A file that has taken so long is run no more, but for :data:`FEWEST`: 16-bit activations need a second and more."""


def latency(files: Mapping[str, bytes], threads: int = 1, runs: int = RUNS, delegates: bool = True
            ) -> dict[str, dict[str, float]]:  # fmt: skip
    """Milliseconds of one run, files taken in turn so that a busy machine troubles all alike.

    Args:
        files: name -> content.
        threads: of the CPU kernels.
        runs: of each file, fewer of slow ones.
        delegates: with XNNPACK.

    Returns:
        Name -> ``min`` and ``median``.
    """
    rng = np.random.default_rng(0)
    ready = {}
    for name, content in files.items():
        model = TFLiteModel(content, threads, delegates)
        ready[name] = (model, {key: rng.random(shape, np.float32) for key, (shape, _) in model.inputs.items()})
        for _ in range(WARM_UP):
            if _run(model, ready[name][1]) > 1e3 * SECONDS / runs:
                break
    times: dict[str, list[float]] = {name: [] for name in ready}
    for _ in range(runs):
        for name, (model, values) in ready.items():
            if len(times[name]) < FEWEST or sum(times[name]) < 1e3 * SECONDS:
                times[name].append(_run(model, values))
    return {name: {"min": min(t), "median": float(np.median(t))} for name, t in times.items()}


def _run(model: TFLiteModel, values: Mapping[str, np.ndarray]) -> float:
    """Milliseconds of one run."""
    start = time.perf_counter()
    model(values)
    return 1e3 * (time.perf_counter() - start)


def operations(content: bytes) -> dict[str, Any]:
    """``ops`` kind -> count, and ``delegate_partitions``: into how many pieces XNNPACK cuts the graph (1 is best)."""
    plain = _kinds(content, delegates=False)
    return {"ops": dict(sorted(plain.items())), "delegate_partitions": _kinds(content, delegates=True)["DELEGATE"]}


def _kinds(content: bytes, delegates: bool) -> Counter[str]:
    details = TFLiteModel(content, delegates=delegates).interpreter._get_ops_details()
    return Counter(node["op_name"] for node in details)


def device() -> str:
    """The CPU that latency was measured on."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        name = lines[0] if lines else name
    return name
