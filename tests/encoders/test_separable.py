"""The separable trunk starts from the embedded emotion network, knows places, and keeps its weights through files."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from helpers_preset import seeded_mobile, write_weights

from emoca_tf.emotion import default
from emoca_tf.encoders import separable
from emoca_tf.encoders.mobile import mobile_config
from emoca_tf.encoders.mobilenet_v3 import TRUNKS, expression_encoder, shape_encoder
from emoca_tf.errors import UserError
from emoca_tf.flame.head import HeadModel
from emoca_tf.io.npz import read_npz, write_npz
from training.networks import Reconstruction, initialise, start_from_emotion
from training.trained import load_mobile, trunk_in

RNG = np.random.default_rng(3)
IMAGES = RNG.uniform(0, 1, (2, 224, 224, 3)).astype(np.float32)


def test_blocks_with_the_embedded_weights_are_the_embedded_network() -> None:
    image = keras.Input((224, 224, 3))
    blocks = separable.separable_blocks(keras, image, default.MARGIN, "encoder.")[-1]
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D()(blocks))
    start_from_emotion({"encoder": model})
    np.testing.assert_allclose(model(IMAGES), default.load_default(keras)(IMAGES)["features"], atol=1e-5)


def test_places_tell_apart_what_means_cannot() -> None:
    model = expression_encoder(keras, trunk="separable")
    features = keras.Model(model.input, model.get_layer("encoder.views").output)
    last = keras.Model(model.input, model.get_layer("encoder.dense3.sum3.relu").output)
    assert features.output.shape == (None, separable.FEATURES)
    seen = features(IMAGES).numpy()
    np.testing.assert_allclose(seen[:, :256], last(IMAGES).numpy().mean((1, 2)), atol=1e-5)
    tail = keras.Model(last.output, model.get_layer("encoder.views").output)
    maps = last(IMAGES).numpy()
    mirrored = tail(maps[:, :, ::-1]).numpy()
    np.testing.assert_allclose(mirrored[:, :256], seen[:, :256], atol=1e-5)
    place = seen[:, 256:]
    assert np.abs(mirrored[:, 256:] - place).max() > 0.1 * np.abs(place).max()


def test_what_is_added_starts_at_zero_and_counts() -> None:
    model = expression_encoder(keras, trunk="separable")
    both = keras.Model(model.input, [model.get_layer(f"encoder.{name}").output for name in ("views", "pool")])
    views, features = both(IMAGES)
    np.testing.assert_array_equal(views, features)
    more = model.get_layer("encoder.added.1")
    more.kernel.assign_add(np.ones(more.kernel.shape))
    views, features = both(IMAGES)
    assert np.abs(views - features).max() > 1e-3


def test_trunk_must_be_known() -> None:
    with pytest.raises(ValueError, match="separable"):
        expression_encoder(keras, trunk="transformer")


def test_size_fits_a_phone() -> None:
    assert expression_encoder(keras, trunk="separable").count_params() < 1_400_000  # 2.8 MB in half precision


def test_fine_places_are_those_of_the_map_before() -> None:
    model = expression_encoder(keras, trunk="separable")
    assert model.get_layer("encoder.fine.0").input.shape[1:] == (14, 14, 128)
    fine = keras.Model(model.input, model.get_layer("encoder.fine.1").output)
    assert fine.output.shape == (None, separable.FINE_FEATURES)
    seen = fine(IMAGES).numpy()
    assert (seen < 0).any(0).mean() > 0.3  # not rectified: no unit can fall silent


def test_entries_may_not_be_missing(tmp_path) -> None:
    head = HeadModel.load()
    path = write_weights(seeded_mobile(head, shrink=1, trunk="separable"), tmp_path / "plain.npz")
    stored = read_npz(path)
    del stored["pose_encoder.encoder.dense2.conv3.pointwise.weight"]
    write_npz(path, stored)
    with pytest.raises(UserError, match=r"dense2\.conv3"):
        initialise(Reconstruction("separable", head).models, [str(path)])


def test_files_from_before_the_thumbnail_still_open(tmp_path) -> None:
    mobile = seeded_mobile(HeadModel.load(), shrink=1, trunk="separable")
    mobile.networks["shape_encoder"].get_layer("light_layers.1").set_weights([np.zeros((147, 27)), np.zeros(27)])
    path = write_weights(mobile, tmp_path / "new.npz")
    stored = {name: array for name, array in read_npz(path).items() if "light_layers.1" not in name}
    write_npz(tmp_path / "old.npz", stored)
    codes = load_mobile([str(tmp_path / "old.npz")], HeadModel.load()).mobile.encode(IMAGES).to_dict()
    mobile.keep_in_range(HeadModel.load().exp_limits)
    for name, values in mobile.encode(IMAGES).to_dict().items():
        np.testing.assert_allclose(codes[name], values, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("trunk", TRUNKS)
def test_files_tell_the_trunk(tmp_path, trunk: str) -> None:
    head = HeadModel.load()
    mobile = seeded_mobile(head, shrink=1, trunk=trunk)
    path = write_weights(mobile, tmp_path / "weights.npz")
    stored = read_npz(path)
    assert mobile_config({k: v.shape for k, v in stored.items()})["trunk"] == trunk
    again = load_mobile([str(path)], head).mobile
    mobile.keep_in_range(head.exp_limits)
    for name, values in mobile.encode(IMAGES).to_dict().items():
        np.testing.assert_allclose(again.encode(IMAGES).to_dict()[name], values, atol=1e-5, err_msg=name)


@pytest.mark.parametrize(("family", "shrink"), [("separable", 1), ("mobilenet_v3", 1), ("mobilenet_v3", 2)])
def test_checkpoints_tell_the_trunk(family: str, shrink: int) -> None:
    model = Reconstruction(family, HeadModel.load(), shrink=shrink).models["expression_encoder"]
    stored = {f"network/expression_encoder/{i:04d}": v.numpy() for i, v in enumerate(model.variables)}
    assert trunk_in(stored) == {"trunk": family, "shrink": shrink}


def test_a_checkpoint_of_no_known_length_is_refused_in_one_line(tmp_path) -> None:
    head = HeadModel.load()
    models = Reconstruction("separable", head).models
    stored = {f"network/{name}/{i:04d}": v.numpy() for name, m in models.items() for i, v in enumerate(m.variables)}
    del stored["network/expression_encoder/0002"]  # a depthwise kernel
    write_npz(tmp_path / "plain.npz", stored)
    with pytest.raises(UserError, match="has another size"):
        load_mobile([str(tmp_path / "plain.npz")], head)


def test_tied_separable_encoders_are_the_free_ones_on_one_trunk() -> None:
    head = HeadModel.load()
    tied, free = (Reconstruction("separable", head, tied=tied) for tied in (True, False))
    assert len({id(model.get_layer("encoder.dense0.conv0")) for model in tied.models.values()}) == 1
    for name, model in tied.models.items():
        free.models[name].set_weights(model.get_weights())
    for key, mine in tied.encode(IMAGES).to_dict().items():
        np.testing.assert_allclose(mine, free.encode(IMAGES).to_dict()[key], atol=1e-5, err_msg=key)


def test_light_sees_the_thumbnail_as_it_is() -> None:
    """The added light is linear in the mean colours of 7 x 7 fields; at the start it is nothing."""
    model = shape_encoder(keras, 7, trunk="separable")
    rng = np.random.default_rng(0)
    images = rng.random((2, 7, 7, 3), np.float32).repeat(32, 1).repeat(32, 2)
    before = model(images)["light"].numpy()
    kernel = rng.normal(size=(147, 27)).astype(np.float32)
    model.get_layer("light_layers.1").kernel.assign(kernel)
    fields = images[:, ::32, ::32].reshape(2, -1) - 0.5
    np.testing.assert_allclose(model(images)["light"].numpy() - before, fields @ kernel, rtol=1e-4, atol=1e-4)
    published = shape_encoder(keras, 7)
    assert not any(layer.name.startswith("thumbnail") for layer in published.layers)
