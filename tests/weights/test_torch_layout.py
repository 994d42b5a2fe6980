import keras
import numpy as np
import pytest
import seeded
from helpers_networks import seed_weights

from emoca_tf.encoders.mobilenet_v3 import pose_encoder
from emoca_tf.encoders.resnet import resnet50_encoder
from emoca_tf.errors import UserError
from emoca_tf.weights.torch_layout import load_state, to_state


@pytest.fixture
def model():
    return seed_weights(resnet50_encoder(keras, 5, stages=((4, 1),), hidden=8), "small.")


def test_state_of_a_loaded_model_is_the_state_that_was_loaded():
    model = seed_weights(pose_encoder(keras), "p.")
    for name, value in to_state(model).items():
        np.testing.assert_array_equal(value, seeded.tensor("p." + name, value.shape), err_msg=name)


def test_wrong_shape_names_both_shapes_and_changes_nothing(model):
    before = to_state(model)
    state = {name: value + 1 for name, value in before.items()} | {"layers.2.weight": np.zeros((7, 8), np.float32)}
    with pytest.raises(UserError, match=r"layers.2.weight has shape \(7, 8\) .* \(5, 8\)"):
        load_state(model, state)
    np.testing.assert_array_equal(to_state(model)["layers.0.bias"], before["layers.0.bias"])


def test_strict_lists_missing_and_unused_names(model):
    state = to_state(model)
    state["stranger"] = state.pop("encoder.conv1.weight")
    with pytest.raises(UserError, match=r"1 missing \(encoder.conv1.weight\); 1 unused \(stranger\)"):
        load_state(model, state)
    report = load_state(model, state, strict=False)
    assert (report.missing, report.unused) == (("encoder.conv1.weight",), ("stranger",))


def test_ignored_optional_and_counter_entries_do_not_hurt(model):
    state = to_state(model) | {"fc.weight": np.zeros(1), "encoder.bn1.num_batches_tracked": np.zeros(())}
    del state["layers.2.bias"]
    report = load_state(model, state, ignore=("fc.*",), optional=("layers.2.*",))
    assert report.unused == ()
    assert report.missing == ("layers.2.bias",)
