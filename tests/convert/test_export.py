"""Files that come out of the converter: equal to the float network, described, and refused when they are bad."""

import json
import signal
from pathlib import Path

import flatbuffers
import helpers_convert as helpers
import keras
import numpy as np
import pytest
import trimesh

from convert import metadata, parity, trial
from convert.compatibility import OLDEST, RUNTIMES, SHIPPED, obstacles
from convert.data import calibration
from convert.decoders import detail_network, readout_network
from convert.export import convert
from convert.heads import SMALL_TRIANGLES, code_units, decimated, head_network, small_mesh
from convert.jobs import drawn_codes
from convert.networks import Network, load_source
from convert.outputs import file_outputs
from convert.selective import half_weights
from emoca_tf.capture.tflite import TFLiteModel
from emoca_tf.emotion.readout import readout_mlp
from emoca_tf.encoders.detail import detail_generator
from emoca_tf.encoders.mobilenet_v3 import TRUNKS, expression_encoder
from emoca_tf.errors import UserError
from emoca_tf.flame.head import HeadModel
from emoca_tf.flame.layer import Flame

ROWS = 4


@pytest.fixture(scope="module")
def expression() -> Network:
    return helpers.tiny_network()


@pytest.fixture(scope="module")
def images():
    return {"image": helpers.face_images()[:ROWS]}


@pytest.fixture(scope="module")
def float_file(expression) -> bytes:
    return helpers.converted(expression, "float32")


def test_float_file_equals_the_network(expression, float_file, images):
    model = TFLiteModel(float_file)
    found = file_outputs(model, images)
    reference = parity.reference_outputs(expression, images)
    assert model.signature == "expression"
    assert model.inputs["image"][0] == (1, 224, 224, 3)
    assert found.keys() == reference.keys() == {"exp", "eyelid", "jaw"}
    for name, value in reference.items():
        assert value.std() > 0.01  # a degenerate network would agree with anything
        np.testing.assert_allclose(found[name], value, atol=1e-4)


@pytest.mark.parametrize(("recipe", "floor"), [("int8", 0.97), ("mixed", 0.98), ("dynamic", 0.98)])
def test_eight_bit_files_are_quantised_and_close(expression, images, recipe, floor):
    content = helpers.converted(expression, recipe)
    model = TFLiteModel(content)
    assert model.inputs["image"][1] == np.float32
    found = file_outputs(model, images)
    groups = parity.compare(parity.reference_outputs(expression, images), found)
    assert groups["exp"]["max"] > 1e-3, "a file equal to float was not quantised"
    assert groups["exp"]["correlation"] > floor
    described = metadata.embed(content, metadata.describe(expression, model, recipe, "x", "y", {}))
    for name, value in file_outputs(TFLiteModel(described), images).items():
        np.testing.assert_array_equal(value, found[name])  # metadata changes nothing


def kinds(content):
    """Operation -> types of its outputs, without delegates."""
    interpreter = TFLiteModel(content, delegates=False).interpreter
    types = {d["index"]: np.dtype(d["dtype"]) for d in interpreter.get_tensor_details()}
    seen: dict[str, set] = {}
    for op in interpreter._get_ops_details():
        seen.setdefault(op["op_name"], set()).update(types[i] for i in op["outputs"])
    return seen


def test_what_stays_in_float(expression):
    full, mixed, dynamic = (kinds(helpers.converted(expression, r)) for r in ("int8", "mixed", "dynamic"))
    assert full["CONV_2D"] == mixed["CONV_2D"] == {np.dtype(np.int8)}
    assert full["FULLY_CONNECTED"] == {np.dtype(np.int8)}
    assert mixed["MEAN"] == mixed["FULLY_CONNECTED"] == mixed["CONCATENATION"] == {np.dtype(np.float32)}
    weights = {str(d["dtype"]) for d in _details(helpers.converted(expression, "mixed"))}
    assert any("float16" in name for name in weights)
    assert dynamic["DEPTHWISE_CONV_2D"] == {np.dtype(np.float32)}


