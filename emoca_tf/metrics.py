"""Emotion metrics of EMOCA and EmoNet (``emonet:emonet/metrics.py``): NumPy, float64, population deviations."""

from __future__ import annotations

import numpy as np


def rmse(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Root mean square error of ``[N]`` values."""
    return float(np.sqrt(np.mean((truth - prediction) ** 2)))


def sagr(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Share of ``[N]`` values whose signs agree; the sign of 0 is a class of its own."""
    return float(np.mean(np.sign(truth) == np.sign(prediction)))


def pcc(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Pearson correlation of ``[N]`` values; NaN when one of them is constant."""
    return Correlation().update(truth, prediction).pcc()


def ccc(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Lin's concordance correlation of ``[N]`` values; NaN when both are constant and equal."""
    return Correlation().update(truth, prediction).ccc()


class Correlation:
    """PCC, CCC, RMSE and SAGR over batches.

    Means and co-moments are merged (Chan et al.), which is stable for any offset.
    """

    def __init__(self) -> None:
        self.count = 0
        self._same_sign = 0
        self._mean = np.zeros(2)
        self._moments = np.zeros((2, 2))

    def update(self, truth: np.ndarray, prediction: np.ndarray) -> Correlation:
        """Add a batch of ``[N]`` values each; returns itself.

        Raises:
            ValueError: if the two have different lengths.
        """
        truth, prediction = np.ravel(truth), np.ravel(prediction)
        if truth.shape != prediction.shape:
            raise ValueError(f"expected equally many values; received {truth.size} and {prediction.size}")
        if truth.size == 0:
            return self
        values = np.stack([truth, prediction]).astype(np.float64)
        mean = values.mean(1)
        centred = values - mean[:, None]
        total, shift = self.count + truth.size, mean - self._mean
        self._moments += centred @ centred.T + np.outer(shift, shift) * self.count * truth.size / total
        self._mean += shift * truth.size / total
        self.count = total
        self._same_sign += int(np.sum(np.sign(truth) == np.sign(prediction)))
        return self

    def pcc(self) -> float:
        with np.errstate(invalid="ignore", divide="ignore"):
            return float(self._moments[0, 1] / np.sqrt(self._moments[0, 0] * self._moments[1, 1]))

    def ccc(self) -> float:
        spread = self._moments.trace() + max(self.count, 1) * (self._mean[0] - self._mean[1]) ** 2
        with np.errstate(invalid="ignore", divide="ignore"):
            return float(2 * self._moments[0, 1] / np.float64(spread))

    def rmse(self) -> float:
        """NaN before the first value."""
        if self.count == 0:
            return float("nan")
        squared = self._moments.trace() - 2 * self._moments[0, 1]
        return float(np.sqrt(max(squared / self.count, 0.0) + (self._mean[0] - self._mean[1]) ** 2))

    def sagr(self) -> float:
        """See :func:`sagr`; NaN before the first value."""
        return self._same_sign / self.count if self.count else float("nan")


class Confusion:
    """Counts of true class x predicted class over batches, and what is read from them."""

    def __init__(self, classes: int) -> None:
        self.matrix = np.zeros((classes, classes), np.int64)

    def update(self, truth: np.ndarray, prediction: np.ndarray) -> Confusion:
        """Add a batch of ``[N]`` integer labels each; returns itself.

        Raises:
            ValueError: if the lengths differ or a label is outside ``0..classes-1``.
        """
        truth, prediction = np.ravel(truth), np.ravel(prediction)
        if truth.shape != prediction.shape:
            raise ValueError(f"expected equally many labels; received {truth.size} and {prediction.size}")
        labels = np.concatenate([truth, prediction])
        if labels.size and not 0 <= labels.min() <= labels.max() < len(self.matrix):
            raise ValueError(f"labels must lie in 0..{len(self.matrix) - 1}; received {labels.min()}..{labels.max()}")
        np.add.at(self.matrix, (truth, prediction), 1)
        return self

    def accuracy(self) -> float:
        return float(self.matrix.trace() / max(self.matrix.sum(), 1))

    def recall(self) -> np.ndarray:
        """``[classes]``; NaN for a class that never occurred."""
        occurred = self.matrix.sum(1)
        return np.where(occurred > 0, self.matrix.diagonal() / np.maximum(occurred, 1), np.nan)

    def mean_recall(self) -> float:
        """Unweighted average recall (UAR) over the classes that occurred."""
        return float(np.nanmean(self.recall())) if self.matrix.any() else float("nan")

    def macro_f1(self) -> float:
        """Mean F1 over the classes that occurred or were predicted."""
        sums = self.matrix.sum(0) + self.matrix.sum(1)
        return float(np.mean(2 * self.matrix.diagonal()[sums > 0] / sums[sums > 0])) if sums.any() else float("nan")
