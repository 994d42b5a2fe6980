"""Quantisation-aware fine-tuning: the twin computes what the file will, learns, and gives weights and ranges back."""

from dataclasses import replace

import helpers_convert as helpers
import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from convert import learned, parity, qat
from convert.data import calibration
from convert.export import calibrated, convert, quantised
from convert.networks import Network
from convert.outputs import file_outputs
from convert.ranges import on_grid, tightened
from emoca_tf.capture.tflite import TFLiteModel
from emoca_tf.errors import UserError


@pytest.fixture(scope="module")
def images():
    return helpers.face_images()


@pytest.fixture(scope="module")
def uneven():
    """The tiny network with channels of very different size, which 8 bits in common cannot hold."""
    network = helpers.tiny_network()
    model = helpers.tiny_encoder(keras)
    qat.copy_weights(network.model, model)
    layer = model.get_layer("pw2.bn")
    gamma, beta, mean, variance = layer.get_weights()
    scale = np.where(np.arange(len(gamma)) % 8 == 0, 25.0, 1.0).astype(np.float32)
    layer.set_weights([gamma * scale, beta * scale, mean, variance])
    for dense in (layer for layer in model.layers if isinstance(layer, keras.layers.Dense)):
        kernel, bias = dense.get_weights()
        dense.set_weights([kernel / scale[:, None], bias])
    return replace(network, model=model)


@pytest.fixture(scope="module")
def measured(images):
    """The tiny network, its calibrated file, and its twin with the file's ranges."""
    network = helpers.tiny_network()
    rows = calibration({"image": images})
    file = tightened(calibrated(network, rows), rows())
    legacy = qat.legacy_keras()
    tensors = qat.rounded_tensors(network, file, images, integer=False)
    ranges = {name: file.range(tensor) for name, tensor in tensors.items()}
    return network, file, tensors, learned.wrapped(legacy, qat.build_twin(legacy, network), ranges, linear=False)


def test_the_twin_computes_the_same(images):
    network = helpers.tiny_network()
    twin = qat.build_twin(qat.legacy_keras(), network)
    reference = parity.reference_outputs(network, {"image": images[:4]})
    for name, value in zip(qat.output_names(network), twin(images[:4], training=False), strict=True):
        np.testing.assert_allclose(value, reference[name], atol=1e-5)


def test_importing_tfmot_leaves_the_environment_alone(monkeypatch):
    monkeypatch.delenv("TF_USE_LEGACY_KERAS", raising=False)
    import os

    qat.legacy_keras()
    assert "TF_USE_LEGACY_KERAS" not in os.environ


def test_weights_and_ranges_come_back_unchanged_without_steps(images, measured):
    network, file, tensors, aware = measured
    back = helpers.tiny_encoder(keras)
    qat.weights_back(aware, back)
    for name, value in network.model(images[:2], training=False).items():
        np.testing.assert_allclose(back(images[:2], training=False)[name], value, atol=1e-6)
    assert tensors.keys() == {"pw0.act", "dw1.act", "pw1.act", "dw2.act", "pw2.act"}
    for name, ends in learned.learnt_ranges(aware).items():
        np.testing.assert_allclose(ends, file.range(tensors[name]), rtol=1e-5)


def test_it_learns_with_the_rounding_of_the_file(images, measured):
    network, file, _, aware = measured
    images = np.round(images * 255) / 255  # the file takes pictures of 8 bits
    reference = parity.reference_outputs(network, {"image": images})
    found = file_outputs(TFLiteModel(quantised(file, "mixed")), {"image": images})
    simulated = dict(zip(qat.output_names(network), aware(images, training=False), strict=True))
    lost = np.mean((found["exp"] - reference["exp"]) ** 2)
    assert np.mean((found["exp"] - np.asarray(simulated["exp"])) ** 2) < 0.2 * lost


def test_learnt_ranges_stand_in_the_file(images, measured):
    network, file, tensors, _ = measured
    wanted = {name: (0.0, 3.0 + number) for number, name in enumerate(tensors)}
    content = quantised(qat.with_learnt_ranges(network, file, images, wanted), "mixed")
    scales = [d["quantization_parameters"]["scales"] for d in TFLiteModel(content).interpreter.get_tensor_details()]
    found = [float(scale[0]) for scale in scales if len(scale) == 1]
    for _, high in wanted.values():
        assert min(abs(scale * 255 - high) for scale in found) < 1e-3


@settings(max_examples=25, deadline=None)
@given(st.floats(-3, 0), st.floats(0.5, 4), st.integers(0, 1000))
def test_the_fake_tensor_is_on_the_grid_of_the_file_and_ranges_have_gradients(low, high, seed):
    values = np.random.default_rng(seed).normal(0, 2, 400).astype(np.float32)
    ends = [tf.Variable(low), tf.Variable(high)]
    with tf.GradientTape() as tape:
        got = learned.rounded_to_range(tf.constant(values), *ends)
        loss = tf.reduce_sum(got)
    step = (high - low) / 255
    distance = np.abs(got.numpy() - on_grid(values, low, high))
    assert np.minimum(distance, np.abs(distance - step)).max() < 1e-4  # halves may be rounded up or down
    slope = [float(g) for g in tape.gradient(loss, ends)]
    inside = (values >= low) & (values <= high)
    rounding = float(((got.numpy() - values)[inside]).sum()) / (high - low)
    np.testing.assert_allclose(slope, [(values < low).sum() - rounding, (values > high).sum() + rounding], atol=1e-3)


