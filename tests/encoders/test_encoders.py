import keras
import numpy as np
import pytest
from helpers_networks import assert_tap, golden, images, seed_weights

from emoca_tf.codes import split
from emoca_tf.emotion.recognition import emotion_mobilenet
from emoca_tf.encoders import detail, mobilenet_v3, resnet, vgg
from emoca_tf.encoders.expression import expression_layout, replace_expression
from emoca_tf.errors import UserError
from emoca_tf.weights.torch_layout import expected_shapes

VALUES = golden()
IMAGES = images(VALUES)


@pytest.fixture(scope="module")
def coarse():
    return seed_weights(resnet.resnet50_encoder(keras, 236, "E_flame"), "E_flame.")


def parameters(model):
    return sum(int(np.prod(v.shape)) for v in model.trainable_weights)


def test_coarse_encoder_has_the_official_number_of_parameters(coarse):
    assert parameters(coarse) == 25_848_108


def test_coarse_encoder_meets_the_official_outputs(coarse):
    np.testing.assert_allclose(coarse(IMAGES), VALUES["E_flame/out"], atol=1e-4)
    np.testing.assert_allclose(coarse(0 * IMAGES[:1]), VALUES["E_flame/out_zeros"], atol=1e-4)


def test_two_resnet_layouts_torchvision_taps_meet_the_official_maps(coarse):
    layers = {"bn1": "relu", "pool": "maxpool", "layer4": "layer4.2.relu"}
    tapped = keras.Model(coarse.input, [coarse.get_layer(f"encoder.{name}").output for name in layers.values()])
    for name, activation in zip(layers, tapped(IMAGES), strict=True):
        assert_tap(activation, VALUES, f"E_flame/{name}")


def test_output_does_not_depend_on_the_batch(coarse):
    np.testing.assert_allclose(coarse(IMAGES[1:]), coarse(IMAGES)[1:], atol=2e-5)


@pytest.mark.parametrize(
    ("net", "outputs", "count"),
    [("E_expression", 50, 25_657_458), ("E_expression_53", 53, 25_660_533), ("E_detail", 128, 25_737_408)],
)
def test_other_encoders_meet_the_official_outputs(net, outputs, count):
    model = seed_weights(resnet.resnet50_encoder(keras, outputs, net), f"{net}.")
    assert parameters(model) == count
    np.testing.assert_allclose(model(IMAGES), VALUES[f"{net}/out"], atol=1e-4)


@pytest.mark.parametrize(
    ("outputs", "replaces_global", "changed"),
    [(50, False, []), (53, False, [3, 4, 5]), (53, True, [0, 1, 2]), (56, False, [0, 1, 2, 3, 4, 5])],
)
def test_released_expression_network_has_50_outputs_and_others_replace_pose(outputs, replaces_global, changed):
    codes = split(np.zeros((2, 236), np.float32))
    got = replace_expression(codes, np.ones((2, outputs), np.float32), expression_layout(outputs, replaces_global))
    assert np.flatnonzero(got.pose[0]).tolist() == changed
    assert got.exp.min() == 1


def test_unknown_number_of_expression_outputs_is_refused():
    with pytest.raises(UserError, match="52 outputs"):
        expression_layout(52)


def test_smirk_trio_meets_the_official_outputs_and_names():
    builders = {
        "pose_encoder": mobilenet_v3.pose_encoder,
        "shape_encoder": mobilenet_v3.shape_encoder,
        "expression_encoder": mobilenet_v3.expression_encoder,
    }
    models = {n: seed_weights(build(keras), f"smirk_encoder.{n}.") for n, build in builders.items()}
    names = {
        f"{n}.{key} {list(shape)}"
        for n, model in models.items()
        for key, shape in expected_shapes(model).items()
        if not key.startswith(("tex_layers", "light_layers"))
    }
    assert names == set(VALUES["mobile/state"].tolist())
    out = {n: model(IMAGES) for n, model in models.items()}
    for net, key, official in [
        ("pose_encoder", "global", "pose_params"),
        ("pose_encoder", "cam", "cam"),
        ("shape_encoder", "shape", "shape_params"),
        ("expression_encoder", "exp", "expression_params"),
        ("expression_encoder", "eyelid", "eyelid_params"),
        ("expression_encoder", "jaw", "jaw_params"),
    ]:
        np.testing.assert_allclose(out[net][key], VALUES[f"mobile/out/{official}"], rtol=1e-4, atol=1e-5)
    codes = mobilenet_v3.mobile_codes(*out.values())
    assert codes.shape.shape == (2, 300)
    assert codes.pose.shape == (2, 6)
    assert codes.light.shape == (2, 9, 3)
    pose = models["pose_encoder"]
    layers = {"bn1": "bn1", "blocks.0": "blocks.0.0.bn2", "blocks.5": "blocks.5.0.bn1.act"}
    tapped = keras.Model(pose.input, [pose.get_layer(f"encoder.{name}").output for name in layers.values()])
    for name, activation in zip(layers, tapped(IMAGES), strict=True):
        assert_tap(activation, VALUES, f"mobile/pose/{name}")


