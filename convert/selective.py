"""Selective quantisation of a TFLite file with litert-quantizer: the choices TFLiteConverter does not offer."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convert.biases import narrow_biases
from convert.quiet import silent
from emoca_tf.capture.tflite import TFLiteModel
from emoca_tf.errors import UserError

FLOAT_OPS = ("DEPTHWISE_CONV_2D",)
"""Left in float: few weights, and their dynamic 8-bit kernels are slow."""

SMALL_KERNEL = 8192
"""Kernels of up to so many numbers stay in half precision: first layers cost few bytes and carry most of the error."""
KERNELS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


def dynamic(content: bytes, float_ops: tuple[str, ...] = FLOAT_OPS) -> bytes:
    """8-bit weights with activations quantised while running, except in some kinds of operation.

    Raises:
        UserError: nothing was quantised (the quantiser's choice of operations is by pattern and can miss silently).
    """

    def prepare(work: Any, qtyping: Any, recipe: Any) -> None:
        work.load_quantization_recipe(recipe.dynamic_wi8_afp32())
        for name in float_ops:
            work.update_quantization_recipe(
                regex=".*", operation_name=qtyping.TFLOperationName(name), algorithm_key="no_quantize"
            )

    return _checked(_quantised(content, prepare), "int8", "dynamic")


def half_weights(content: bytes) -> bytes:
    """Half-precision weights in the matrix products that are still in float.

    The head needs it: the converter's own float16 gives a file in which XNNPACK computes a wrong contour row ("gather
    index out of bounds"), although the plain kernels run it. ``mixed`` needs it for its output layers.

    Raises:
        UserError: nothing was quantised.
    """

    def prepare(work: Any, qtyping: Any, recipe: Any) -> None:
        del recipe
        _weights_only(work, qtyping, "FULLY_CONNECTED", ".*", 16)

    return _checked(_quantised(content, prepare), "float16", "float16")


@dataclass(frozen=True)
class Product:
    """An operation that multiplies with a kernel.

    Attributes:
        scope: where litert-quantizer finds it.
        operation: its kind, one of :data:`KERNELS`.
        kernel: how many numbers the kernel has.
        multiplications: of one run.
    """

    scope: str
    operation: str
    kernel: int
    multiplications: int


def products(content: bytes) -> Iterator[Product]:
    """The operations of a file that multiply with a stored kernel."""
    from tensorflow.lite.python import schema_py_generated as schema

    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    kinds = [names[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in model.operatorCodes]
    for graph in model.subgraphs:
        for op in graph.operators:
            kind = kinds[op.opcodeIndex]
            if kind in KERNELS:
                kernel, out = (graph.tensors[index].shape for index in (op.inputs[1], op.outputs[0]))
                # All but the batch and the channels, which the kernel counts.
                places, size = int(np.prod(out[1:-1])), int(np.prod(kernel))
                scope = "".join(f"{graph.tensors[index].name.decode()};" for index in op.outputs)
                yield Product(scope, kind, size, places * size)


def eight_bit_weights(content: bytes, small_kernel: int | None = None, computed: Collection[str] = ()) -> bytes:
    """8-bit weights by channel that are computed with in float; small and depthwise kernels in half precision.

    The runtime unpacks the weights when it loads the file, so that it runs as fast as the float file.

    Args:
        content: a float32 file.
        small_kernel: up to how many numbers a kernel is small; :data:`SMALL_KERNEL` if None.
        computed: scopes (:class:`Product`) of layers with large kernels that compute in 8 bits, their activations
            quantised while running.

    Raises:
        UserError: nothing was quantised.
    """
    limit = SMALL_KERNEL if small_kernel is None else small_kernel
    small = _any_of(product.scope for product in products(content) if product.kernel <= limit)
    exact = _any_of(computed)

    def prepare(work: Any, qtyping: Any, recipe: Any) -> None:
        del recipe
        for name in KERNELS:
            _weights_only(work, qtyping, name, ".*", 16 if name == "DEPTHWISE_CONV_2D" else 8)
        for name in KERNELS:
            if exact and name not in FLOAT_OPS:
                _computed(work, qtyping, name, exact)
            if small:
                _weights_only(work, qtyping, name, small, 16)

    return _checked(_quantised(content, prepare), "int8", "int8-weights")


def _weights_only(work: Any, qtyping: Any, operation: str, scope: str, bits: int) -> None:
    """Narrow weights of one kind of operation, widened again before it computes."""
    kind = qtyping.TensorDataType.FLOAT if bits == 16 else qtyping.TensorDataType.INT
    weights = qtyping.TensorQuantizationConfig(
        num_bits=bits, dtype=kind, granularity=qtyping.QuantGranularity.CHANNELWISE
    )
    config = qtyping.OpQuantizationConfig(
        weight_tensor_config=weights, compute_precision=qtyping.ComputePrecision.FLOAT, explicit_dequantize=True
    )
    work.update_quantization_recipe(
        regex=scope, operation_name=qtyping.TFLOperationName(operation), op_config=config,
        algorithm_key="float_casting" if bits == 16 else "min_max_uniform_quantize",
    )  # fmt: skip


def _computed(work: Any, qtyping: Any, operation: str, scope: str) -> None:
    """8-bit weights that are multiplied with activations quantised while running."""
    weights = qtyping.TensorQuantizationConfig(
        num_bits=8, dtype=qtyping.TensorDataType.INT, granularity=qtyping.QuantGranularity.CHANNELWISE
    )
    config = qtyping.OpQuantizationConfig(
        weight_tensor_config=weights, compute_precision=qtyping.ComputePrecision.INTEGER
    )
    work.update_quantization_recipe(
        regex=scope, operation_name=qtyping.TFLOperationName(operation), op_config=config,
        algorithm_key="min_max_uniform_quantize",
    )  # fmt: skip


def _any_of(scopes: Iterable[str]) -> str:
    """A pattern for exactly these; empty for none."""
    choices = "|".join(map(re.escape, scopes))
    return f"^({choices})$" if choices else ""


def _quantised(content: bytes, prepare: Callable[[Any, Any, Any], None]) -> bytes:
    from litert_quantizer import qtyping, quantizer, recipe

    with tempfile.TemporaryDirectory() as folder, silent():
        path = Path(folder) / "float.tflite"
        path.write_bytes(content)
        work = quantizer.Quantizer(str(path))
        prepare(work, qtyping, recipe)
        return _mended(bytes(work.quantize().quantized_model))


def _mended(content: bytes) -> bytes:
    """A file of litert-quantizer with its buffers inside the flatbuffer, and biases as narrow as their kernels.

    It puts buffers behind the flatbuffer, where a metadata writer that packs that anew loses them ("Constant buffer 2
    specified an out of range offset"). About biases see :mod:`convert.biases`.
    """
    import flatbuffers
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for buffer in model.buffers:
        if buffer.offset > 1:  # 0 and 1 mean "inside"
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    narrow_biases(model)
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _checked(content: bytes, kind: str, recipe: str) -> bytes:
    details = TFLiteModel(content).interpreter.get_tensor_details()
    if not any(kind in str(detail["dtype"]) for detail in details):
        raise UserError(f"{recipe}: no operation of this network was quantised; use another recipe")
    return content
