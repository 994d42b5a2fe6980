"""Which TFLite runtime a file needs: an app pins one, and converters move on.

A runtime refuses an operation version that it does not know. Worse, it may take a file whose operation has an old
version number but new contents: 8-bit weights with a scale per channel under float activations came with version 12 of
FULLY_CONNECTED in 2.17, and before that only the first scale is used.
Source of the versions: google-ai-edge/LiteRT:tflite/tools/versioning/runtime_version.cc.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

SHIPPED, OLDEST = "2.21", "2.16"
"""The release that the Android demo ships, and the last that Maven Central has under ``org.tensorflow``."""

_KNOWN = {
    "ADD": 4, "ATAN2": 1, "AVERAGE_POOL_2D": 3, "BATCH_MATMUL": 4, "CAST": 4, "CONCATENATION": 3, "CONV_2D": 6,
    "COS": 1, "DEPTHWISE_CONV_2D": 6, "DEQUANTIZE": 5, "DIV": 2, "EXPAND_DIMS": 1, "FULLY_CONNECTED": 11,
    "GATHER": 5, "GATHER_ND": 3, "GREATER": 2, "LEAKY_RELU": 2, "LESS": 2, "LOGISTIC": 3, "MAXIMUM": 4,
    "MAX_POOL_2D": 3, "MEAN": 3, "MINIMUM": 4, "MUL": 5, "NEG": 1, "PACK": 3, "PAD": 4, "PADV2": 4, "QUANTIZE": 2,
    "RELU": 3, "RELU6": 3, "RELU_0_TO_1": 1, "RESHAPE": 1, "RESIZE_BILINEAR": 4, "RESIZE_NEAREST_NEIGHBOR": 4,
    "ROUND": 1, "RSQRT": 1, "SELECT": 2, "SELECT_V2": 1, "SIN": 1, "SLICE": 5, "SOFTMAX": 3, "SPLIT": 4, "SQRT": 1,
    "STRIDED_SLICE": 6, "SUB": 5, "SUM": 2, "TANH": 3, "TRANSPOSE": 5, "TRANSPOSE_CONV": 3, "UNPACK": 4,
}  # fmt: skip
RUNTIMES: dict[str, dict[str, int]] = {
    OLDEST: _KNOWN,
    SHIPPED: _KNOWN | {
        "ADD": 5, "CAST": 7, "CONCATENATION": 4, "CONV_2D": 8, "DEPTHWISE_CONV_2D": 7, "DEQUANTIZE": 6,
        "FULLY_CONNECTED": 13, "GATHER": 7, "GATHER_ND": 5, "LESS": 3, "MUL": 7, "PACK": 4, "QUANTIZE": 3, "RSQRT": 3,
        "SELECT": 4, "SELECT_V2": 2, "SLICE": 6, "STRIDED_SLICE": 8, "TRANSPOSE": 7, "TRANSPOSE_CONV": 5,
    },
}  # fmt: skip
"""Release -> operation -> newest version that it knows, for the operations that our networks become."""
_BY_CHANNEL = 12  # of FULLY_CONNECTED

_FLOAT32, _INT8 = 0, 9  # of the schema's TensorType


def obstacles(content: bytes, runtime: str = SHIPPED) -> list[str]:
    """Why a TFLite runtime, one of :data:`RUNTIMES`, cannot run the file, or would run it wrongly; empty if it can."""
    from tensorflow.lite.python import schema_py_generated as schema

    known = RUNTIMES[runtime]
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    codes = [(names[max(code.builtinCode, code.deprecatedBuiltinCode)], code.version) for code in model.operatorCodes]
    found = [f"{name} version {version}" for name, version in codes if version > known.get(name, 0)]
    blind = known["FULLY_CONNECTED"] < _BY_CHANNEL
    if blind and any(codes[op.opcodeIndex][0] == "FULLY_CONNECTED" and many for op, many in _products(model)):
        found.append("FULLY_CONNECTED with 8-bit weights by channel and float activations")
    return [f"TFLite {runtime} does not know {what}" for what in sorted(set(found))]


def _products(model: Any) -> Iterator[tuple[Any, bool]]:
    """Every operation with two inputs or more, and whether it is float activations times 8-bit weights by channel."""
    for graph in model.subgraphs:
        for op in graph.operators:
            if len(op.inputs) > 1 and min(op.inputs[:2]) >= 0:
                value, weights = (graph.tensors[index] for index in op.inputs[:2])
                scales = weights.quantization.scale if weights.quantization is not None else None
                many = scales is not None and np.size(scales) > 1
                yield op, value.type == _FLOAT32 and weights.type == _INT8 and many
