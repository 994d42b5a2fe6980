"""Ranges of 8-bit tensors: measured on pictures, kept in the float file, changed there, and then turned into steps.

The converter writes the extremes that it saw into a float file and quantises that. In between the ranges can be
others: cut where the few largest values cost all others more than they are worth, or those that a fine-tuning learnt.
Whether cutting brings a network's outputs nearer is measured (:func:`convert.export.nearest`): peaks can carry them.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np

from convert.networks import Network
from convert.quiet import silent
from convert.relus import relus_into_sums

STEPS = 255  # of an 8-bit range
OUTPUT_OPS = ("MEAN", "FULLY_CONNECTED")
"""The pooling of every encoder and its linear layers; ``mixed`` leaves them and all that reads them in float."""
COMPUTING = ("CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "RELU", "RELU6")
"""Operations whose outputs have a range of their own."""
PASSING = ("PAD", "MAX_POOL_2D", "RESHAPE", "STRIDED_SLICE", "RESIZE_BILINEAR")
"""Operations whose outputs have the range of their input."""
SHARES = np.linspace(1.0, 0.2, 17)
"""Of an extreme, that are tried as the end of a range."""
RANGE_ROWS, SAMPLES = 24, 1 << 16  # inputs, and values of a tensor, that a range is chosen on

Range = tuple[float, float]


@dataclass(frozen=True)
class Operation:
    """One operation of a file: its kind, the tensors it reads and the first that it writes."""

    kind: str
    inputs: tuple[int, ...]
    output: int


@dataclass(frozen=True)
class Calibrated:
    """A float file with a range in every tensor.

    Attributes:
        content: its bytes.
    """

    content: bytes

    @cached_property
    def _model(self) -> Any:
        from tensorflow.lite.python import schema_py_generated as schema

        return schema.ModelT.InitFromPackedBuf(self.content, 0)

    @cached_property
    def operations(self) -> list[Operation]:
        """In the order of computation."""
        from tensorflow.lite.python import schema_py_generated as schema

        kinds = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
        codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in self._model.operatorCodes]
        return [Operation(kinds[codes[op.opcodeIndex]], tuple(op.inputs), op.outputs[0])
                for op in self._model.subgraphs[0].operators]  # fmt: skip

    @property
    def outputs(self) -> tuple[int, ...]:
        """Tensors that the network gives away."""
        return tuple(self._model.subgraphs[0].outputs)

    @property
    def batch(self) -> int:
        """Static batch of the file."""
        graph = self._model.subgraphs[0]
        return int(graph.tensors[graph.inputs[0]].shape[0])

    def name(self, tensor: int) -> str:
        return str(self._model.subgraphs[0].tensors[tensor].name.decode())

    def range(self, tensor: int) -> Range:
        """Smallest and largest value that was seen."""
        found = self._model.subgraphs[0].tensors[tensor].quantization
        return float(found.min[0]), float(found.max[0])

    def behind_pooling(self) -> set[int]:
        """Outputs of :data:`OUTPUT_OPS` and of whatever reads them."""
        found: set[int] = set()
        for op in self.operations:
            if op.kind in OUTPUT_OPS or found & set(op.inputs):
                found.add(op.output)
        return found

    def with_ranges(self, ranges: Mapping[int, Range]) -> Calibrated:
        """The same file with other ranges for some tensors, and for the tensors that must share them."""
        import flatbuffers
        from tensorflow.lite.python import schema_py_generated as schema

        model = schema.ModelT.InitFromPackedBuf(self.content, 0)
        changed = dict(ranges)
        for op in self.operations:
            if op.kind in PASSING and op.inputs[0] in changed:
                changed[op.output] = changed[op.inputs[0]]
        for tensor, (low, high) in changed.items():
            quantization = model.subgraphs[0].tensors[tensor].quantization
            quantization.min, quantization.max = [low], [high]
        builder = flatbuffers.Builder(len(self.content))
        builder.Finish(model.Pack(builder), b"TFL3")
        return Calibrated(bytes(builder.Output()))

    def values(self, rows: Iterable[Mapping[str, np.ndarray]]) -> Iterator[dict[int, np.ndarray]]:
        """What every operation writes, for each of the inputs by name."""
        from ai_edge_litert.interpreter import Interpreter

        with silent(), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that keeping all tensors takes memory
            run = Interpreter(model_content=self.content, experimental_preserve_all_tensors=True)
            run.allocate_tensors()
        call = run.get_signature_runner()
        for row in rows:
            call(**row)
            yield {op.output: run.get_tensor(op.output) for op in self.operations}

    def quantised(self, float_outputs: bool, integer_io: bool = False) -> bytes:
        """The 8-bit file.

        Args:
            float_outputs: leave the pooling and what follows it in float.
            integer_io: 8-bit inputs and outputs.
        """
        import tensorflow as tf
        from tensorflow.lite.python.convert import mlir_quantize

        io = tf.int8 if integer_io else tf.float32
        nodes = [self.name(tensor) for tensor in sorted(self.behind_pooling())] if float_outputs else None
        with silent():
            content = mlir_quantize(self.content, input_data_type=io, output_data_type=io, denylisted_nodes=nodes)
        return relus_into_sums(bytes(content))


def tightened(calibrated: Calibrated, rows: Iterable[Mapping[str, np.ndarray]]) -> Calibrated:
    """The file with every range cut to where rounding and cutting together cost least on the first rows.

    What the network gives away keeps its whole range.
    """
    seen: dict[int, list[np.ndarray]] = {}
    own = [op.output for op in calibrated.operations if op.kind in COMPUTING and op.output not in calibrated.outputs]
    rng = np.random.default_rng(0)
    for values in calibrated.values(islice(rows, RANGE_ROWS)):
        for tensor in own:
            flat = values[tensor].ravel()
            seen.setdefault(tensor, []).append(rng.choice(flat, min(len(flat), SAMPLES // RANGE_ROWS), replace=False))
    return calibrated.with_ranges(
        {tensor: best_range(np.concatenate(parts), *calibrated.range(tensor)) for tensor, parts in seen.items()}
    )


def best_range(values: np.ndarray, low: float, high: float) -> Range:
    """The part of ``low..high`` on which 8 bits hold the values with the smallest squared error."""
    ends = [(low * a, high * b) for a in (SHARES if low < 0 else SHARES[:1]) for b in SHARES]
    return min(ends, key=lambda end: float(np.square(on_grid(values, *end) - values).sum()))


def on_grid(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Values as an 8-bit tensor of this range holds them."""
    step = max(high - low, 1e-9) / STEPS
    zero = np.round(-low / step)
    return np.asarray((np.clip(np.round(values / step) + zero, 0, STEPS) - zero) * step)


