"""A Keras 3 model to the bytes of a TFLite file, by recipe.

The way in is a SavedModel with one named endpoint of static batch: ``from_concrete_functions`` with a Keras 3 model
silently writes a file that returns NaN, and a batch of -1 is refused by the web runtime.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import reduce
from itertools import islice
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from convert.networks import Network
from convert.outputs import FAINTEST, errors, file_outputs, stacked
from convert.partly import partly_dynamic
from convert.quiet import silent
from convert.ranges import Calibrated, tightened
from convert.selective import dynamic, eight_bit_weights, half_weights
from emoca_tf.capture.tflite import TFLiteModel
from emoca_tf.errors import UserError

RECIPES: dict[str, str] = {
    "float32": "no quantisation",
    "float16": "weights in half precision",
    "dynamic": "8-bit weights, activations quantised while running, depthwise convolutions left in float",
    "int8-weights": "8-bit weights, float activations",
    "part-dynamic": "int8-weights, but layers that bear it compute in 8 bits, activations quantised while running",
    "int8": "8-bit weights and activations, ranges from calibration pictures",
    "mixed": "int8 with the pooling and what follows in half precision",
    "int16x8": "8-bit weights, 16-bit activations",
    "int8-qat": "mixed after quantisation-aware fine-tuning",
}
SKINNING = 1 << 16
"""Kernels of the head up to this size stay in half precision: weights that no longer add up to 1 would scale it."""
CALIBRATED = ("int8", "mixed", "int16x8", "int8-qat")
"""Recipes that measure ranges on calibration pictures."""
ROUNDED = ("int8-weights", "part-dynamic")
"""Recipes whose kernels are rounded for their layers' outputs on calibration pictures, see :mod:`convert.rounding`."""
MEASURED = 48
"""Calibration inputs that tell ``part-dynamic`` what each layer bears."""
RANGED = ("int8", "mixed")
"""Recipes whose ranges are then cut where that helps, see :mod:`convert.ranges`."""
COMPARED = 64
"""Calibration inputs that tell whether it helps."""
NO_CALIBRATION = "recipe {} needs calibration pictures; give --data"
Calibration = Callable[[], Iterator[dict[str, np.ndarray]]]


def static(network: Network, batch: int = 1) -> Any:
    """The network with a fixed batch and named outputs, sharing its weights."""
    inputs = [keras.Input(batch_shape=(batch, *t.shape[1:]), name=name, dtype="float32")
              for name, t in input_tensors(network).items()]  # fmt: skip
    values = with_plain_sums(network.model)(inputs if len(inputs) > 1 else inputs[0])
    return keras.Model(inputs, named_outputs(network, values), name=network.name)


class _Sum(keras.layers.Layer):
    """Tensors of one shape, added."""

    def call(self, inputs: Any) -> Any:
        return reduce(tf.add, inputs)


def with_plain_sums(model: Any) -> Any:
    """A model of the same layers and outputs, in which sums of vectors are sums.

    Keras takes the second of two summed vectors for a bias when the batch is 1. The converter then multiplies each of
    them with every linear layer that reads the sum, and makes one product the bias of the other: every layer behind the
    sum costs twice, and no 8-bit kernel takes a bias that is computed.
    """

    def is_sum(layer: Any) -> bool:
        return isinstance(layer, keras.layers.Add) and len(layer.output.shape) == 2

    if not any(is_sum(layer) for layer in model.layers):
        return model

    def call(layer: Any, *inputs: Any, **options: Any) -> Any:
        return _Sum(name=f"{layer.name}.plain")(*inputs) if is_sum(layer) else layer(*inputs, **options)

    return keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=call)


def input_tensors(network: Network) -> dict[str, Any]:
    """Input name -> symbolic tensor, in the model's order."""
    return {tensor.name: tensor for tensor in network.model.inputs}


def named_outputs(network: Network, values: Any) -> dict[str, Any]:
    """A network's outputs by name, whether the model returns one tensor or a dictionary."""
    if isinstance(values, Mapping):
        return dict(values)
    return dict(zip(network.outputs, values if isinstance(values, list | tuple) else [values], strict=True))


