"""Selective quantisation of a TFLite file with litert-quantizer: the choices TFLiteConverter does not offer."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from convert.quiet import silent
from emoca_tf.capture.tflite import TFLiteModel
from emoca_tf.errors import UserError

FLOAT_OPS = ("DEPTHWISE_CONV_2D",)
"""Left in float: few weights, and their dynamic 8-bit kernels are slow."""


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
        weights = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
        config = qtyping.OpQuantizationConfig(
            weight_tensor_config=weights, compute_precision=qtyping.ComputePrecision.FLOAT, explicit_dequantize=True
        )
        work.update_quantization_recipe(
            regex=".*", operation_name=qtyping.TFLOperationName.FULLY_CONNECTED, algorithm_key="float_casting",
            op_config=config,
        )  # fmt: skip

    return _checked(_quantised(content, prepare), "float16", "float16")


def _quantised(content: bytes, prepare: Callable[[Any, Any, Any], None]) -> bytes:
    from litert_quantizer import qtyping, quantizer, recipe

    with tempfile.TemporaryDirectory() as folder, silent():
        path = Path(folder) / "float.tflite"
        path.write_bytes(content)
        work = quantizer.Quantizer(str(path))
        prepare(work, qtyping, recipe)
        return inlined(bytes(work.quantize().quantized_model))


def inlined(content: bytes) -> bytes:
    """The file with its buffers inside the flatbuffer.

    litert-quantizer puts them behind it, where a metadata writer that packs the flatbuffer anew loses them ("Constant
    buffer 2 specified an out of range offset").
    """
    import flatbuffers
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for buffer in model.buffers:
        if buffer.offset > 1:  # 0 and 1 mean "inside"
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _checked(content: bytes, kind: str, recipe: str) -> bytes:
    details = TFLiteModel(content).interpreter.get_tensor_details()
    if not any(kind in str(detail["dtype"]) for detail in details):
        raise UserError(f"{recipe}: no operation of this network was quantised; use another recipe")
    return content
