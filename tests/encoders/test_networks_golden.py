"""Every recorded activation of the original networks, their gradients, and their behaviour in training mode."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers_networks import GOLDEN, assert_tap, golden, images, seed_weights

from emoca_tf.emotion import readout, recognition
from emoca_tf.encoders import detail, mobilenet_v3, resnet
from emoca_tf.weights.torch_layout import expected_shapes, to_state

IMAGES = images(golden())
CODES = {name: golden()[f"detail/{name}"] for name in ("jaw", "exp", "detail")}
MOMENTUM = 0.1  # torch's


@pytest.fixture(scope="module")
def stored():
    with np.load(GOLDEN / "networks_more.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.fixture(scope="module")
def all_images(stored):
    return np.concatenate([IMAGES, stored["image2_u8"][None].astype(np.float32) / 255])


def last_of(model, start):
    """Name of the last layer whose name starts so."""
    return [layer.name for layer in model.layers if layer.name.startswith(start)][-1]


def assert_taps(model, places, values, name):
    tapped = keras.Model(model.input, [model.get_layer(layer).output for layer in places.values()])
    for tap, activation in zip(places, tapped(IMAGES), strict=True):
        assert_tap(activation, values, f"{name}/{tap}")


def resnet_places(model, prefix):
    first = {"conv1": f"{prefix}conv1", "bn1": f"{prefix}relu", "pool": f"{prefix}maxpool"}
    return first | {f"layer{n}": last_of(model, f"{prefix}layer{n}.") for n in (1, 2, 3, 4)}


@pytest.fixture(scope="module")
def coarse():
    return seed_weights(resnet.resnet50_encoder(keras, 236, "E_flame"), "E_flame.")


def test_encoder_activations_and_features(coarse, stored):
    assert_taps(coarse, resnet_places(coarse, "encoder."), stored, "E_flame")
    features = keras.Model(coarse.input, coarse.get_layer("encoder.avgpool").output)(IMAGES)
    np.testing.assert_allclose(features, stored["E_flame/features"], rtol=1e-4, atol=1e-4)


def test_gradient_of_the_coarse_encoder_to_the_picture(coarse, stored):
    picture = tf.constant(IMAGES[:1])
    with tf.GradientTape() as tape:
        tape.watch(picture)
        value = tf.reduce_sum(coarse(picture) ** 2)
    gradient = tape.gradient(value, picture)
    np.testing.assert_allclose(value, stored["E_flame/grad_scalar"][0], rtol=1e-4)
    np.testing.assert_allclose(tf.norm(gradient), stored["E_flame/grad_input_norm"][0], rtol=1e-3)
    expected = stored["E_flame/grad_input_slice"]
    np.testing.assert_allclose(gradient[0, 100:108, 100:108], expected, atol=1e-3 * np.abs(expected).max())


def test_expression_network_with_56_outputs(all_images, stored):
    model = seed_weights(resnet.resnet50_encoder(keras, 56, "E_expression_56"), "E_expression_56.")
    np.testing.assert_allclose(model(all_images), stored["E_expression_56/out"], atol=1e-4)


def test_expression_network_in_training_mode(all_images, stored):
    """Batch statistics in the forward pass; running means as in torch, running variances by the biased estimate."""
    model = seed_weights(resnet.resnet50_encoder(keras, 50, "E_expression"), "E_expression.")
    before = to_state(model)
    out = model(all_images, training=True)
    np.testing.assert_allclose(out, stored["E_expression/train_out"], atol=1e-3)
    after = to_state(model)
    for layer, pixels in (("encoder.bn1", 112 * 112), ("encoder.layer1.0.bn2", 56 * 56), ("encoder.layer4.2.bn3", 49)):
        mean, variance = f"{layer}.running_mean", f"{layer}.running_var"
        np.testing.assert_allclose(after[mean], stored[f"E_expression/train_after/{mean}"], rtol=1e-3, atol=1e-4)
        count = len(all_images) * pixels
        kept = (1 - MOMENTUM) * before[variance]
        as_torch = kept + (after[variance] - kept) * count / (count - 1)
        np.testing.assert_allclose(as_torch, stored[f"E_expression/train_after/{variance}"], rtol=1e-3, atol=1e-5)


def test_emotion_network_activations_and_names(stored):
    model = seed_weights(recognition.emotion_resnet50(keras), "emonet.")
    assert_taps(model, resnet_places(model, "backbone."), stored, "resnet")
    official = {name for name in stored["resnet/state_names"].tolist() if not name.endswith("num_batches_tracked")}
    assert official - set(expected_shapes(model)) == {"backbone.fc.weight", "backbone.fc.bias"}
    assert set(expected_shapes(model)) <= official


@pytest.mark.parametrize("inputs", [153, 281])
def test_readout_heads(inputs, stored):
    model = seed_weights(readout.readout_mlp(keras, inputs), f"mlp{inputs}.")
    out = model(golden()[f"mlp{inputs}/in"])
    for key in ("valence", "arousal"):
        np.testing.assert_allclose(out[key], stored[f"mlp{inputs}/{key}"], rtol=1e-4, atol=1e-5)
    logs = tf.nn.log_softmax(out["expression"])
    np.testing.assert_allclose(logs, stored[f"mlp{inputs}/expr_logsoftmax"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("part", ["pose", "shape", "expression"])
def test_smirk_activations(part, stored):
    model = getattr(mobilenet_v3, f"{part}_encoder")(keras)
    if part == "pose":
        start = model.get_layer("pose_cam_layers.0.rows.3.4").bias.numpy()
        np.testing.assert_array_equal(start, stored["mobile/init/pose_bias_cam_scale"])
    seed_weights(model, f"smirk_encoder.{part}_encoder.")
    stages = len(mobilenet_v3.SMALL if part == "pose" else mobilenet_v3.LARGE)
    places = {f"blocks.{stage}": last_of(model, f"encoder.blocks.{stage}.") for stage in range(stages)}
    assert_taps(model, {"bn1": "encoder.bn1"} | places, stored, f"mobile/{part}")
    pooled = keras.Model(model.input, model.get_layer("encoder.pool").output)(IMAGES)
    np.testing.assert_allclose(pooled, stored[f"mobile/{part}/pooled"], rtol=1e-4, atol=1e-5)


def seeded_generator():
    return seed_weights(detail.detail_generator(keras), "D_detail.")


def test_detail_generator_activations_and_gradient(stored):
    model = seeded_generator()
    pose = np.concatenate([np.zeros_like(CODES["jaw"]), CODES["jaw"]], 1)
    latent = detail.detail_latent(pose, CODES["exp"], CODES["detail"])
    blocks = [name.split("/")[2] for name in stored if name.startswith("detail/gen/block") and name.endswith("corner")]
    assert len(blocks) == 11
    numbers = [block.removeprefix("block") for block in blocks]
    tapped = keras.Model(model.input, [model.get_layer(f"conv_blocks.{number}").output for number in numbers])
    for block, activation in zip(blocks, tapped(latent), strict=True):
        a = np.asarray(activation, np.float64)
        stats = np.stack([a.mean((1, 2, 3)), a.std((1, 2, 3))], 1)
        np.testing.assert_allclose(stats, stored[f"detail/gen/{block}/mean_std"], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(a[:, :3, :3, :8], stored[f"detail/gen/{block}/corner"], rtol=1e-4, atol=1e-5)
    with tf.GradientTape() as tape:
        tape.watch(latent)
        value = tf.reduce_sum(model(latent) ** 2)
    np.testing.assert_allclose(value, stored["detail/gen/grad_scalar"][0], rtol=1e-4)
    expected = stored["detail/gen/grad_latent"]
    np.testing.assert_allclose(tape.gradient(value, latent), expected, atol=1e-4 * np.abs(expected).max())


def test_detail_generator_of_a_zero_code(stored):
    got = seeded_generator()(np.zeros((1, 181), np.float32))
    np.testing.assert_allclose(got[:, ::4, ::4], stored["detail/uv_z_zero_latent"], atol=1e-7)


def test_detail_generator_in_training_mode(stored):
    model = seeded_generator()
    out = model(stored["detail/gen/train_in"], training=True)
    np.testing.assert_allclose(out[:, ::8, ::8], stored["detail/gen/train_out_probe"], atol=1e-6)
    mean = to_state(model)["conv_blocks.3.running_mean"]
    np.testing.assert_allclose(mean, stored["detail/gen/train_running_mean_bn3"], rtol=1e-4, atol=1e-5)
