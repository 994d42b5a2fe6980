"""The embedded emotion network: equal to the JavaScript it comes from, same interface as the others, honest limits."""

import hashlib
import json
import shutil
import subprocess

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers_networks import GOLDEN, images, seed_weights
from helpers_networks import golden as networks_golden
from skimage.data import astronaut

from emoca_tf import emotion
from emoca_tf.emotion import build_default, default, recognition
from emoca_tf.emotion.circumplex import CIRCUMPLEX
from emoca_tf.emotion.recognition import EXPRESSIONS
from emoca_tf.errors import UserError
from emoca_tf.faces.crop import crop_from_box
from emoca_tf.io.npz import read_npz, write_npz
from emoca_tf.weights.torch_layout import to_state


@pytest.fixture(scope="module")
def network():
    return emotion.load("default")


def pictures() -> np.ndarray:
    """``[2, 112, 112, 3]`` uint8: what the package's own JavaScript was run on for the golden outputs."""
    y, x = np.mgrid[0:112, 0:112]
    ramps = np.stack([x * 2 % 256, y * 2 % 256, (x + y) % 256], -1).astype(np.uint8)
    return np.stack([astronaut()[0:224:2, 112:336:2], ramps])


def test_outputs_are_those_of_the_package_it_comes_from(network):
    with np.load(GOLDEN / "default_emotion.npz") as expected:
        core = keras.Model(network.get_layer("normalise").input, network.output)
        out = core(pictures().astype(np.float32) / 255)
        np.testing.assert_allclose(out["features"], expected["features"], atol=5e-5)
        order = [EXPRESSIONS.index(label) for label in build_default.LABELS]
        np.testing.assert_allclose(tf.gather(out["expression"], order, axis=1), expected["logits"], atol=1e-4)


def test_interface_is_that_of_every_emotion_network(network):
    other = recognition.emotion_mobilenet(keras, "small")
    assert network.input_shape == other.input_shape
    assert set(network.output) == set(other.output)
    for key in ("expression", "valence", "arousal"):
        assert network.output[key].shape == other.output[key].shape
    assert network.trainable_weights == []
    assert network.output["features"].shape == (None, 256)


def test_a_smiling_portrait_is_happy(network):
    face = crop_from_box((172, 68, 276, 190), scale=1.25).apply(astronaut())
    out = network(face[None])
    assert EXPRESSIONS[int(np.argmax(out["expression"]))] == "happy"
    assert out["valence"][0, 0] > 0.5


def test_contempt_is_missing_and_valence_and_arousal_follow_from_the_classes(network):
    out = network(images(networks_golden()))
    p = tf.nn.softmax(out["expression"]).numpy()
    assert p[:, EXPRESSIONS.index("contempt")].max() < 1e-9
    plane = np.array([CIRCUMPLEX[label] for label in EXPRESSIONS])
    np.testing.assert_allclose(np.concatenate([out["valence"], out["arousal"]], 1), p @ plane, atol=1e-5)


def test_gradient_to_the_picture_is_that_of_finite_differences_and_finite_on_black(network):
    picture = tf.constant(images(networks_golden())[:1])

    def distance(x):
        return tf.reduce_mean(network(x)["features"] ** 2)

    with tf.GradientTape() as tape:
        tape.watch(picture)
        value = distance(picture)
    gradient = tape.gradient(value, picture).numpy()
    direction = gradient / np.linalg.norm(gradient)
    step = 2e-3
    numeric = (distance(picture + step * direction) - distance(picture - step * direction)) / (2 * step)
    np.testing.assert_allclose(numeric, np.linalg.norm(gradient), rtol=2e-2)
    assert np.abs(gradient[0, : default.MARGIN]).max() == 0
    black = tf.zeros((1, 224, 224, 3))
    with tf.GradientTape() as tape:
        tape.watch(black)
        value = distance(black)
    assert np.isfinite(tape.gradient(value, black)).all()


def test_it_survives_a_keras_file_without_lambda_layers(network, tmp_path):
    network.save(tmp_path / "emotion.keras")
    again = keras.models.load_model(tmp_path / "emotion.keras", safe_mode=True)
    picture = images(networks_golden())[:1]
    np.testing.assert_array_equal(again(picture)["features"], network(picture)["features"])


def test_tf_keras_twin_gives_the_same_outputs(network):
    import tf_keras

    picture = images(networks_golden())[:1]
    twin = emotion.load("default", tf_keras)
    for key, value in network(picture).items():
        np.testing.assert_allclose(twin(picture)[key], value, atol=1e-4)


def test_other_networks_load_by_their_names_and_strangers_are_refused(tmp_path):
    small = seed_weights(recognition.emotion_mobilenet(keras, "small"), "m.")
    write_npz(tmp_path / "small.npz", to_state(small))
    loaded = emotion.load(tmp_path / "small.npz")
    picture = images(networks_golden())[:1]
    np.testing.assert_array_equal(loaded(picture)["features"], small(picture)["features"])
    write_npz(tmp_path / "stranger.npz", {"a": np.zeros(1)})
    with pytest.raises(UserError, match="holds no emotion network"):
        emotion.load(tmp_path / "stranger.npz")
    with pytest.raises(UserError, match="no such file"):
        emotion.load(tmp_path / "none.npz")


def test_build_refuses_other_packages_in_one_line(tmp_path):
    other = tmp_path / "other.tgz"
    other.write_bytes(b"not it")
    with pytest.raises(UserError, match=r"expected @vladmandic/face-api@1\.7\.15"):
        build_default.build(other)
    with pytest.raises(UserError, match="npm pack"):
        build_default.build(tmp_path / "none.tgz")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("npm") is None, reason="needs npm to get the package")
def test_the_data_file_is_rebuilt_bit_for_bit(tmp_path):
    subprocess.run(["npm", "pack", build_default.PACKAGE], cwd=tmp_path, check=True, capture_output=True)
    built = tmp_path / "built.npz"
    write_npz(built, build_default.build(next(tmp_path.glob("*.tgz"))))
    embedded = default.files("emoca_tf.emotion") / "data" / default.DATA_FILE
    assert hashlib.sha256(built.read_bytes()).digest() == hashlib.sha256(embedded.read_bytes()).digest()


def test_the_data_file_says_what_it_is():
    arrays = read_npz(default.files("emoca_tf.emotion") / "data" / default.DATA_FILE)
    meta = json.loads(arrays["meta"].tobytes())
    assert (meta["licence"], meta["labels"]) == ("MIT", list(build_default.LABELS))
    assert sum(value.size for name, value in arrays.items() if name != "meta") == 323_687
