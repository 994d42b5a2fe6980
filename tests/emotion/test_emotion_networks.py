import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers_networks import GOLDEN, assert_tap, golden, images, seed_weights

from emoca_tf.codes import split
from emoca_tf.emotion import identity, readout, recognition
from emoca_tf.emotion.circumplex import CIRCUMPLEX
from emoca_tf.errors import UserError

VALUES = golden()
IMAGES = images(VALUES)


def linear(out):
    return tf.concat([out["expression"], out["valence"], out["arousal"]], 1)


@pytest.fixture(scope="module")
def network():
    return seed_weights(recognition.emotion_resnet50(keras), "emonet.")


def test_emotion_network_meets_the_official_outputs(network):
    out = network(IMAGES)
    np.testing.assert_allclose(out["features"], VALUES["emo/features"], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(linear(out), VALUES["emo/linear_out"], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(out["valence"], VALUES["emo/valence"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(tf.nn.log_softmax(out["expression"]), VALUES["emo/expr_logsoftmax"], rtol=1e-4)


def test_two_resnet_layouts_caffe_taps_meet_the_official_maps(network):
    tapped = keras.Model(network.input, network.get_layer("backbone.layer2.3.relu").output)
    assert_tap(tapped(IMAGES), VALUES, "emo/layer2")


def test_gradient_of_the_feature_distance_meets_the_official_one(network):
    target = network(IMAGES[:1])["features"]
    image = tf.constant(IMAGES[1:])
    with tf.GradientTape() as tape:
        tape.watch(image)
        distance = tf.reduce_mean((network(image)["features"] - target) ** 2)
    gradient = tape.gradient(distance, image)
    np.testing.assert_allclose(distance, VALUES["emo/grad_mse01"][0], rtol=1e-4)
    np.testing.assert_allclose(tf.norm(gradient), VALUES["emo/grad_norm"][0], rtol=1e-3)
    expected = VALUES["emo/grad_slice"]
    np.testing.assert_allclose(gradient[0, 100:108, 100:108], expected, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("inputs", [153, 281])
def test_readout_meets_the_official_outputs(inputs):
    model = seed_weights(readout.readout_mlp(keras, inputs), f"mlp{inputs}.")
    if inputs == 153:
        assert sum(int(np.prod(v.shape)) for v in model.trainable_weights) == 12_941_322
    np.testing.assert_allclose(
        linear(model(VALUES[f"mlp{inputs}/in"])), VALUES[f"mlp{inputs}/out"], rtol=1e-4, atol=1e-5
    )


def test_readout_input_is_shape_expression_jaw_detail():
    vector = np.arange(236, dtype=np.float32)[None]
    got = readout.readout_input(split(vector), np.full((1, 128), -1, np.float32))[0]
    np.testing.assert_array_equal(got[:153], [*range(100), *range(150, 200), 203, 204, 205])
    assert np.all(got[153:] == -1)


def test_identity_network_meets_the_official_features():
    with np.load(GOLDEN / "identity.npz") as stored:
        image, probe, features = (
            stored[f"{k}"] for k in ("in/id_img0_u8", "out/id_preprocessed_probe", "out/id_feat0")
        )
    x = identity.preprocess(tf.constant(image[None].astype(np.float32) / 255))
    np.testing.assert_allclose(x[0, ::16, ::16], probe, atol=1e-3)
    got = seed_weights(identity.identity_network(keras), "idnet.")(x)
    np.testing.assert_allclose(got, features, rtol=1e-4, atol=1e-4 * np.abs(features).max())


def test_absent_identity_weights_are_reported_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"VGGFace2 weights .*no such file") as caught:
        identity.load_identity(keras, tmp_path / "none.npz")
    assert "\n" not in str(caught.value)


def test_small_readout_derives_valence_and_arousal_from_its_classes():
    model = readout.small_readout(keras, 53, hidden=16, depth=2)
    assert all("circumplex" not in variable.path for variable in model.trainable_variables)
    code = np.random.default_rng(0).normal(size=(5, 53)).astype(np.float32)
    seen = model(code)
    chances = keras.ops.softmax(seen["expression"]).numpy()
    for column, quantity in enumerate(("valence", "arousal")):
        places = np.array([CIRCUMPLEX[label][column] for label in recognition.EXPRESSIONS])
        np.testing.assert_allclose(seen[quantity][:, 0], chances @ places, atol=1e-5)
    vector = np.arange(236.0, dtype=np.float32)[None]
    codes = split(vector)
    np.testing.assert_array_equal(readout.expression_code(codes)[0], np.concatenate([codes.exp[0], codes.pose[0, 3:6]]))