def convert(network: Network, recipe: str, calibration: Calibration | None = None, batch: int = 1,
            integer_io: bool = False) -> bytes:  # fmt: skip
    """Bytes of the TFLite file; ``int8-qat`` is made by :mod:`convert.qat`.

    Args:
        network: what to convert.
        recipe: a key of :data:`RECIPES`.
        calibration: gives inputs by name; needed for the recipes in :data:`CALIBRATED` and for ``part-dynamic``.
        batch: static batch size.
        integer_io: 8-bit inputs and outputs instead of float32 (``int8`` only).

    Raises:
        UserError: the converter refuses, with its own reason; or calibration is missing.
    """
    if recipe not in RECIPES or recipe == "int8-qat":
        raise ValueError(f"recipe {recipe!r} is not one that this function makes: {[*RECIPES][:-1]}")
    if integer_io and recipe != "int8":
        raise UserError(f"--io int8 needs the recipe int8; {recipe} computes with float inputs")
    if recipe == "dynamic":
        return dynamic(convert(network, "float32", batch=batch))
    if recipe == "int8-weights":
        small = SKINNING if network.kind == "head" else None
        return eight_bit_weights(convert(network, "float32", batch=batch), small)
    if recipe == "part-dynamic":
        if calibration is None:
            raise UserError(NO_CALIBRATION.format(recipe))
        return partly_dynamic(convert(network, "float32", batch=batch), list(islice(calibration(), MEASURED)))
    if recipe == "float16" and network.kind == "head":
        return half_weights(convert(network, "float32", batch=batch))
    if recipe in RANGED and calibration is not None:
        ranged = calibrated(network, calibration, batch)
        found = [quantised(one, recipe, integer_io) for one in (ranged, tightened(ranged, calibration()))]
        return nearest(found, ranged.content, calibration())
    with _converter(network, batch) as converter:
        configure(converter, recipe, calibration)
        return run(converter.convert, f"{network.name}, {recipe}")


def calibrated(network: Network, calibration: Calibration | None, batch: int = 1) -> Calibrated:
    """The float file with the ranges of calibration pictures in it.

    Raises:
        UserError: the converter refuses, with its own reason; or calibration is missing.
    """
    with _converter(network, batch) as converter:
        configure(converter, "int8", calibration)
        converter._experimental_calibrate_only = True  # as tf.lite.experimental.QuantizationDebugger does
        return Calibrated(run(converter.convert, f"{network.name}, calibration"))


def nearest(files: list[bytes], reference: bytes, rows: Iterable[Mapping[str, np.ndarray]]) -> bytes:
    """The file whose outputs are nearest to the float file's on the first :data:`COMPARED` rows.

    Every output counts in parts of how much it varies, one that hardly does (:data:`FAINTEST`) hardly at all.
    """
    inputs = stacked(islice(rows, COMPARED))
    wanted = file_outputs(TFLiteModel(reference), inputs)

    def distance(content: bytes) -> float:
        total = sum(errors(wanted, file_outputs(TFLiteModel(content), inputs), FAINTEST).values())
        return total if np.isfinite(total) else np.inf

    return min(files, key=distance)


def quantised(ranged: Calibrated, recipe: str, integer_io: bool = False) -> bytes:
    """The 8-bit file of a recipe in :data:`RANGED` or ``int8-qat``.

    ``mixed`` leaves the pooling and what follows in float: an 8-bit output has 256 steps over the range of its largest
    axis, so that a camera whose scale is 9 would move in steps of several pixels.

    Raises:
        UserError: the converter refuses, with its own reason.
    """
    if integer_io or recipe == "int8":
        return run(lambda: ranged.quantised(False, integer_io), recipe)
    return half_weights(run(lambda: ranged.quantised(True), recipe))


@contextmanager
def _converter(network: Network, batch: int) -> Iterator[Any]:
    with tempfile.TemporaryDirectory() as folder, silent():
        _saved_model(static(network, batch), network.name, folder)
        yield tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[network.name])


def configure(converter: Any, recipe: str, calibration: Calibration | None) -> None:
    """Set a converter's options for a recipe."""
    if recipe == "float32":
        return
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if recipe == "float16":
        converter.target_spec.supported_types = [tf.float16]
    elif recipe in CALIBRATED:
        if calibration is None:
            raise UserError(NO_CALIBRATION.format(recipe))
        converter.representative_dataset = calibration
        sets = tf.lite.OpsSet
        converter.target_spec.supported_ops = [
            sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
            if recipe == "int16x8"
            else sets.TFLITE_BUILTINS_INT8
        ]


def run(conversion: Callable[[], Any], what: str) -> bytes:
    """Convert; the converter's refusal becomes one line.

    Raises:
        UserError: with the reason.
    """
    try:
        return bytes(conversion())
    except (RuntimeError, ValueError, tf.errors.OpError) as error:
        raise UserError(f"{what}: the converter refuses: {_reason(error)}") from None
    except Exception as error:
        if type(error).__name__ != "ConverterError":
            raise
        raise UserError(f"{what}: the converter refuses: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "not " in line.lower() or "error" in line.lower()]
    return (telling or lines or [type(error).__name__])[0][:240]


def _saved_model(model: Any, endpoint: str, folder: str) -> None:
    archive = keras.export.ExportArchive()
    archive.track(model)
    signature = [tf.TensorSpec(tensor.shape, tf.float32, name=tensor.name) for tensor in model.inputs]

    def call(*inputs: Any) -> Any:
        return model(list(inputs) if len(inputs) > 1 else inputs[0], training=False)

    archive.add_endpoint(endpoint, call, input_signature=signature)
    archive.write_out(folder, verbose=False)
