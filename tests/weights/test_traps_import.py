"""The specification's traps that an importer can fall into; trap 8 (albedo) and 17 (pickles) are in tests/flame."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from helpers_checkpoints import emoca_state, manifest, write_checkpoint

from emoca_tf.encoders.detail import detail_generator
from emoca_tf.encoders.resnet import resnet50_trunk
from emoca_tf.errors import UserError
from emoca_tf.weights.kinds import KINDS
from emoca_tf.weights.official import import_weights


@pytest.mark.parametrize(
    ("outputs", "replaces_global", "layout"),
    [(50, False, "exp"), (53, False, "exp+jaw"), (53, True, "exp+global"), (56, False, "exp+pose")],
)
def test_trap_01_number_of_expression_outputs_is_read_from_the_file(
    outputs: int, replaces_global: bool, layout: str
) -> None:
    from emoca_tf.weights.kinds import emoca_config

    shapes = dict(emoca_state(("E_expression",), outputs).names)
    assert emoca_config(shapes, replaces_global) == {"layout": layout, "with_detail": False}


def test_trap_01_another_number_of_outputs_is_refused(tmp_path: Path) -> None:
    state = {
        "deca.E_flame.layers.2.bias": np.zeros(236, np.float32),
        "deca.E_expression.layers.2.weight": np.zeros((51, 1024), np.float32),
    }
    source = write_checkpoint(tmp_path / "x.ckpt", {"state_dict": state})
    with pytest.raises(UserError, match="51 outputs is unknown; 50"):
        import_weights(source, tmp_path / "x.npz")


def test_trap_04_each_kind_builds_its_own_resnet_layout() -> None:
    """Stride in the 3x3 convolution and a padded pool for DECA; stride in the first 1x1 for the emotion network."""
    deca = KINDS["deca"].build(layout="none", with_detail=False).E_flame
    assert deca.get_layer("encoder.layer2.0.conv1").strides == (1, 1)
    assert deca.get_layer("encoder.layer2.0.conv2").strides == (2, 2)
    assert deca.get_layer("encoder.maxpool.pad").padding == ((1, 1), (1, 1))
    for kind, prefix in (("emotion", "backbone."), ("identity", "")):
        caffe = KINDS[kind].build()
        assert caffe.get_layer(f"{prefix}layer2.0.conv1").strides == (2, 2)
        assert caffe.get_layer(f"{prefix}layer2.0.conv2").strides == (1, 1)
        assert caffe.get_layer(f"{prefix}maxpool.pad").padding == ((0, 1), (0, 1))


def test_trap_05_detail_generator_keeps_the_odd_epsilon_and_channels_first_order() -> None:
    model = detail_generator(keras)
    epsilons = [layer.epsilon for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert epsilons == [1e-5, 0.8, 0.8, 0.8, 0.8, 0.8]
    assert dict(manifest("deca_model.tar", "networks", "D_detail"))["l1.0.weight"] == (8192, 181)
    linear, permuted = model.get_layer("l1.0").output, model.get_layer("l1.permute").output
    code = np.random.default_rng(0).random((1, 181), np.float32)
    flat, grid = keras.Model(model.input, [linear, permuted])(code)
    np.testing.assert_allclose(np.array(flat).reshape(128, 8, 8).transpose(1, 2, 0), np.array(grid)[0], atol=1e-6)


def test_trap_20_networks_take_224_pixels_and_no_other_size() -> None:
    image = keras.Input((224, 224, 3))
    assert resnet50_trunk(keras, image, stages=((4, 1),)).shape[-1] == 16
    model = KINDS["identity"].build()
    assert model.input_shape == (None, 224, 224, 3)
    with pytest.raises(ValueError, match="224"):
        model(np.zeros((1, 256, 256, 3), np.float32))
