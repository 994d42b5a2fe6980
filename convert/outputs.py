"""What a file computes, and how far that is from a reference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from emoca_tf.capture.tflite import TFLiteModel

Outputs = dict[str, np.ndarray]
FAINTEST = 0.02
"""Spread of an output below which its noise decides nothing: eyelids that were never trained vary by 0.001."""


def stacked(rows: Iterable[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Batches of inputs (or outputs) by name, at least one, as one batch ``[N, ...]``."""
    parts = list(rows)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def file_outputs(model: TFLiteModel, inputs: Mapping[str, np.ndarray]) -> Outputs:
    """The file's outputs ``[N, ...]`` by name of N >= 1 rows; incomplete last batches are filled up and cut off again.

    Raises:
        ValueError: an input is missing or has another shape.
    """
    batch = next(iter(model.inputs.values()))[0][0]
    rows = len(next(iter(inputs.values())))
    parts = []
    for start in range(0, rows, batch):
        index = np.minimum(np.arange(start, start + batch), rows - 1)
        parts.append(model({name: value[index] for name, value in inputs.items()}))
    return {name: value[:rows] for name, value in stacked(parts).items()}


def errors(reference: Outputs, found: Outputs, faintest: float = 1e-6) -> dict[str, float]:
    """Per output the mean squared difference as a share of the reference's variance over the rows (axis by axis).

    Args:
        reference: outputs ``[N, ...]`` by name, N at least 1.
        found: the same outputs from elsewhere.
        faintest: standard deviation that the reference is taken to have at least.
    """
    return {name: _error(truth, found[name], faintest) for name, truth in reference.items()}


def _error(truth: np.ndarray, found: np.ndarray, faintest: float) -> float:
    truth = truth.astype(np.float64)
    return float(np.square(truth - found).mean() / max(truth.var(0).mean(), faintest**2))
