"""Biases in half precision wherever the kernel is.

XNNPACK as of TFLite 2.21, which the Android demo ships, leaves a convolution or a matrix product with a half-precision
kernel and a float32 bias to the plain kernels: encoders were five times slower there. LiteRT 2.1 takes both.
TFLiteConverter's own float16 narrows kernel and bias, litert-quantizer the kernel alone.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

KERNEL, BIAS = 1, 2
"""Places among the inputs of a convolution or matrix product."""


def with_wide_bias(model: Any, graph: Any) -> dict[int, Any]:
    """Number of every operation whose kernel is in half precision and its bias not -> the one that widens the kernel.

    A bias that another operation computes is none that could be stored otherwise.

    Args:
        model: ``ModelT`` of the flatbuffer schema.
        graph: one of its subgraphs.
    """
    from tensorflow.lite.python import schema_py_generated as schema

    half = schema.TensorType.FLOAT16
    widened = {
        int(op.outputs[0]): op
        for op in graph.operators
        if kind_of(model, op) == schema.BuiltinOperator.DEQUANTIZE and graph.tensors[op.inputs[0]].type == half
    }
    kinds = (
        schema.BuiltinOperator.CONV_2D,
        schema.BuiltinOperator.DEPTHWISE_CONV_2D,
        schema.BuiltinOperator.FULLY_CONNECTED,
    )
    return {
        at: widened[int(op.inputs[KERNEL])]
        for at, op in enumerate(graph.operators)
        if kind_of(model, op) in kinds and int(op.inputs[KERNEL]) in widened
        and len(op.inputs) > BIAS and op.inputs[BIAS] >= 0 and int(op.inputs[BIAS]) not in widened
        and model.buffers[graph.tensors[op.inputs[BIAS]].buffer].data is not None
    }  # fmt: skip


def narrow_biases(model: Any) -> None:
    """Give every operation with a half-precision kernel such a bias.

    Args:
        model: ``ModelT`` of the flatbuffer schema; changed in place.
    """
    for graph in model.subgraphs:
        found = with_wide_bias(model, graph)
        kept = {int(i) for at, op in enumerate(graph.operators) if at not in found for i in op.inputs}
        wide: dict[int, int] = {}  # bias -> the same, widened from half precision
        operators = []
        for at, op in enumerate(graph.operators):
            if at in found:
                bias = int(op.inputs[BIAS])
                if bias not in wide:
                    operators.append(_narrow(model, graph, bias, found[at], bias in kept))
                    wide[bias] = operators[-1].outputs[0]
                op.inputs = [wide[bias] if place == BIAS else int(i) for place, i in enumerate(op.inputs)]
            operators.append(op)
        graph.operators = operators
    used = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
    used |= {entry.buffer for entry in model.metadata or []}
    for index, buffer in enumerate(model.buffers):
        if index not in used:
            buffer.data = None


def _narrow(model: Any, graph: Any, bias: int, widening: Any, kept: bool) -> Any:
    """Store a bias in half precision, in its own tensor or, if others read that, in another; the widening operation."""
    from tensorflow.lite.python import schema_py_generated as schema

    tensor = graph.tensors[bias]
    values = np.frombuffer(bytes(model.buffers[tensor.buffer].data), np.float32).astype(np.float16)
    result, operation = copy.copy(tensor), copy.copy(widening)
    result.name, result.buffer = tensor.name + b"_wide", 0
    narrow, at = tensor, bias
    if kept:
        narrow, at = copy.copy(tensor), len(graph.tensors)
        narrow.name = tensor.name + b"_half"
        graph.tensors.append(narrow)
    stored = schema.BufferT()
    stored.data = np.frombuffer(values.tobytes(), np.uint8)
    narrow.type, narrow.buffer = schema.TensorType.FLOAT16, len(model.buffers)
    model.buffers.append(stored)
    operation.inputs, operation.outputs = [at], [len(graph.tensors)]
    graph.tensors.append(result)
    return operation


def kind_of(model: Any, op: Any) -> int:
    """Which of the schema's ``BuiltinOperator`` an operation is."""
    code = model.operatorCodes[op.opcodeIndex]
    return int(max(code.builtinCode, code.deprecatedBuiltinCode))
