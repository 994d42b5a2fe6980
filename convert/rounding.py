"""Kernels on an 8-bit grid so that the layer's output, not each number, is nearest to what it was.

Rounding every number to its nearest step makes errors that add up where inputs move together, as neighbouring pixels
and channels do. Here steps are traded against each other: with ``e`` the rounding error of one output channel and
``C`` the covariance of the layer's inputs, ``e' C e`` is the error of that output, and it is lowered by moving one
number after the other to the step that suits the errors of the others (coordinate descent). What the error's mean
adds goes into the bias.
Sources of the ideas: Nagel et al., Up or Down? Adaptive Rounding (ICML 2020); Frantar et al., GPTQ (ICLR 2023); bias
correction: Nagel et al., Data-Free Quantization (ICCV 2019).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from convert.networks import Network, copied
from convert.selective import SMALL_KERNEL

LEVELS = 127  # of a symmetric 8-bit number to each side
SWEEPS = 4
POSITIONS = 256  # of a picture that enter a covariance
MOST_INPUTS = 2400  # above this the covariance costs too much: nearest steps, and only the bias is corrected
DAMPING = 1e-4  # share of the mean variance that is added to every input's: calibration pictures are few
BATCH = 8


@dataclass
class _Kernel:
    """A convolution or linear layer, and the batch norm that the converter folds into it."""

    layer: Any
    norm: Any | None

    @property
    def folded(self) -> np.ndarray:
        """``[K, O]`` the kernel as the converter stores it, inputs by outputs."""
        kernel = np.asarray(self.layer.get_weights()[0], np.float64)
        return kernel.reshape(-1, kernel.shape[-1]) * self._gain

    @property
    def _gain(self) -> np.ndarray:
        if self.norm is None:
            return np.ones(self.layer.output.shape[-1])
        gamma, _, _, variance = (np.asarray(w, np.float64) for w in self.norm.get_weights())
        return gamma / np.sqrt(variance + self.norm.epsilon)

    def replace(self, folded: np.ndarray, shift: np.ndarray) -> None:
        """Store another folded kernel ``[K, O]``, and add ``shift [O]`` to the output."""
        kernel, *bias = self.layer.get_weights()
        gain = self._gain
        changed = folded / np.where(gain == 0, 1, gain)
        kernel = np.where(gain == 0, kernel.reshape(changed.shape), changed).reshape(kernel.shape)
        if self.norm is not None:
            gamma, beta, *statistics = self.norm.get_weights()
            self.norm.set_weights([gamma, beta + shift, *statistics])
        else:
            bias = [bias[0] + shift]
        self.layer.set_weights([kernel.astype(np.float32), *bias])

    def rows(self, values: np.ndarray) -> np.ndarray:
        """``[N, K]`` what the kernel is multiplied with, from the layer's input, at some positions."""
        if values.ndim == 2:
            return values
        size, step = self.layer.kernel_size[0], self.layer.strides[0]
        if (size, step) != (1, 1):
            values = np.asarray(keras.ops.image.extract_patches(values, size, step, padding=self.layer.padding))
        flat = values.reshape(len(values), -1, values.shape[-1])
        return flat[:, :: -(-flat.shape[1] // POSITIONS)].reshape(-1, flat.shape[-1])


def rounded(network: Network, images: np.ndarray) -> Network:
    """The network with its large kernels on an 8-bit grid; itself where it has no builder or no large kernel.

    Args:
        network: the float network; its weights are not changed.
        images: ``[N, 224, 224, 3]`` float32 in 0..1, for the covariances.
    """
    model = copied(network)
    if model is None:
        return network
    kernels = list(_kernels(model))
    if not kernels:
        return network
    for kernel, covariance, mean in _statistics(model, kernels, images):
        weights = kernel.folded
        found = nearest(weights) if covariance is None else descend(weights, covariance)
        kernel.replace(found, -(mean @ (found - weights)))
    return replace(network, model=model)


def _kernels(model: Any) -> Iterator[_Kernel]:
    """Layers whose kernels become 8-bit numbers, see :func:`convert.selective.eight_bit_weights`."""
    readers: dict[int, list[Any]] = {}
    for layer in model.layers:
        if not isinstance(layer, keras.layers.InputLayer):
            for tensor in keras.tree.flatten(layer.input):
                readers.setdefault(id(tensor), []).append(layer)
    for layer in model.layers:
        plain = type(layer).__name__ == "Conv2D" and layer.groups == 1 and layer.dilation_rate == (1, 1)
        if not (plain or type(layer).__name__ == "Dense") or layer.get_weights()[0].size <= SMALL_KERNEL:
            continue
        following = readers.get(id(layer.output), [])
        norm = following[0] if len(following) == 1 and type(following[0]).__name__ == "BatchNormalization" else None
        if norm is not None or layer.use_bias:
            yield _Kernel(layer, norm)


def _statistics(model: Any, kernels: list[_Kernel], images: np.ndarray
                ) -> Iterator[tuple[_Kernel, np.ndarray | None, np.ndarray]]:  # fmt: skip
    """Kernel, covariance ``[K, K]`` of its inputs (None where there are too many), their mean ``[K]``."""
    inputs = keras.Model(model.inputs[0], [kernel.layer.input for kernel in kernels])
    sums: list[list[Any]] = [[0, 0.0, 0.0] for _ in kernels]
    for start in range(0, len(images), BATCH):
        values = inputs(images[start : start + BATCH], training=False)
        for kernel, total, value in zip(kernels, sums, values if len(kernels) > 1 else [values], strict=True):
            rows = kernel.rows(np.asarray(value))
            total[0] += len(rows)
            total[1] = total[1] + rows.sum(0, dtype=np.float64)
            if rows.shape[1] <= MOST_INPUTS:
                total[2] = total[2] + rows.T @ rows
    for kernel, (count, total, product) in zip(kernels, sums, strict=True):
        mean = total / count
        covariance = None
        if isinstance(product, np.ndarray):
            covariance = product / count - np.outer(mean, mean)
            if isinstance(kernel.layer, keras.layers.Dense):
                covariance = shrunk(covariance, count)
        yield kernel, covariance, mean


def shrunk(covariance: np.ndarray, count: int) -> np.ndarray:
    """A covariance ``[K, K]`` of ``count`` rows drawn towards its diagonal, the more the fewer rows there are.

    A linear layer sees one row a picture: with more inputs than pictures, moves that no picture shows would look free.
    """
    share = len(covariance) / (len(covariance) + count)
    return np.asarray((1 - share) * covariance + share * np.diag(np.diag(covariance)))


def nearest(weights: np.ndarray) -> np.ndarray:
    """``weights [K, O]`` rounded to the nearest of 255 steps, each output with its own."""
    step = _steps(weights)
    return np.asarray(np.round(weights / step) * step)


def descend(weights: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """``weights [K, O]`` on the grid of :func:`nearest`, with an output error that is never larger.

    Args:
        weights: folded kernel.
        covariance: ``[K, K]`` of the inputs.
    """
    step = _steps(weights)
    level = np.round(weights / step)
    largest = np.abs(weights) >= np.abs(weights).max(0)  # it carries the scale and must stay
    spread = np.diag(covariance).copy()
    damped = covariance + np.diag(np.full(len(spread), DAMPING * spread.mean()))
    curvature = np.maximum(np.diag(damped), 1e-20)
    error = level * step - weights
    slope = damped @ error
    for _ in range(SWEEPS):
        moved = False
        for k in range(len(weights)):
            wanted = np.clip(level[k] + np.round(-slope[k] / (curvature[k] * step)), -LEVELS, LEVELS)
            move = np.where(largest[k], 0.0, wanted - level[k])
            changed = np.flatnonzero(move)
            if changed.size:
                moved = True
                level[k] += move
                slope[:, changed] += np.outer(damped[:, k], (move * step)[changed])
        if not moved:
            break
    return np.asarray(level * step)


def _steps(weights: np.ndarray) -> np.ndarray:
    return np.asarray(np.maximum(np.abs(weights).max(0), 1e-9) / LEVELS)