def test_kernels_are_on_the_grid_of_the_converter_and_pass_their_gradient():
    kernel = tf.Variable(np.random.default_rng(0).normal(size=(3, 3, 5, 1)).astype(np.float32))
    with tf.GradientTape() as tape:
        got = learned.rounded_kernel(kernel, (0, 1, 3))
        loss = tf.reduce_sum(got)
    levels = got.numpy() / np.abs(kernel.numpy()).max((0, 1, 3), keepdims=True) * 127
    np.testing.assert_allclose(levels, np.round(levels), atol=1e-4)
    np.testing.assert_array_equal(tape.gradient(loss, kernel), np.ones(kernel.shape))


def test_fine_tuning_recovers_more_than_half_of_what_rounding_lost(images, uneven):
    rows = calibration({"image": images})
    reference = parity.reference_outputs(uneven, {"image": images})
    losses: list[float] = []
    tuned = qat.finetuned(uneven, rows, images, steps=120, batch_size=12, learning_rate=1e-4,
                          progress=lambda done, total, loss: losses.append(loss))  # fmt: skip
    errors = []
    for content in (convert(uneven, "mixed", rows), tuned):
        found = file_outputs(TFLiteModel(content), {"image": images})
        errors.append(float(np.mean((found["exp"] - reference["exp"]) ** 2)))
    assert np.mean(losses[-10:]) < np.mean(losses[:3])
    assert errors[1] < 0.5 * errors[0], errors


def test_a_network_of_one_output_is_tuned_but_not_to_its_harm(images):
    """As E_flame and E_expression of ResNet50."""

    def build(module):
        image, x = helpers.tiny_trunk(module)
        return module.Model(image, module.layers.Dense(3, name="codes")(x), name="coarse")

    keras.utils.set_random_seed(31)
    network = Network("coarse", build(keras), "encoder", ("codes",), build)
    content = qat.finetuned(network, calibration({"image": images[:4]}), images[:4], steps=2, batch_size=2)
    found = file_outputs(TFLiteModel(content), {"image": images[:4]})["codes"]
    assert found.shape == (4, 3)
    harmed = qat.finetuned(network, calibration({"image": images[:4]}), images[:4], steps=2, learning_rate=0.5)
    again = file_outputs(TFLiteModel(harmed), {"image": images[:4]})["codes"]  # the file without fine-tuning
    reference = parity.reference_outputs(network, {"image": images[:4]})["codes"]
    assert np.square(again - reference).mean() < 0.02 * reference.var()


def test_pictures_to_learn_on_are_varied_and_stay_pictures(images):
    shown = qat.varied(images[:6], np.random.default_rng(1))
    assert shown.shape == images[:6].shape
    assert shown.dtype == np.float32
    assert 0 <= shown.min() <= shown.max() <= 1
    np.testing.assert_allclose(shown * 255, np.round(shown * 255), atol=1e-4)
    for before, after in zip(images, shown, strict=False):
        found = [np.corrcoef(one.mean((0, 2)), after.mean((0, 2)))[0, 1] for one in (before, before[:, ::-1])]
        assert max(found) > 0.8, found  # the same columns, mirrored or not
        assert np.abs(after - before).mean() > 0.01


def test_a_network_without_twin_is_refused():
    with pytest.raises(UserError, match="no tf_keras twin"):
        qat.build_twin(qat.legacy_keras(), replace(helpers.tiny_network(), build=None))


def test_losses_that_climb_are_told_from_losses_that_jump():
    calm, jump, climb = [1.0, 1.0, 1.2, 0.9, 0.8, 0.7], [1.0, 1.0, 1.0, 1.0, 1.0, 7.0], [1.0, 1.0, 2.0, 4.0, 8.0, 9.0]
    assert [qat.climbs(losses) for losses in (calm, jump, climb)] == [False, False, True]
    assert not qat.climbs([1.0, 1.0, 50.0, 50.0])  # too few to tell
    assert qat.climbs([1.0, 1.0, *[float("nan")] * 4])


def test_a_rate_that_the_network_does_not_bear_is_lowered(images, uneven):
    rows = calibration({"image": images})
    reference = parity.reference_outputs(uneven, {"image": images})
    seen: list[tuple[int, float]] = []
    content = qat.finetuned(uneven, rows, images, steps=60, batch_size=12, learning_rate=3e-2,
                            progress=lambda done, total, loss: seen.append((done, loss)))  # fmt: skip
    first = [loss for done, loss in seen if done == 1]
    assert len(first) > 1  # it began anew,
    np.testing.assert_allclose(first, first[0], rtol=1e-5)  # from the same weights
    assert [done for done, _ in seen[-60:]] == [*range(1, 61)]
    lost, left = (
        np.square(file_outputs(TFLiteModel(one), {"image": images})["exp"] - reference["exp"]).mean()
        for one in (convert(uneven, "mixed", rows), content)
    )
    assert left < 0.7 * lost


def test_weights_that_are_no_numbers_leave_the_file_without_fine_tuning(images, uneven, monkeypatch):
    def ruined(aware, *_):
        for variable in aware.trainable_variables:
            variable.assign(np.full(variable.shape, np.nan))

    monkeypatch.setattr(qat, "_learn", ruined)
    rows = calibration({"image": images})
    content = qat.finetuned(uneven, rows, images, steps=2)
    found = file_outputs(TFLiteModel(content), {"image": images})["exp"]
    reference = parity.reference_outputs(uneven, {"image": images})["exp"]
    assert np.square(found - reference).mean() < 0.2 * reference.var()
