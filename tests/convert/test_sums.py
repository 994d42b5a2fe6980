"""Sums of feature vectors stay sums in the file, whatever the recipe; the fine separable trunk adds such a vector."""

from functools import cache

import helpers_convert as helpers
import keras
import numpy as np
import pytest
from tensorflow.lite.python import schema_py_generated as schema

from convert import parity, selective
from convert.biases import BIAS, narrow_biases, with_wide_bias
from convert.equalise import equalised
from convert.export import convert, with_plain_sums
from convert.networks import Network, load_source
from convert.outputs import file_outputs
from convert.tied import NAME
from emoca_tf.capture.tflite import TFLiteModel
from emoca_tf.encoders.mobilenet_v3 import expression_head, tied_encoders
from emoca_tf.io.npz import write_npz
from emoca_tf.weights.torch_layout import to_state


def adding_encoder(module):
    """The tiny encoder with two dense layers behind its features, whose result is added."""
    image, x = helpers.tiny_trunk(module)
    y = module.layers.Dense(24, activation="relu", name="added.0")(x)
    y = module.layers.Dense(x.shape[-1], name="added.1")(y)
    x = module.layers.Add(name="features")([x, y])
    return module.Model(image, expression_head(module, x), name="expression_encoder")


@cache
def adding() -> Network:
    keras.utils.set_random_seed(21)
    model = adding_encoder(keras)
    helpers.adapt(model, helpers.face_images())
    for _ in range(2):  # the second time for what reads the sum
        helpers.spread(model, helpers.face_images())
    return Network("adding", model, "encoder", build=adding_encoder)


@pytest.fixture
def images():
    return {"image": helpers.face_images()[:6]}


def products(content):
    """Matrix products of a file, and those whose bias is computed (and not only widened)."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    found = [op for op in graph.operators if codes[op.opcodeIndex] == schema.BuiltinOperator.FULLY_CONNECTED]
    widens = schema.BuiltinOperator.DEQUANTIZE
    made = {index for op in graph.operators if codes[op.opcodeIndex] != widens for index in op.outputs}
    return found, [op for op in found if len(op.inputs) > BIAS and op.inputs[BIAS] in made]


@pytest.mark.parametrize("batch", [1, 2])
def test_every_linear_layer_is_one_product_with_a_stored_bias(images, batch):
    content = convert(adding(), "float32", batch=batch)
    found, computed = products(content)
    assert len(found) == sum(isinstance(layer, keras.layers.Dense) for layer in adding().model.layers)
    assert computed == []
    out = file_outputs(TFLiteModel(content), images)
    for name, value in parity.reference_outputs(adding(), images).items():
        np.testing.assert_allclose(out[name], value, atol=1e-4)


@pytest.mark.parametrize("recipe", ["int8-weights", "dynamic", "mixed", "int8"])
def test_recipes_take_a_network_with_such_a_sum(images, recipe, monkeypatch):
    monkeypatch.setattr(selective, "SMALL_KERNEL", 500)
    out = file_outputs(TFLiteModel(helpers.converted(adding(), recipe)), images)
    groups = parity.compare(parity.reference_outputs(adding(), images), out)
    assert groups["exp"]["max"] > 1e-4, "a file equal to float was not quantised"
    assert groups["exp"]["correlation"] > 0.97


def test_a_network_without_such_sums_is_taken_as_it_is():
    model = helpers.tiny_network().model
    assert with_plain_sums(model) is model


def test_features_that_are_added_to_are_not_equalised(images):
    before, after = (one.model(images["image"], training=False)["exp"]
                     for one in (adding(), equalised(adding(), images["image"])))  # fmt: skip
    np.testing.assert_allclose(after, before, atol=1e-4)


def test_a_bias_that_is_computed_stays_as_it_is(monkeypatch):
    monkeypatch.setattr(selective, "narrow_biases", lambda model: None)
    model = schema.ModelT.InitFromPackedBuf(selective.half_weights(convert(adding(), "float32")), 0)
    graph = model.subgraphs[0]
    numbers = with_wide_bias(model, graph)
    assert len(numbers) >= 3
    last = graph.operators[max(numbers)]
    last.inputs = [*last.inputs[:BIAS], int(graph.operators[min(numbers)].outputs[0])]
    narrow_biases(model)
    assert last.inputs[BIAS] == graph.operators[_maker(graph, last.inputs[BIAS])].outputs[0]
    assert graph.tensors[last.inputs[BIAS]].type == schema.TensorType.FLOAT32


def _maker(graph, tensor) -> int:
    return next(at for at, op in enumerate(graph.operators) if tensor in op.outputs)


@pytest.fixture(scope="module")
def trunk_source(tmp_path_factory):
    """Seeded encoders on the separable trunk, all on one, from a file of weights."""
    keras.utils.set_random_seed(22)
    encoders, together = tied_encoders(keras, 100, 50, trunk="separable")
    rng = np.random.default_rng(22)
    for variable in together.weights:
        if "depthwise" in variable.path:  # as drawn by Keras they would leave nothing of the picture
            variable.assign(rng.normal(0, 0.4, variable.shape))
        elif not np.asarray(variable).any():  # what begins at zero would hide mistakes
            variable.assign(rng.normal(0, 0.03, variable.shape))
    helpers.spread(together, helpers.face_images()[:6])
    path = tmp_path_factory.mktemp("fine") / "fine.npz"
    state = {f"{name}.{key}": array for name, model in encoders.items() for key, array in to_state(model).items()}
    write_npz(path, state)
    return load_source(str(path), helpers.head())


def test_the_trunk_is_converted(trunk_source, images):
    assert set(trunk_source.networks) == {NAME, "expression"}  # pose and shape on one trunk
    for network in trunk_source.networks.values():
        reference = parity.reference_outputs(network, images)
        content = convert(network, "int8-weights")
        assert products(content)[1] == []
        groups = parity.compare(reference, file_outputs(TFLiteModel(content), images))
        assert all(group["correlation"] > 0.99 for group in groups.values()), groups