def _details(content):
    return TFLiteModel(content, delegates=False).interpreter.get_tensor_details()


def test_integer_inputs_mean_the_same_numbers(expression, images):
    wide = TFLiteModel(helpers.converted(expression, "int8"))
    rows = calibration({"image": helpers.face_images()[:8]})
    narrow = TFLiteModel(convert(expression, "int8", rows, integer_io=True))
    assert narrow.inputs["image"][1] == np.int8
    a, b = (file_outputs(model, images)["exp"] for model in (wide, narrow))
    np.testing.assert_allclose(a, b, atol=0.02)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_phones_runtime_knows_what_is_converted(expression, runtime):
    for recipe in ("float32", "int8", "mixed"):
        assert obstacles(helpers.converted(expression, recipe), runtime) == []
    assert obstacles(helpers.converted(head_network(helpers.head()), "float32"), runtime) == []
    assert obstacles(half_weights(helpers.converted(head_network(helpers.head()), "float32")), runtime) == []
    found = obstacles(helpers.converted(expression, "dynamic"), runtime)
    assert any("8-bit weights by channel" in line for line in found) == (runtime == OLDEST)


def test_the_runtime_that_is_checked_is_the_one_that_the_app_ships():
    versions = (Path(__file__).parents[2] / "android_demo" / "tools" / "versions.tsv").read_text().splitlines()
    coordinate = next(line.split("\t")[2] for line in versions if line.startswith("tensorflow-lite\t"))
    assert coordinate.rpartition(":")[2].startswith(f"{SHIPPED}.")


def test_a_newer_operation_is_an_obstacle(float_file):
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(float_file, 0)
    model.operatorCodes[0].version = 99
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    assert any("version 99" in line for line in obstacles(bytes(builder.Output())))


def test_readout_file_reads_named_codes():
    network = helpers.tiny_readout()
    codes = drawn_codes(network, 12, 8, helpers.head().exp_range)
    assert codes.keys() == {"exp", "pose"}
    reference = parity.reference_outputs(network, codes)
    found = file_outputs(TFLiteModel(helpers.converted(network, "float16")), codes)
    assert found.keys() == {"expression", "valence", "arousal"}
    assert reference["expression"].std(0).min() > 0.05
    np.testing.assert_allclose(found["expression"], reference["expression"], atol=5e-3)
    turned = codes | {"pose": codes["pose"] + np.array([1, 1, 1, 0, 0, 0], np.float32)}
    np.testing.assert_allclose(
        parity.reference_outputs(network, turned)["expression"], reference["expression"], atol=1e-6
    )


def test_readout_of_unknown_codes_is_refused():
    with pytest.raises(UserError, match="takes 60 codes"):
        readout_network(readout_mlp(keras, 60, 4, 1), helpers.head())


def test_detail_decoder_file_equals_the_generator():
    generator = detail_generator(keras, latent=3 + 50 + 128, start=8, widths=(8, 8, 8, 4, 4))
    network = detail_network(generator, helpers.head())
    codes = drawn_codes(network, 3, 8, helpers.head().exp_range)
    direct = generator(np.concatenate([codes["pose"][:, 3:], codes["exp"], codes["detail"]], 1), training=False)
    found = file_outputs(TFLiteModel(helpers.converted(network, "float32")), codes)
    assert found["displacement"].shape == (3, 256, 256, 1)
    assert found["displacement"].std() > 1e-6
    np.testing.assert_allclose(found["displacement"], direct, atol=1e-6)


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
    plain = helpers.converted(network, "float32")
    content = plain if recipe == "float32" else half_weights(plain)
    assert trial.failure(content) is None
    found = file_outputs(TFLiteModel(content), inputs)
    reference = parity.reference_outputs(network, inputs)
    assert found.keys() == {"vertices", "landmarks", "landmarks_mp"}
    limit = 1e-6 if recipe == "float32" else 2e-4
    for name, value in reference.items():
        assert np.linalg.norm(found[name] - value, axis=-1).max() < limit  # metres


