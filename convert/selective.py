"""Selective quantisation of a TFLite file with litert-quantizer: the choices TFLiteConverter does not offer."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
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


def eight_bit_weights(content: bytes, small_kernel: int | None = None) -> bytes:
    """8-bit weights by channel that are computed with in float; small and depthwise kernels in half precision.

    The runtime unpacks the weights when it loads the file, so that it runs as fast as the float file.

    Args:
        content: a float32 file.
        small_kernel: up to how many numbers a kernel is small; :data:`SMALL_KERNEL` if None.

    Raises:
        UserError: nothing was quantised.
    """
    limit = SMALL_KERNEL if small_kernel is None else small_kernel
    small = "|".join(re.escape(scope) for scope in _small_kernels(content, limit))

    def prepare(work: Any, qtyping: Any, recipe: Any) -> None:
        del recipe
        for name in KERNELS:
            _weights_only(work, qtyping, name, ".*", 16 if name == "DEPTHWISE_CONV_2D" else 8)
        if small:
            for name in KERNELS:
                _weights_only(work, qtyping, name, f"^({small})$", 16)

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


def _small_kernels(content: bytes, limit: int) -> Iterator[str]:
    """Where litert-quantizer finds the operations with kernels of up to ``limit`` numbers."""
    from tensorflow.lite.python import schema_py_generated as schema

    for graph in schema.ModelT.InitFromPackedBuf(content, 0).subgraphs:
        for op in graph.operators:
            kernel = graph.tensors[op.inputs[1]] if len(op.inputs) > 1 and op.inputs[1] >= 0 else None
            if kernel is not None and np.prod(kernel.shape) <= limit:
                yield "".join(f"{graph.tensors[index].name.decode()};" for index in op.outputs)


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