def matched(network: Network, calibrated: Calibrated, image: np.ndarray) -> dict[str, int]:
    """Layer of the network -> tensor of its file: those that hold the same on a picture.

    The converter joins layers (a batch norm and a ReLU with the convolution before them), so that many have no tensor.

    Args:
        network: Keras 3 network.
        calibrated: its file.
        image: ``[224, 224, 3]`` a face.
    """
    import keras

    layers = [layer for layer in network.model.layers if not isinstance(layer, keras.layers.InputLayer)]
    held = keras.Model(network.model.inputs[0], [layer.output for layer in layers])(image[None], training=False)
    computed = dict(zip((layer.name for layer in layers), map(np.asarray, held), strict=True))
    row = {"image": np.repeat(image[None], calibrated.batch, 0)}
    values = next(calibrated.values([row]))
    found: dict[str, int] = {}
    for op in calibrated.operations:
        if op.kind not in COMPUTING:
            continue
        value = values[op.output][:1]
        close = 1e-4 * max(float(np.abs(value).max()), 1e-6)
        for name, other in computed.items():
            if other.shape == value.shape and float(np.abs(other - value).max()) <= close:
                found[name] = op.output
    # Of layers with the same values (a ReLU of what is positive already) the last is the one that has the tensor.
    last = {tensor: name for name, tensor in found.items()}
    return {name: tensor for name, tensor in found.items() if last[tensor] == name}
