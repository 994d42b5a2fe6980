"""Sums in 8 bits that others read with and without a ReLU: the ReLU becomes a second sum with the ReLU inside.

XNNPACK takes a ReLU of 8-bit numbers only where both sides have the same steps, and a rectified sum has finer ones than
the sum: every such ReLU sent the network back to the plain kernels (a separable encoder was cut into 9 parts and took
three times as long). A sum with a ReLU inside is one operation of its own, and its result is rounded once, not twice.
"""

from __future__ import annotations

from convert.biases import kind_of


def relus_into_sums(content: bytes) -> bytes:
    """An 8-bit file in which no ReLU reads a sum."""
    import flatbuffers
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for graph in model.subgraphs:
        made = {int(tensor): op for op in graph.operators for tensor in op.outputs}
        for op in graph.operators:
            total = made.get(int(op.inputs[0])) if kind_of(model, op) == schema.BuiltinOperator.RELU else None
            if (
                total is not None
                and graph.tensors[op.inputs[0]].type == schema.TensorType.INT8
                and kind_of(model, total) == schema.BuiltinOperator.ADD
                and total.builtinOptions.fusedActivationFunction == schema.ActivationFunctionType.NONE
            ):
                op.opcodeIndex, op.inputs = total.opcodeIndex, list(total.inputs)
                op.builtinOptionsType, op.builtinOptions = total.builtinOptionsType, schema.AddOptionsT()
                op.builtinOptions.potScaleInt16 = total.builtinOptions.potScaleInt16
                op.builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.RELU
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
