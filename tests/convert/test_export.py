"""Files that come out of the converter: equal to the float network, described, and refused when they are bad."""

import json

import helpers_convert as helpers
import numpy as np
import pytest

from convert import metadata, parity, trial
from convert.data import calibration
from convert.export import convert
from convert.heads import decimated, head_network
from convert.jobs import drawn_codes
from convert.networks import Network, load_source
from emoca_tf.capture.tflite import TFLiteModel
from emoca_tf.errors import UserError

ROWS = 4


@pytest.fixture(scope="module")
def expression() -> Network:
    return helpers.tiny_network()


@pytest.fixture(scope="module")
def images():
    return {"image": helpers.face_images()[:ROWS]}


@pytest.fixture(scope="module")
def float_file(expression) -> bytes:
    return convert(expression, "float32")


def test_float_file_equals_the_network(expression, float_file, images):
    model = TFLiteModel(float_file)
    found = parity.file_outputs(model, images)
    reference = parity.reference_outputs(expression, images)
    assert model.signature == "expression"
    assert model.inputs["image"][0] == (1, 224, 224, 3)
    assert found.keys() == reference.keys() == {"exp", "eyelid", "jaw"}
    for name, value in reference.items():
        assert value.std() > 0.01  # a degenerate network would agree with anything
        np.testing.assert_allclose(found[name], value, atol=1e-4)


def test_int8_file_is_quantised_and_close(expression, images):
    content = convert(expression, "int8", calibration({"image": helpers.face_images()[:8]}))
    model = TFLiteModel(content)
    assert model.inputs["image"][1] == np.float32
    found = parity.file_outputs(model, images)
    groups = parity.compare(parity.reference_outputs(expression, images), found)
    assert groups["exp"]["max"] > 1e-3, "an int8 file equal to float was not quantised"
    assert groups["exp"]["correlation"] > 0.97


def test_integer_inputs_mean_the_same_numbers(expression, images):
    rows = calibration({"image": helpers.face_images()[:8]})
    wide, narrow = (TFLiteModel(convert(expression, "int8", rows, integer_io=io)) for io in (False, True))
    assert narrow.inputs["image"][1] == np.int8
    a, b = (parity.file_outputs(model, images)["exp"] for model in (wide, narrow))
    np.testing.assert_allclose(a, b, atol=0.02)


def test_mixed_quantises_convolutions_and_keeps_depthwise_in_float(expression, images):
    content = convert(expression, "mixed")
    details = {d["name"]: d["dtype"] for d in TFLiteModel(content).interpreter.get_tensor_details()}
    assert np.int8 in details.values()
    described = metadata.embed(content, metadata.describe(expression, TFLiteModel(content), "mixed", "x", "y", {}))
    a, b = (parity.file_outputs(TFLiteModel(c), images)["exp"] for c in (content, described))
    np.testing.assert_array_equal(a, b)


def test_metadata_is_read_by_the_standard_reader(expression, float_file):
    description = metadata.describe(expression, TFLiteModel(float_file), "float32", "weights", "Apache-2.0", {})
    content = metadata.embed(float_file, description)
    read = metadata.read(content)
    graph = read["metadata"]["subgraph_metadata"][0]
    (image,) = graph["input_tensor_metadata"]
    assert image["name"] == "image"
    assert image["process_units"][0]["options"] == {"mean": [0.0], "std": [255.0]}
    assert read["metadata"]["license"] == "Apache-2.0"
    assert {tensor["name"] for tensor in graph["output_tensor_metadata"]} == {"exp", "eyelid", "jaw"}
    assert read["files"] == ["emoca_tf.json", "exp.txt", "eyelid.txt", "jaw.txt"]
    assert description["outputs"]["exp"]["axes"] == list(helpers.head().expression_names)
    json.dumps(description)


def test_metadata_names_stand_at_their_tensors(expression, float_file):
    description = metadata.describe(expression, TFLiteModel(float_file), "float32", "weights", "Apache-2.0", {})
    content = metadata.embed(float_file, description)
    names = [t["name"] for t in metadata.read(content)["metadata"]["subgraph_metadata"][0]["output_tensor_metadata"]]
    widths = [int(d["shape"][-1]) for d in TFLiteModel(content).interpreter.get_output_details()]
    assert [{"exp": 50, "eyelid": 2, "jaw": 3}[name] for name in names] == widths


@pytest.mark.parametrize("recipe", ["float32", "float16"])
def test_head_file_equals_the_layer(recipe):
    network = head_network(helpers.head())
    inputs = drawn_codes(network, 6, 3, helpers.head().exp_range)
    content = convert(network, recipe)
    assert trial.failure(content) is None
    found = parity.file_outputs(TFLiteModel(content), inputs)
    reference = parity.reference_outputs(network, inputs)
    assert found.keys() == {"vertices", "landmarks", "landmarks_mp"}
    limit = 1e-6 if recipe == "float32" else 2e-4
    for name, value in reference.items():
        assert np.linalg.norm(found[name] - value, axis=-1).max() < limit  # metres


def test_decimated_head_moves_as_the_whole_one():
    head = helpers.head()
    small = decimated(head, 1500)
    assert len(small.f) < 1600
    whole, few = head_network(head), head_network(small, "head_small", landmarks=False)
    inputs = drawn_codes(whole, 5, 4, head.exp_range)
    rows = [int(np.argmin(np.linalg.norm(head.v_template - v, axis=1))) for v in small.v_template]
    a = parity.reference_outputs(whole, inputs)["vertices"][:, rows]
    b = parity.reference_outputs(few, inputs)["vertices"]
    assert np.linalg.norm(a - b, axis=-1).max() < 2e-4  # metres


def test_batches(expression):
    content = convert(expression, "float32", batch=2)
    model = TFLiteModel(content)
    assert model.inputs["image"][0] == (2, 224, 224, 3)
    images = {"image": helpers.face_images()[:3]}  # the last batch is half full
    np.testing.assert_allclose(
        parity.file_outputs(model, images)["exp"], parity.reference_outputs(expression, images)["exp"], atol=1e-4
    )


def test_calibration_is_needed(expression):
    with pytest.raises(UserError, match="calibration"):
        convert(expression, "int8")


def test_integer_io_needs_int8(expression):
    with pytest.raises(UserError, match="--io int8"):
        convert(expression, "float16", integer_io=True)


def test_a_trial_tells_garbage_from_a_model(float_file):
    reason = trial.failure(b"not a model at all")
    assert reason is not None
    assert "/" not in reason, "no temporary path belongs in a message"
    assert trial.failure(float_file) is None


@pytest.mark.slow
def test_mobile_expression_encoder_fits_in_two_megabytes(tmp_path):
    network = load_source(str(helpers.write_weights(tmp_path / "trio.npz")), helpers.head()).networks["expression"]
    content = convert(network, "int8", calibration({"image": helpers.face_images()[:8]}))
    content = metadata.embed(content, metadata.describe(network, TFLiteModel(content), "int8", "x", "y", {}))
    assert len(content) <= 2.0e6
    assert trial.failure(content) is None
