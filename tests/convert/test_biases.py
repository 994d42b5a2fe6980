"""Kernels in half precision get biases in half precision, and nothing else changes."""

import flatbuffers
import helpers_convert as helpers
import numpy as np
import pytest
from tensorflow.lite.python import schema_py_generated as schema

from convert import selective
from convert.biases import BIAS, narrow_biases, with_wide_bias
from convert.heads import head_network
from convert.outputs import file_outputs
from emoca_tf.capture.tflite import TFLiteModel


def parsed(content):
    return schema.ModelT.InitFromPackedBuf(content, 0)


def packed(model) -> bytes:
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def wide(model) -> dict:
    return with_wide_bias(model, model.subgraphs[0])


@pytest.fixture
def quantiser_alone(monkeypatch):
    """Files as litert-quantizer writes them; first layers and depthwise kernels are small in the tiny network too."""
    monkeypatch.setattr(selective, "SMALL_KERNEL", 100)
    monkeypatch.setattr(selective, "narrow_biases", lambda model: None)


@pytest.fixture
def images():
    return {"image": helpers.face_images()[:4]}


def floats() -> bytes:
    return helpers.converted(helpers.tiny_network(), "float32")


@pytest.mark.parametrize("kind", ["mixed", "int8-weights", "head"])
def test_every_file_with_half_precision_kernels_has_such_biases(kind):
    if kind == "mixed":
        content = helpers.converted(helpers.tiny_network(), "mixed")
    elif kind == "head":
        content = selective.half_weights(helpers.converted(head_network(helpers.head()), "float32"))
    else:
        content = selective.eight_bit_weights(floats(), 100)
    model = parsed(content)
    assert any(tensor.type == schema.TensorType.FLOAT16 for tensor in model.subgraphs[0].tensors)
    assert wide(model) == {}


@pytest.mark.usefixtures("quantiser_alone")
def test_narrow_biases_change_the_outputs_by_their_rounding_only(images):
    content = selective.eight_bit_weights(floats())
    model = parsed(content)
    assert len(wide(model)) >= 2  # what this is for; if the quantiser does it one day, it can go
    narrow_biases(model)
    assert wide(model) == {}
    changed = packed(model)
    assert len(changed) < len(content) + 4096
    before, after = (file_outputs(TFLiteModel(c), images) for c in (content, changed))
    for name, value in before.items():
        np.testing.assert_allclose(after[name], value, atol=2e-3)


@pytest.mark.usefixtures("quantiser_alone")
def test_a_bias_that_others_read_stays_for_them(images):
    model = parsed(selective.eight_bit_weights(floats()))
    graph = model.subgraphs[0]
    narrow = [graph.operators[at] for at in wide(model)]
    sizes = {len(_values(model, op)): op for op in narrow}
    other = next(op for op in graph.operators if op not in narrow and _size(graph, op) in sizes)
    shared = int(sizes[_size(graph, other)].inputs[BIAS])
    other.inputs = [*other.inputs[:BIAS], shared]
    values = np.linspace(-0.3, 0.3, _size(graph, other), dtype=np.float32)
    model.buffers[graph.tensors[shared].buffer].data = np.frombuffer(values.tobytes(), np.uint8)
    before = file_outputs(TFLiteModel(packed(model)), images)
    narrow_biases(model)
    np.testing.assert_array_equal(_values(model, other), values)
    after = file_outputs(TFLiteModel(packed(model)), images)
    for name, value in before.items():
        np.testing.assert_allclose(after[name], value, atol=2e-3)


def _size(graph, op) -> int:
    bias = op.inputs[BIAS] if len(op.inputs) > BIAS else -1
    return int(graph.tensors[bias].shape[0]) if bias >= 0 and len(graph.tensors[bias].shape) == 1 else 0


def _values(model, op) -> np.ndarray:
    return np.frombuffer(bytes(model.buffers[model.subgraphs[0].tensors[op.inputs[BIAS]].buffer].data), np.float32)
