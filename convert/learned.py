"""Fake quantisation for tfmot's wrappers that computes what the file will: a learnt range a tensor, kernels by channel.

tfmot's own observers follow the extremes of every layer's output, with the steps of a whole tensor for depthwise
kernels; the converter then measures anew, and quantises other tensors. So the network learnt to live with rounding that
the file does not do. Here a range is a weight: it learns where it should end, and is written into the file.
Source of the range's gradient: Esser et al., Learned Step Size Quantization (ICLR 2020).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from convert.quiet import silent
from convert.ranges import Range

LEVELS = 127  # of a symmetric 8-bit number to each side
KERNELS = {"Conv2D": ("kernel", (0, 1, 2)), "DepthwiseConv2D": ("depthwise_kernel", (0, 1, 3)), "Dense": ("kernel", 0)}
"""Attribute of the kernel, and the axes that share a step, by kind of layer."""


@tf.custom_gradient
def rounded_to_range(values: Any, low: Any, high: Any) -> Any:
    """Values as an 8-bit tensor from ``low`` (<= 0) to ``high`` holds them; gradients for values and both ends."""
    result = tf.quantization.fake_quant_with_min_max_vars(values, low, high)

    def gradient(upstream: Any) -> tuple[Any, Any, Any]:
        below, above = values < low, values > high
        outside = below | above
        step = tf.where(outside, 0.0, (result - values) / (high - low))  # what a wider range does to the rounding
        ends = (tf.reduce_sum(upstream * (tf.cast(mask, tf.float32) + sign * step))
                for mask, sign in ((below, -1.0), (above, 1.0)))  # fmt: skip
        return (tf.where(outside, 0.0, upstream), *ends)

    return result, gradient


def rounded_kernel(kernel: Any, axes: Any) -> Any:
    """A kernel on the converter's grid, 255 steps for each output channel; the gradient passes."""
    step = tf.maximum(tf.reduce_max(tf.abs(kernel), axes, keepdims=True), 1e-9) / LEVELS
    return kernel + tf.stop_gradient(tf.round(kernel / step) * step - kernel)


def wrapped(keras: Any, twin: Any, ranges: Mapping[str, Range], linear: bool) -> Any:
    """A copy of the network that computes with 8-bit kernels and, where ``ranges`` has a layer, 8-bit outputs.

    Args:
        keras: tf_keras.
        twin: the network there.
        ranges: layer name -> range to start with.
        linear: linear layers have 8-bit kernels, too.
    """
    from tensorflow_model_optimization.python.core.quantization.keras.quantize_wrapper import QuantizeWrapperV2

    config = _config()

    def wrap(layer: Any) -> Any:
        copy = type(layer).from_config(layer.get_config())
        kind = type(layer).__name__
        kernel = KERNELS.get(kind) if kind != "Dense" or linear else None
        if layer.name not in ranges and kernel is None:
            return copy
        return QuantizeWrapperV2(copy, config(kernel, ranges.get(layer.name)), name=f"aware_{layer.name}")

    with silent():
        aware = keras.models.clone_model(twin, clone_function=wrap)
    copies = {plain(layer).name: own_variables(layer) for layer in aware.layers}
    for layer in twin.layers:
        for variable in layer.weights:
            copies[layer.name][_short(variable)].assign(variable)
    return aware


def own_variables(layer: Any) -> dict[str, Any]:
    """Variables of a wrapper and the layer inside by name; tfmot takes the kernel away from the layer."""
    return {_short(variable): variable for variable in layer.weights}


def _short(variable: Any) -> str:
    return str(variable.name.split(":")[0].split("/")[-1])


def plain(layer: Any) -> Any:
    """The layer inside tfmot's wrapper; the layer itself without one."""
    return getattr(layer, "layer", layer)


def learnt_ranges(aware: Any) -> dict[str, Range]:
    """Layer name -> range, of all that have one."""
    found = {}
    for layer in aware.layers:
        config = getattr(layer, "quantize_config", None)
        if config is not None and config.range is not None:
            low, high = _ends(layer._output_quantizer_vars)
            found[layer.layer.name] = float(low), float(high)
    return found


def _ends(variables: Mapping[str, Any]) -> tuple[Any, Any]:
    """Both ends; they learn as a share of where they started, so that one rate suits all."""
    low = tf.maximum(variables["low"], 0.0) * variables["low_start"]
    return low, tf.maximum(variables["high"], 1e-3) * variables["high_start"]


def _config() -> Any:
    """The class of this module's ``QuantizeConfig``; made when needed, for tfmot is slow to import."""
    from tensorflow_model_optimization.python.core.quantization.keras import quantize_config, quantizers

    class LearntRange(quantizers.Quantizer):  # type: ignore[misc]
        """Quantiser of an output."""

        def __init__(self, start: Range) -> None:
            self.start = start

        def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
            del tensor_shape, name
            low, high = self.start

            def add(name: str, value: float, trainable: bool) -> Any:
                start = tf.constant_initializer(value)
                return layer.add_weight(f"{layer.name}_{name}", (), tf.float32, start, trainable=trainable)

            return {
                "low": add("low", 1.0, low < 0), "low_start": add("low_start", min(low, 0.0), False),
                "high": add("high", 1.0, True), "high_start": add("high_start", max(high, 1e-6), False),
            }  # fmt: skip

        def __call__(self, inputs: Any, training: bool, weights: dict[str, Any], **_: Any) -> Any:
            del training
            return rounded_to_range(inputs, *_ends(weights))

        def get_config(self) -> dict[str, Any]:
            return {"start": self.start}

    class ByChannel(quantizers.Quantizer):  # type: ignore[misc]
        """Quantiser of a kernel."""

        def __init__(self, axes: Any) -> None:
            self.axes = axes

        def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
            del tensor_shape, name, layer
            return {}

        def __call__(self, inputs: Any, training: bool, weights: dict[str, Any], **_: Any) -> Any:
            del training, weights
            return rounded_kernel(inputs, self.axes)

        def get_config(self) -> dict[str, Any]:
            return {"axes": self.axes}

    class AsInTheFile(quantize_config.QuantizeConfig):  # type: ignore[misc]
        """What is 8-bit in one layer."""

        def __init__(self, kernel: tuple[str, Any] | None, range: Range | None) -> None:
            self.kernel, self.range = kernel, range

        def get_weights_and_quantizers(self, layer: Any) -> list[Any]:
            return [(getattr(layer, self.kernel[0]), ByChannel(self.kernel[1]))] if self.kernel else []

        def set_quantize_weights(self, layer: Any, quantize_weights: Any) -> None:
            if self.kernel:
                setattr(layer, self.kernel[0], quantize_weights[0])

        def get_activations_and_quantizers(self, layer: Any) -> list[Any]:
            del layer
            return []

        def set_quantize_activations(self, layer: Any, quantize_activations: Any) -> None:
            del layer, quantize_activations

        def get_output_quantizers(self, layer: Any) -> list[Any]:
            del layer
            return [] if self.range is None else [LearntRange(self.range)]

        def get_config(self) -> dict[str, Any]:
            return {"kernel": self.kernel, "range": self.range}

    return AsInTheFile