def test_eyelids_and_jaw_are_clamped_as_in_smirk():
    features = keras.Input((960,))
    head = keras.Model(features, mobilenet_v3.expression_head(keras, features))
    out = seed_weights(head, "smirk_encoder.expression_encoder.")(VALUES["mobile/clamp/features"])
    for key, official in [("exp", "expression_params"), ("eyelid", "eyelid_params"), ("jaw", "jaw_params")]:
        np.testing.assert_allclose(out[key], VALUES[f"mobile/clamp/{official}"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("limits", [(0.0, 1.0), (-0.25, 0.75)])
def test_expressions_keep_to_the_heads_range_on_the_same_weights(limits):
    model = mobilenet_v3.expression_encoder(keras, 20, trunk="separable")
    layer = model.get_layer("expression_layers.0.rows.0.20")
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel, np.linspace(-1, 2, len(bias), dtype=np.float32)])
    kept = mobilenet_v3.kept_in_range(keras, model, limits)
    free, inside = model(IMAGES), kept(IMAGES)
    assert (free["exp"].numpy() < limits[0]).any()
    assert (free["exp"].numpy() > limits[1]).any()
    np.testing.assert_allclose(inside["exp"], np.clip(free["exp"], *limits), atol=1e-6)
    for key in ("eyelid", "jaw"):
        np.testing.assert_array_equal(inside[key], free[key])
    assert expected_shapes(kept) == expected_shapes(model)
    assert kept.get_layer(layer.name) is layer
    assert mobilenet_v3.kept_in_range(keras, kept, limits) is kept
    assert mobilenet_v3.kept_in_range(keras, model, None) is model
    with pytest.raises(UserError, match=r"are kept to .*, those of this head to \(0.0, 0.5\)"):
        mobilenet_v3.kept_in_range(keras, kept, (0.0, 0.5))
    bare = keras.Model(model.input, model.output["exp"])
    with pytest.raises(UserError, match="gives no expression under the name exp"):
        mobilenet_v3.kept_in_range(keras, bare, limits)


def test_untrained_mobile_trio_starts_at_a_lit_mean_face():
    out = mobilenet_v3.shape_encoder(keras, n_shape=100)(IMAGES)
    assert np.abs(out["shape"]).max() == np.abs(out["tex"]).max() == 0
    np.testing.assert_allclose(out["light"][0, :3] * 0.2820948, 1, rtol=1e-5)


def test_detail_generator_keeps_eps_08_and_the_channels_first_view():
    model = seed_weights(detail.detail_generator(keras), "D_detail.")
    assert parameters(model) == 1_773_345
    jaw, exp, code = (VALUES[f"detail/{name}"] for name in ("jaw", "exp", "detail"))
    uv_z = model(detail.detail_latent(np.concatenate([np.ones_like(jaw), jaw], 1), exp, code))
    assert np.abs(uv_z).max() < 0.01
    np.testing.assert_allclose(uv_z[:, ::8, ::8], VALUES["detail/uv_z_probe"], atol=1e-7)
    np.testing.assert_allclose(uv_z[:, -6:, -6:], VALUES["detail/uv_z_corner"], atol=1e-7)


def test_relu3_2_is_the_relu_after_the_first_convolution_of_block_3():
    out = seed_weights(vgg.vgg19_features(keras), "vgg19.")(VALUES["loss/in/mrf_img_gen"].transpose(0, 2, 3, 1))
    for name in ("relu3_2", "relu4_2"):
        np.testing.assert_allclose(out[name][..., :16], VALUES[f"loss/out/vgg19_{name}"], rtol=1e-4, atol=1e-4)


def test_absent_vgg_weights_are_reported_in_one_line():
    with pytest.raises(UserError, match="ID-MRF detail loss needs torchvision's VGG19"):
        vgg.load_vgg19(keras, None)


@pytest.mark.parametrize(
    "build",
    [
        lambda k: resnet.resnet50_encoder(k, 50, stages=((8, 1), (8, 2)), hidden=16),
        lambda k: emotion_mobilenet(k, "small"),
        lambda k: detail.detail_generator(k, start=8, widths=(4, 2)),
    ],
)
def test_tf_keras_twin_takes_the_same_weights_and_gives_the_same_outputs(build):
    import tf_keras

    ours = seed_weights(build(keras), "twin.")
    twin = build(tf_keras)
    twin.set_weights(ours.get_weights())
    inputs = IMAGES[:1] if len(ours.input_shape) == 4 else np.ones((1, 181), np.float32)
    a, b = ours(inputs), twin(inputs)
    for key in a if isinstance(a, dict) else [...]:
        np.testing.assert_allclose(a[key], b[key], rtol=1e-4, atol=1e-5)