def test_the_head_network_is_the_flame_layer_though_its_directions_are_scaled():
    head = helpers.head()
    network = head_network(head)
    codes = drawn_codes(network, 4, 3, head.exp_range)
    wanted = Flame(head)(codes["shape"], codes["exp"], codes["pose"], eyelid=codes.get("eyelid")).vertices
    np.testing.assert_allclose(parity.reference_outputs(network, codes)["vertices"], wanted, atol=1e-6)
    assert np.ptp(code_units(head)) > 1


def test_an_eight_bit_head_is_a_tenth_of_a_millimetre_off():
    network = head_network(decimated(helpers.head()), "head_small", landmarks=False)
    codes = drawn_codes(network, 20, 3, helpers.head().exp_range)
    content, half = convert(network, "int8-weights"), convert(network, "float16")
    assert len(content) < 0.6 * len(half)
    assert obstacles(content) == []
    found = file_outputs(TFLiteModel(content), codes)["vertices"]
    off = np.linalg.norm(found - parity.reference_outputs(network, codes)["vertices"], axis=-1)
    assert 1e-6 < off.mean() < 1e-4  # metres
    assert off.max() < 1e-3


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


def test_the_small_mesh_glues_nothing_together():
    """Lips, lids and teeth touch in the template; merged by nearness they tear when the mouth opens."""
    head = HeadModel.load()
    kept, faces = small_mesh(head)
    assert 2200 < len(faces) <= SMALL_TRIANGLES
    whole = trimesh.Trimesh(head.v_template, head.f, process=False)
    small = trimesh.Trimesh(head.v_template[kept], faces, process=False)
    assert small.body_count == whole.body_count
    assert small.euler_number == whole.euler_number
    assert len(np.unique(np.sort(faces, 1), axis=0)) == len(faces)


def test_batches(expression):
    content = convert(expression, "float32", batch=2)
    model = TFLiteModel(content)
    assert model.inputs["image"][0] == (2, 224, 224, 3)
    images = {"image": helpers.face_images()[:3]}  # the last batch is half full
    np.testing.assert_allclose(
        file_outputs(model, images)["exp"], parity.reference_outputs(expression, images)["exp"], atol=1e-4
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


def test_an_abort_of_the_runtime_is_a_reason(float_file, monkeypatch):
    """As by the int16x8 file of the mobile expression encoder."""
    monkeypatch.setattr(trial.sys, "executable", "/bin/sh")
    monkeypatch.setattr(trial.subprocess, "run", _ended_by_abort(trial.subprocess.run))
    assert trial.failure(float_file) == f"the runtime aborts on it (signal {int(signal.SIGABRT)})"


def _ended_by_abort(run):
    return lambda command, **options: run([command[0], "-c", "kill -ABRT $$"], **options)


@pytest.mark.parametrize("trunk", TRUNKS)
def test_no_encoder_has_activations_that_8_bits_slow_down(trunk):
    """Hard-swish in 8 bits made a MobileNetV3 two times slower than in float."""
    model = expression_encoder(keras, trunk=trunk)
    kinds = {type(layer).__name__ for layer in model.layers}
    assert kinds & {"ReLU"}
    assert not kinds & {"Activation", "Multiply"}
    assert {getattr(layer, "activation", keras.activations.linear).__name__ for layer in model.layers} <= {
        "linear",
        "relu",
    }


@pytest.mark.slow
def test_mobile_expression_encoder_fits_in_two_megabytes(tmp_path):
    network = load_source(str(helpers.write_weights(tmp_path / "trio.npz")), helpers.head()).networks["expression"]
    content = convert(network, "int8", calibration({"image": helpers.face_images()[:8]}))
    content = metadata.embed(content, metadata.describe(network, TFLiteModel(content), "int8", "x", "y", {}))
    assert len(content) <= 2.0e6
    assert trial.failure(content) is None
