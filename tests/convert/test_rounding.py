"""Rounding that looks at the layer's output: nearer to float than the nearest steps, and kept by the converter."""

from dataclasses import replace

import helpers_convert as helpers
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convert import parity, rounding, selective
from convert.compatibility import obstacles
from convert.export import convert
from convert.outputs import file_outputs
from convert.rounding import LEVELS, descend, nearest, rounded, shrunk
from emoca_tf.capture.tflite import TFLiteModel


def drawn(seed: int, inputs: int = 24, outputs: int = 6, causes: int = 5):
    """A kernel, and the covariance of inputs that have a few causes in common."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(300, causes)) @ rng.normal(size=(causes, inputs)) + 0.05 * rng.normal(size=(300, inputs))
    return rng.normal(size=(inputs, outputs)), np.cov(rows.T)


def output_error(error, covariance):
    return np.einsum("ko,kl,lo->o", error, covariance, error)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_no_output_is_further_off_than_by_nearest_steps(seed):
    weights, covariance = drawn(seed)
    found = descend(weights, covariance)
    damped = covariance + rounding.DAMPING * np.diag(covariance).mean() * np.eye(len(covariance))
    before, after = (output_error(one - weights, damped) for one in (nearest(weights), found))
    assert (after <= before * (1 + 1e-9)).all()
    step = np.abs(weights).max(0) / LEVELS
    levels = found / step
    np.testing.assert_allclose(levels, np.round(levels), atol=1e-6)
    np.testing.assert_allclose(np.abs(levels).max(0), LEVELS, atol=1e-6)  # the grid the converter will find again


def test_common_causes_are_used():
    weights, covariance = drawn(1)
    before = output_error(nearest(weights) - weights, covariance).sum()
    assert output_error(descend(weights, covariance) - weights, covariance).sum() < 0.2 * before


def test_few_rows_do_not_mislead():
    rng = np.random.default_rng(4)
    mix, weights = rng.normal(size=(40, 40)) / 6, rng.normal(size=(40, 8))
    true, few = mix.T @ mix, np.cov((rng.normal(size=(12, 40)) @ mix).T)
    errors = [output_error(descend(weights, c) - weights, true).sum() for c in (few, shrunk(few, 12))]
    assert errors[1] < errors[0]
    np.testing.assert_allclose(np.diag(shrunk(few, 12)), np.diag(few))


def test_dead_inputs_and_outputs_do_no_harm():
    weights, covariance = drawn(2)
    covariance[3] = covariance[:, 3] = 0
    weights[:, 2] = 0
    found = descend(weights, covariance)
    assert np.isfinite(found).all()
    assert not found[:, 2].any()


@pytest.fixture
def every_kernel(monkeypatch):
    """The tiny network's kernels are all small."""
    for module in (rounding, selective):
        monkeypatch.setattr(module, "SMALL_KERNEL", 100)


@pytest.mark.usefixtures("every_kernel")
def test_a_rounded_network_loses_less_than_half_of_what_nearest_steps_lose():
    network, images = helpers.tiny_network(), helpers.face_images()
    reference = parity.reference_outputs(network, {"image": images})
    errors = []
    for one in (network, rounded(network, images[:16])):
        content = convert(one, "int8-weights")
        assert obstacles(content) == []
        found = file_outputs(TFLiteModel(content), {"image": images[16:]})
        errors.append(np.mean([((found[k] - v[16:]) ** 2).mean() / v.var() for k, v in reference.items()]))
    assert 0 < errors[1] < 0.5 * errors[0], errors


@pytest.mark.usefixtures("every_kernel")
def test_the_file_holds_the_rounded_kernels_and_small_ones_in_half_precision():
    network = rounded(helpers.tiny_network(), helpers.face_images()[:8])
    interpreter = TFLiteModel(convert(network, "int8-weights"), delegates=False).interpreter
    kernels = {}
    for detail in interpreter.get_tensor_details():
        if detail["dtype"] == np.int8:
            scale = detail["quantization_parameters"]["scales"]
            values = interpreter.get_tensor(detail["index"]).astype(np.float64)
            kernels[values.size] = (values * scale.reshape(-1, *[1] * (values.ndim - 1))).reshape(len(values), -1).T
    expected = [kernel.folded for kernel in rounding._kernels(network.model)]
    assert len(expected) >= 3
    for kernel in expected:
        np.testing.assert_allclose(kernels[kernel.size], kernel, atol=1e-4 * np.abs(kernel).max())
    kinds = {str(np.dtype(detail["dtype"])) for detail in interpreter.get_tensor_details()}
    assert "float16" in kinds  # the depthwise kernels


def test_a_network_of_small_kernels_stays_as_it_is():
    network = helpers.tiny_network()
    assert rounded(network, helpers.face_images()[:4]) is network


def test_a_network_without_builder_stays_as_it_is():
    network = replace(helpers.tiny_network(), build=None)
    assert rounded(network, helpers.face_images()[:4]) is network


@pytest.mark.usefixtures("every_kernel")
def test_kernels_of_very_many_inputs_get_nearest_steps_and_a_corrected_bias(monkeypatch):
    monkeypatch.setattr(rounding, "MOST_INPUTS", 20)
    network, images = helpers.tiny_network(), helpers.face_images()
    wide = [kernel.folded for kernel in rounding._kernels(network.model)]
    found = rounded(network, images[:16])
    changed = [kernel.folded for kernel in rounding._kernels(found.model)]
    assert sum(len(kernel) > 20 for kernel in wide) >= 2
    for before, after in zip(wide, changed, strict=True):
        if len(before) > 20:
            np.testing.assert_allclose(after, nearest(before), atol=1e-5 * np.abs(before).max())
    monkeypatch.setattr(rounding, "MOST_INPUTS", 0)
    exp = [one.model(images[16:], training=False)["exp"].numpy() for one in (network, rounded(network, images[:16]))]
    uncorrected = network_with(network, [nearest(kernel) for kernel in wide]).model(images[16:], training=False)["exp"]
    off = [np.abs((value - exp[0]).mean(0)).mean() for value in (uncorrected.numpy(), exp[1])]
    assert off[1] < 0.8 * off[0], off


def network_with(network, kernels):
    """A copy of the network with other folded kernels, biases as they were."""
    model = rounding.copied(network)
    for kernel, folded in zip(rounding._kernels(model), kernels, strict=True):
        kernel.replace(folded, np.zeros(folded.shape[1]))
    return replace(network, model=model)
