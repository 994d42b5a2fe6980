"""Ranges of 8-bit tensors: cut where that pays, whole where the network ends, of the tensors that the file has."""

import helpers_convert as helpers
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convert import benchmark, export, parity, ranges
from convert.data import calibration
from convert.export import calibrated, nearest, quantised
from convert.networks import Network
from convert.outputs import file_outputs
from convert.ranges import best_range, matched, on_grid, tightened
from emoca_tf.capture.tflite import TFLiteModel


def lost(values, low, high):
    return float(np.square(on_grid(values, low, high) - values).mean())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(1, 50))
def test_a_chosen_range_never_costs_more_than_the_extremes(seed, peak):
    values = np.random.default_rng(seed).normal(0, 1, 500)
    values[0] = peak
    low, high = float(values.min()), float(values.max())
    chosen = best_range(values, low, high)
    assert low <= chosen[0] <= 0 <= chosen[1] <= high
    assert lost(values, *chosen) <= lost(values, low, high)


def test_long_tails_are_cut():
    values = np.random.default_rng(1).laplace(0, 1, 60_000)
    low, high = float(values.min()), float(values.max())
    chosen = best_range(values, low, high)
    assert chosen[1] - chosen[0] < 0.95 * (high - low)
    assert lost(values, *chosen) < 0.95 * lost(values, low, high)


def test_even_values_keep_their_range():
    values = np.linspace(-1, 2, 5000)
    assert best_range(values, -1.0, 2.0) == (-1.0, 2.0)


def summing(module):
    """Running sums that are read rectified and added to, as in the embedded encoders."""
    layers = module.layers
    image = module.Input((224, 224, 3), name="image")
    x = total = layers.ReLU(name="relu0")(layers.Conv2D(8, 5, 4, padding="same", name="conv0")(image))
    for number in (1, 2):
        x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name=f"depthwise{number}")(x)
        x = layers.Conv2D(8, 1, name=f"pointwise{number}")(x)
        total = layers.Add(name=f"sum{number}")([total, x])
        x = layers.ReLU(name=f"relu{number}")(total)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return module.Model(image, layers.Dense(4, name="codes")(x), name="summing")


@pytest.fixture(scope="module")
def sums():
    keras.utils.set_random_seed(3)
    network = Network("coarse", summing(keras), "encoder", ("codes",), summing)
    return network, calibrated(network, calibration({"image": helpers.face_images()[:6]}))


def test_layers_find_their_tensors(sums):
    network, file = sums
    found = matched(network, file, helpers.face_images()[7])
    kinds = {op.output: op.kind for op in file.operations}
    assert {name: kinds[tensor] for name, tensor in found.items()} == {
        "relu0": "CONV_2D", "depthwise1": "DEPTHWISE_CONV_2D", "pointwise1": "CONV_2D", "sum1": "ADD", "relu1": "RELU",
        "depthwise2": "DEPTHWISE_CONV_2D", "pointwise2": "CONV_2D", "relu2": "ADD",
    }  # fmt: skip


def test_only_what_follows_the_pooling_stays_in_float(sums):
    _, file = sums
    assert {op.kind for op in file.operations if op.output in file.behind_pooling()} == {"MEAN", "FULLY_CONNECTED"}
    details = TFLiteModel(quantised(file, "mixed"), delegates=False).interpreter._get_ops_details()
    assert [d["op_name"] for d in details].count("DEQUANTIZE") <= 3  # one map, and the weights behind it


def test_a_relu_of_a_sum_is_a_sum_and_the_runtime_takes_the_trunk_in_one_piece(sums, monkeypatch):
    network, file = sums
    images = {"image": helpers.face_images()[:6]}
    after = quantised(file, "int8")
    monkeypatch.setattr(ranges, "relus_into_sums", lambda content: content)
    before = quantised(file, "int8")
    facts = [benchmark.operations(content) for content in (before, after)]
    assert [(one["ops"]["ADD"], one["ops"].get("RELU", 0)) for one in facts] == [(2, 1), (3, 0)]
    assert facts[1]["delegate_partitions"] < facts[0]["delegate_partitions"]
    reference = parity.reference_outputs(network, images)["codes"]
    off = [np.square(file_outputs(TFLiteModel(content), images)["codes"] - reference).mean()
           for content in (before, after)]  # fmt: skip
    assert 0 < off[1] < 1.2 * off[0], off


def test_the_file_whose_outputs_are_nearer_is_kept(sums):
    network, file = sums
    rows = calibration({"image": helpers.face_images()[:4]})
    ends = {op.output: file.range(op.output) for op in file.operations if op.kind == "ADD"}
    narrow = quantised(file.with_ranges({tensor: (low / 9, high / 9) for tensor, (low, high) in ends.items()}), "mixed")
    whole = quantised(file, "mixed")
    assert nearest([narrow, whole], file.content, rows()) is whole
    assert nearest([whole, narrow], file.content, rows()) is whole
    errors = [np.square(file_outputs(TFLiteModel(content), {"image": helpers.face_images()[:4]})["codes"]
                        - parity.reference_outputs(network, {"image": helpers.face_images()[:4]})["codes"]).mean()
              for content in (narrow, whole)]  # fmt: skip
    assert errors[0] > 2 * errors[1]


def test_what_hardly_varies_does_not_decide_which_file_is_kept(monkeypatch):
    truth = np.random.default_rng(6).normal(size=(8, 5)).astype(np.float32)
    outputs = {
        b"float": {"exp": truth, "eyelid": 1e-3 * truth},
        b"near": {"exp": 1.1 * truth, "eyelid": 2e-3 * truth},
        b"far": {"exp": 1.3 * truth, "eyelid": 1e-3 * truth},
        b"broken": {"exp": np.nan * truth, "eyelid": 1e-3 * truth},
    }
    monkeypatch.setattr(export, "TFLiteModel", lambda content: content)
    monkeypatch.setattr(export, "file_outputs", lambda content, inputs: outputs[content])
    rows = [{"image": np.zeros((1, 2, 2, 3), np.float32)}]
    assert nearest([b"broken", b"far", b"near"], b"float", rows) == b"near"


def test_cut_ranges_lie_inside_and_outputs_keep_theirs(sums):
    _, file = sums
    images = helpers.face_images()[:6]
    cut = tightened(file, calibration({"image": images})())
    smaller = 0
    for op in file.operations:
        (low, high), (a, b) = file.range(op.output), cut.range(op.output)
        assert low <= a <= b <= high
        smaller += b - a < 0.99 * (high - low)
    assert smaller >= 3
    for output in file.outputs:
        assert cut.range(output) == file.range(output)
    errors = np.zeros(2)
    for values in cut.values(calibration({"image": images})()):
        for op in file.operations:
            errors += [lost(values[op.output], *one.range(op.output)) for one in (file, cut)]
    assert errors[1] < 0.95 * errors[0], errors
