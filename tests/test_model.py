from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from emoca_tf.model import Emoca

SMALL = {"stages": ((4, 1), (4, 1)), "hidden": 8}
IMAGES = np.random.default_rng(0).random((2, 224, 224, 3), np.float32)


@pytest.fixture(scope="module")
def model():
    return Emoca(**SMALL)


def test_expression_comes_from_the_expression_network_and_the_rest_from_the_coarse_one(model):
    codes, coarse = model.encode(IMAGES), model.E_flame(IMAGES)
    np.testing.assert_allclose(codes.exp, model.E_expression(IMAGES), atol=1e-6)
    np.testing.assert_allclose(codes.pose, coarse[:, 200:206], atol=1e-6)
    np.testing.assert_allclose(codes.shape, coarse[:, :100], atol=1e-6)


def test_training_moves_the_expression_network_but_never_the_coarse_one(model):
    before = [np.array(w) for w in model.E_flame.get_weights()]
    statistics = np.array(model.E_expression.get_layer("encoder.bn1").moving_mean)
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(model.encode(IMAGES, training=True).exp ** 2)
    assert all(g is not None for g in tape.gradient(value, model.E_expression.trainable_weights))
    assert not model.E_flame.trainable_weights
    assert np.abs(np.array(model.E_expression.get_layer("encoder.bn1").moving_mean) - statistics).max() > 0
    for old, new in zip(before, model.E_flame.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_one_keras_file_gives_the_same_codes_back(model, tmp_path):
    model.save(tmp_path / "emoca.keras")
    loaded = keras.saving.load_model(tmp_path / "emoca.keras")
    for name, value in model(IMAGES).items():
        np.testing.assert_allclose(loaded(IMAGES)[name], value, atol=1e-6, err_msg=name)


def test_decode_hands_head_camera_and_light_on(model):
    codes = model.encode(IMAGES)
    got = model.decode(
        codes,
        flame=lambda shape, *rest: SimpleNamespace(vertices=shape),
        renderer=lambda vertices, cam, texture, light: (vertices, cam, texture, light),
        detail=tf.zeros((2, 128)),
    )
    assert got.rendered[1] is codes.cam
    assert got.rendered[3] is codes.light
    assert got.uv_z.shape == (2, 256, 256, 1)
