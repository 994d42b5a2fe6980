"""The same network with channels of equal size, which 8 bits in common hold better.

An 8-bit tensor has one scale for all its channels: beside a channel of range 30 one of range 0.5 keeps two bits. But a
channel may be scaled where it is made (batch norm, or a convolution without one) and scaled back where it is read
(convolution, linear layer): ReLU and addition commute with positive factors, and the outputs stay what they were.
Weights have a scale for each output channel, so that the first half costs nothing, and for a depthwise reader neither
does the second.
Source of the idea: Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction (ICCV 2019);
here the ranges are those of calibration pictures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import keras
import numpy as np

from convert.networks import Network, copied

SHARE = 0.5
"""How much of the difference between channels is taken out where the readers' weights must bear it; 1 is all."""
FAINTEST = 1 / 64  # channels fainter than this share of the largest are not raised further
BATCH = 8

_TRANSPARENT = ("ReLU", "Add", "GlobalAveragePooling2D", "MaxPooling2D", "ZeroPadding2D")
_CONVOLUTIONS = ("Conv2D", "DepthwiseConv2D")


@dataclass
class _Group:
    """Tensors whose channels must have the same factor, because additions or activations join them."""

    makers: list[Any] = field(default_factory=list)
    readers: list[Any] = field(default_factory=list)
    tensors: list[Any] = field(default_factory=list)
    fixed: bool = False

    def absorb(self, other: _Group) -> None:
        self.makers += other.makers
        self.readers += other.readers
        self.tensors += other.tensors
        self.fixed |= other.fixed


def equalised(network: Network, images: np.ndarray, share: float = SHARE) -> Network:
    """The network with equalised channels; itself where it has no builder or no channels that can be scaled.

    Args:
        network: the float network; its weights are not changed.
        images: ``[N, 224, 224, 3]`` float32 in 0..1, for the ranges.
        share: see :data:`SHARE`.
    """
    model = copied(network)
    if model is None:
        return network
    groups = [group for group in _groups(model) if _gains(group)]
    if not groups:
        return network
    for group, ranges in zip(groups, _ranges(model, groups, images), strict=True):
        free = all(type(reader).__name__ == "DepthwiseConv2D" for reader in group.readers)
        largest = max(float(ranges.max()), 1e-9)
        _scale(group, (largest / np.maximum(ranges, FAINTEST * largest)) ** (1.0 if free else share))
    return replace(network, model=model)


def _gains(group: _Group) -> bool:
    """Channels can be scaled, and it is worth it.

    What linear layers read is a mean of channels that rarely fire: raised by their few peaks, they would take the steps
    from the channels that speak all the time.
    """
    return not group.fixed and any(type(reader).__name__ != "Dense" for reader in group.readers)


def _groups(model: Any) -> list[_Group]:
    """Groups of a functional model, by following its layers in order."""
    readers = Counter(id(t) for layer in model.layers if not _is_input(layer) for t in _listed(layer.input))
    normalised = {id(layer.input) for layer in model.layers if type(layer).__name__ == "BatchNormalization"}
    of: dict[int, _Group] = {}
    found: list[_Group] = []
    for layer in model.layers:
        kind = type(layer).__name__
        inputs = [of[id(t)] for t in _listed(layer.input) if id(t) in of] if not _is_input(layer) else []
        if kind in _CONVOLUTIONS:
            for group in inputs:
                group.readers.append(layer)
        if kind == "BatchNormalization" or (kind in _CONVOLUTIONS and id(layer.output) not in normalised):
            plain = kind == "BatchNormalization" or layer.activation.__name__ in ("linear", "relu")
            group = _Group([layer], tensors=[layer.output], fixed=not plain)
            found.append(group)
            of[id(layer.output)] = group
        elif kind in _CONVOLUTIONS:
            continue
        elif kind in _TRANSPARENT and inputs and not getattr(layer, "max_value", None):
            group = inputs[0]
            for other in inputs[1:]:
                if other is not group:
                    group.absorb(other)
                    found.remove(other)
                    of = {key: group if value is other else value for key, value in of.items()}
            if len(inputs) != len(_listed(layer.input)):
                group.fixed = True
            if kind == "ReLU" and readers[id(layer.input)] == 1:  # the converter fuses it: no such tensor before it
                group.tensors = [tensor for tensor in group.tensors if tensor is not layer.input]
            group.tensors.append(layer.output)
            of[id(layer.output)] = group
        else:
            for group in inputs:
                group.readers.append(layer)
                group.fixed |= kind != "Dense"
    for output in _listed(model.output):
        if id(output) in of:
            of[id(output)].fixed = True
    return found


def _is_input(layer: Any) -> bool:
    return isinstance(layer, keras.layers.InputLayer)


def _listed(tensors: Any) -> list[Any]:
    return list(keras.tree.flatten(tensors))


def _ranges(model: Any, groups: list[_Group], images: np.ndarray) -> Iterator[np.ndarray]:
    """Largest absolute value of every channel, group by group."""
    tensors = [tensor for group in groups for tensor in group.tensors]
    outputs = keras.Model(model.inputs[0], tensors)
    largest: list[np.ndarray] = []
    for start in range(0, len(images), BATCH):
        values = outputs(images[start : start + BATCH], training=False)
        seen = [np.abs(np.asarray(v)).max(axis=tuple(range(v.ndim - 1))) for v in values]
        largest = [np.maximum(a, b) for a, b in zip(largest, seen, strict=True)] if largest else seen
    remaining = iter(largest)
    for group in groups:
        yield np.max([next(remaining) for _ in group.tensors], axis=0)


def _scale(group: _Group, factor: np.ndarray) -> None:
    """Larger by ``factor [C]`` where the channels are made, smaller by it where they are read."""
    for maker in group.makers:
        kind, (kernel, *rest) = type(maker).__name__, maker.get_weights()
        if kind == "BatchNormalization":
            beta, *statistics = rest
            maker.set_weights([kernel * factor, beta * factor, *statistics])
        else:
            by_channel = factor[:, None] if kind == "DepthwiseConv2D" else factor
            maker.set_weights([kernel * by_channel, *(bias * factor for bias in rest)])
    for reader in group.readers:
        kernel, *rest = reader.get_weights()
        reader.set_weights([kernel / factor[:, None], *rest])  # the last two axes are channels read and made
