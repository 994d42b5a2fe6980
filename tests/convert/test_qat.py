"""Quantisation-aware fine-tuning: the twin is the same network, learns, and gives its weights back."""

from dataclasses import replace

import helpers_convert as helpers
import keras
import numpy as np
import pytest

from convert import parity, qat
from convert.data import calibration
from convert.export import convert
from emoca_tf.capture.tflite import TFLiteModel
from emoca_tf.errors import UserError


@pytest.fixture(scope="module")
def images():
    return helpers.face_images()


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


def test_weights_come_back_unchanged_without_steps(images):
    network = helpers.tiny_network()
    aware = qat.quantisation_aware(qat.legacy_keras(), qat.build_twin(qat.legacy_keras(), network))
    back = helpers.tiny_encoder(keras)
    qat.weights_back(aware, back)
    for name, value in network.model(images[:2], training=False).items():
        np.testing.assert_allclose(back(images[:2], training=False)[name], value, atol=1e-6)


def uneven(network):
    """The same function with channels of very different size, which 8 bits in common cannot hold."""
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


def test_fine_tuning_recovers_what_rounding_lost(images):
    network = uneven(helpers.tiny_network())
    rows = calibration({"image": images})
    reference = parity.reference_outputs(network, {"image": images})
    losses: list[float] = []
    tuned = qat.finetuned(network, images, steps=120, batch_size=12, learning_rate=1e-3,
                          progress=lambda done, total, loss: losses.append(loss))  # fmt: skip
    errors = []
    for one in (network, tuned):
        found = parity.file_outputs(TFLiteModel(convert(one, "int8", rows)), {"image": images})
        errors.append(parity.compare(reference, found)["exp"]["mae"])
    assert np.mean(losses[-10:]) < np.mean(losses[:3])
    assert errors[1] < 0.9 * errors[0], errors  # 0.82 with the pictures of the relaid head


def test_a_network_without_twin_is_refused():
    with pytest.raises(UserError, match="no tf_keras twin"):
        qat.build_twin(qat.legacy_keras(), replace(helpers.tiny_network(), build=None))
