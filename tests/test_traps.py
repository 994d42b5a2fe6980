"""The twenty traps of the original, one test each (specification section 10).

Here a network or a formula is held to them; what an importer must do about 1, 4, 5, 17 and 20 is tested with it.
"""

from __future__ import annotations

import pickle
import sys
from types import ModuleType, SimpleNamespace

import keras
import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf

from emoca_tf import losses
from emoca_tf.emotion.recognition import emotion_mobilenet, emotion_resnet50
from emoca_tf.encoders import detail, mobilenet_v3, vgg
from emoca_tf.encoders.expression import expression_layout
from emoca_tf.encoders.resnet import resnet50_encoder
from emoca_tf.faces.crop import crop_from_box, crop_from_landmarks
from emoca_tf.flame.head import HeadModel
from emoca_tf.flame.layer import contour_row
from emoca_tf.flame.rotations import rodrigues, yaw_degrees
from emoca_tf.io.npz import write_npz
from emoca_tf.io.pickled_arrays import as_array
from emoca_tf.io.safe_pickle import read_pickle
from emoca_tf.model import Emoca
from emoca_tf.rendering import displacement
from emoca_tf.rendering.albedo import AlbedoModel
from emoca_tf.rendering.camera import project
from emoca_tf.rendering.rasterizer import rasterize
from emoca_tf.rendering.renderer import Renderer
from emoca_tf.rendering.shading import spherical_harmonics
from training.config import Config
from training.stages.emotion import Emotion
from training.stages.face_terms import FaceTerms

SMALL = {"stages": ((4, 1), (4, 1)), "hidden": 8}
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.random((2, 224, 224, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def emoca():
    return Emoca(**SMALL)


def test_trap_01_released_expression_network_has_50_outputs_and_no_jaw(emoca):
    assert [expression_layout(n) for n in (50, 53, 56)] == ["exp", "exp+jaw", "exp+pose"]
    assert emoca.E_expression.output_shape == (None, 50)
    codes = emoca.encode(IMAGES)
    np.testing.assert_allclose(codes.pose, emoca.E_flame(IMAGES)[:, 200:206], atol=1e-6)


@pytest.mark.parametrize(
    ("model", "first"),
    [
        (lambda: resnet50_encoder(keras, 236, **SMALL), "encoder.conv1"),
        (lambda: emotion_resnet50(keras, stages=SMALL["stages"]), "backbone.conv1"),
        (lambda: mobilenet_v3.pose_encoder(keras), "encoder.conv_stem"),
        (lambda: emotion_mobilenet(keras, "small"), "backbone.conv_stem"),
    ],
)
def test_trap_02_pictures_are_not_normalised(model, first):
    """The first convolution sees the RGB values 0..1 themselves."""
    model = model()
    layer = model.get_layer(first)
    x = np.pad(IMAGES, [(0, 0), (3, 3), (3, 3), (0, 0)]) if first.endswith("conv1") else IMAGES
    padding = "VALID" if first.endswith("conv1") else "SAME"
    by_hand = tf.nn.conv2d(x, layer.kernel, 2, padding)
    got = keras.Model(model.input, layer.output)(IMAGES)
    np.testing.assert_allclose(got, by_hand, atol=1e-5)


def test_trap_03_crop_ends_at_223_and_enlarges_landmark_boxes_only():
    corners = np.array([[100.0, 50], [200, 170]])
    from_points, from_box = crop_from_landmarks(corners), crop_from_box((100, 50, 200, 170))
    for crop, zoom, x, y in (
        (from_points, 1.4768212, -110.0231788, -50.9503311),
        (from_box, 1.6277372, -132.6605839, -89.0372263),
    ):
        np.testing.assert_allclose(crop.matrix, [[zoom, 0, x], [0, zoom, y], [0, 0, 1]], atol=1e-6)
    np.testing.assert_allclose(from_points.points_to_crop(np.array([[150 - 75.5, 110 - 75.5]])), 0, atol=1e-9)
    np.testing.assert_allclose(from_points.points_to_crop(np.array([[150 + 75.5, 110 + 75.5]])), 223, atol=1e-9)


def test_trap_04_two_resnet_layouts_differ_in_stride_and_pool():
    torchvision = resnet50_encoder(keras, 5, **SMALL)
    caffe = emotion_resnet50(keras, stages=SMALL["stages"])
    for model, prefix, strides in ((torchvision, "encoder.", (1, 2)), (caffe, "backbone.", (2, 1))):
        block = [model.get_layer(f"{prefix}layer2.0.conv{n}").strides for n in (1, 2)]
        assert block == [(strides[0],) * 2, (strides[1],) * 2]
    ramp = np.arange(112.0, dtype=np.float32)[None, :, None, None] * np.ones((1, 1, 112, 64), np.float32)
    for model, prefix, first, last in ((torchvision, "encoder.", 1, 111), (caffe, "backbone.", 2, 111)):
        pad, pool = (model.get_layer(f"{prefix}maxpool{part}") for part in (".pad", ""))
        pooled = pool(pad(ramp)).numpy()[0, :, 5, 0]
        assert (len(pooled), pooled[0], pooled[-1]) == (56, first, last)


def test_trap_05_detail_generator_eps_view_and_order():
    model = detail.detail_generator(keras, start=4, widths=(4, 2))
    norms = [layer.epsilon for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert norms == [1e-5, 0.8, 0.8]
    dense = model.get_layer("l1.0")
    dense.set_weights([np.zeros(dense.kernel.shape), np.arange(256.0)])
    start = keras.Model(model.input, model.get_layer("l1.permute").output)(np.zeros((1, 181)))
    assert start[0, 3, 5, 2] == 2 * 64 + 3 * 8 + 5  # channel, row, column
    pose, exp, code = np.full((1, 6), 1.0), np.full((1, 50), 2.0), np.full((1, 128), 3.0)
    pose[:, 3:] = 4
    assert detail.detail_latent(pose, exp, code)[0].numpy().tolist() == [4.0] * 3 + [2.0] * 50 + [3.0] * 128


def test_trap_06_camera_translates_then_scales_and_never_moves_its_input():
    point = tf.constant([[[0.1, -0.2, 0.05]]])
    cam = tf.constant([[8.0, 0.01, -0.02]])
    np.testing.assert_allclose(project(point, cam)[0, 0], [0.88, 1.76, -0.40], atol=1e-6)
    np.testing.assert_allclose(project(point, cam)[0, 0], [0.88, 1.76, -0.40], atol=1e-6)  # no +10 left behind
    np.testing.assert_allclose(point[0, 0], [0.1, -0.2, 0.05])


@pytest.mark.parametrize(("turn", "row"), [(0.3, 17), (-0.3, 56), (-1.0, 78), (1.0, 39)])
def test_trap_07_contour_yaw_has_decas_sign(turn, row):
    yaw = yaw_degrees(rodrigues(tf.constant([[0.0, turn, 0.0]])))
    assert int(contour_row(yaw)[0]) == row


def test_trap_08_albedo_is_every_second_texel_and_bgr(tmp_path):
    mean = RANDOM.random((512, 512, 3))
    write_npz(tmp_path / "bfm.npz", {"MU": mean.reshape(1, -1), "PC": np.zeros((mean.size, 1), np.float32)})
    got = AlbedoModel.from_official(tmp_path / "bfm.npz").mean
    np.testing.assert_allclose(got[7, 9], mean[14, 18, ::-1], rtol=1e-6)


def test_trap_09_regularisers_sum_over_the_batch_and_say_so():
    codes = tf.constant(RANDOM.normal(size=(2, 50)), tf.float32)
    twice = tf.concat([codes, codes], 0)
    maps = tf.constant(RANDOM.normal(size=(2, 16, 16, 1)), tf.float32)
    for sums, once, doubled in (
        (losses.code_regulariser, (codes,), (twice,)),
        (losses.displacement_symmetry, (maps, maps), (tf.concat([maps, maps], 0),) * 2),
    ):
        np.testing.assert_allclose(sums(*doubled), 2 * sums(*once), rtol=1e-5)
        np.testing.assert_allclose(sums(*doubled, reduction="mean"), sums(*once, reduction="mean"), rtol=1e-5)
    light = tf.reshape(codes[:, :27], [2, 9, 3])
    np.testing.assert_allclose(
        losses.light_regulariser(tf.concat([light, light], 0)), losses.light_regulariser(light), rtol=1e-5
    )


def test_trap_10_absolute_landmarks_are_off_in_the_coarse_stage():
    weights = Config().weights
    assert weights.landmarks == weights.landmarks_mp == 0
    assert (weights.eye_closure, weights.mouth_closure, weights.lip_corner) == (0.5, 0.5, 0.5)
    moved = tf.constant(RANDOM.uniform(-1, 1, (1, 68, 2)), tf.float32)
    for distance in (losses.eye_closure, losses.mouth_closure, losses.lip_corners):
        np.testing.assert_allclose(distance(moved + 0.3, moved), 0, atol=1e-6)


def test_trap_11_emotion_loss_is_the_mse_of_features_of_the_photo_and_of_the_head_on_black():
    photo, head = (tf.constant(RANDOM.normal(size=(3, 2048)), tf.float32) for _ in range(2))
    np.testing.assert_allclose(losses.emotion_features(photo, head), np.mean((photo - head) ** 2), rtol=1e-5)
    config = Config()
    assert config.weights.emotion == 1
    assert (config.background, config.use_seg) == ("black", "rend")
    mask = np.zeros((2, 224, 224, 1), np.float32)
    mask[:, 50:150, 50:150] = 1
    view = SimpleNamespace(rendered=SimpleNamespace(image=tf.ones((2, 224, 224, 3))))
    drawn = FaceTerms.composite(SimpleNamespace(config=config), view, tf.constant(IMAGES), tf.constant(mask))
    np.testing.assert_array_equal(drawn, np.broadcast_to(mask, drawn.shape))


def test_trap_12_emotion_head_is_trained_and_lids_face_each_other_unless_asked_otherwise():
    trained, frozen = (
        {variable.path for variable in Emotion(Config(stage="emotion", family="mobilenet_v3", freeze_head=f)).learnt()}
        for f in (False, True)
    )
    assert trained - frozen
    assert all("linear" in path for path in trained - frozen)
    assert Config().eyelid_pairs == "paired"
    indices = np.arange(478)
    truth = tf.constant(RANDOM.uniform(-1, 1, (1, 478, 2)), tf.float32)
    upper, lower = losses.distances.EYES_MEDIAPIPE
    shut = truth.numpy()
    shut[:, list(lower)] = shut[:, list(upper)]
    nowhere = tf.zeros_like(truth)
    measured = {
        pairing: float(losses.eye_closure_mediapipe(tf.constant(shut), nowhere, indices, pairing))
        for pairing in ("paired", "sorted")
    }
    assert measured["paired"] < 1e-5  # the lids touch
    assert measured["sorted"] > 0.1  # the sorted lists see open eyes there


def test_trap_13_distances_have_finite_gradients_at_zero():
    closed = tf.zeros([1, 68, 2])
    open_ = tf.constant(RANDOM.uniform(-1, 1, (1, 68, 2)), tf.float32)
    for distance in (losses.eye_closure, losses.mouth_closure, losses.lip_corners):
        with tf.GradientTape() as tape:
            tape.watch(closed)
            value = distance(closed, open_)
        assert np.isfinite(tf.convert_to_tensor(tape.gradient(value, closed))).all()


def test_trap_14_mrf_layers_are_the_relus_after_the_first_convolution_of_their_block():
    taps = vgg.vgg19_features(keras).output
    sources = {name: tap._keras_history.operation.name for name, tap in taps.items()}
    # torchvision counts: block 3 begins with the convolution features.10, block 4 with features.19.
    assert sources == {"relu3_2": "features.11", "relu4_2": "features.20"}


def test_trap_15_emoca_omits_the_coarse_normals_outside_the_mask():
    y, x = np.mgrid[0:24, 0:24].astype(np.float32)
    surface = tf.constant(np.stack([x, -y, 0.1 * x * y], -1)[None])
    coarse = tf.one_hot(np.full((1, 24, 24), 1), 3)
    mask = np.zeros((24, 24), np.float32)
    zero = tf.zeros((1, 24, 24, 1))
    deca = displacement.displaced_normals(zero, surface, coarse, mask)
    emoca_s = displacement.displaced_normals(zero, surface, coarse, mask, composite=False)
    np.testing.assert_array_equal(deca, coarse)
    assert np.abs(emoca_s - coarse)[0, 8:16, 8:16].max() > 0.1


def test_trap_16_without_a_light_code_the_picture_is_bare_albedo():
    head = HeadModel.load("default")
    renderer = Renderer(head, size=32, uv_size=16)
    vertices, cam = tf.constant(head.v_template[None]), tf.constant([[7.0, 0, 0]])
    albedo = tf.fill((1, 16, 16, 3), 0.5)
    bare = renderer(vertices, cam, albedo=albedo)
    assert bare.alpha.numpy().sum() > 100
    np.testing.assert_array_equal(bare.shading, np.ones_like(bare.shading))
    np.testing.assert_allclose(bare.image, bare.albedo * bare.alpha, atol=1e-6)
    light = tf.constant(np.r_[[[2.0] * 3], np.zeros((8, 3))][None], tf.float32)
    lit = renderer(vertices, cam, albedo=albedo, light=light)
    np.testing.assert_allclose(lit.image, bare.image * 2 * 0.2820948, atol=1e-5)


def test_trap_17_flames_pickle_holds_chumpy_and_scipy_objects(monkeypatch):
    """Both are read as arrays although neither package is asked for anything."""
    chumpy = ModuleType("chumpy.ch")
    chumpy.Ch = type("Ch", (), {"__module__": "chumpy.ch"})
    variable = chumpy.Ch()
    variable.x = RANDOM.random((4, 3))
    regressor = scipy.sparse.csc_matrix(np.array([[0.25, 0.0, 0.75], [0.0, 1.0, 0.0]]))
    with monkeypatch.context() as patched:
        for name in ("chumpy", "chumpy.ch"):
            patched.setitem(sys.modules, name, chumpy)
        data = pickle.dumps({"v_template": variable, "J_regressor": regressor}, protocol=2)
    assert "chumpy.ch" not in sys.modules
    stored, _ = read_pickle(data, "model.pkl")
    np.testing.assert_array_equal(as_array(stored["v_template"], "model.pkl"), variable.x)
    np.testing.assert_array_equal(as_array(stored["J_regressor"], "model.pkl"), regressor.toarray())


def test_trap_18_shape_is_decas_by_construction(emoca):
    coarse = emoca.E_flame(IMAGES)
    for layer in emoca.E_expression.layers:
        layer.set_weights([weight + 1 for weight in layer.get_weights()])
    np.testing.assert_allclose(emoca.encode(IMAGES).shape, coarse[:, :100], atol=1e-6)


def test_trap_19_weights_carry_1e_8_and_a_centre_on_an_edge_is_outside():
    # Pixel centres of a 4 x 4 picture are at -0.75, -0.25, 0.25, 0.75; one edge runs through x = -0.25.
    points = tf.constant([[[-0.25, -2.0, 1.0], [2.0, -2.0, 1.0], [-0.25, 2.0, 1.0]]])
    seen = rasterize(points, np.array([[0, 1, 2]], np.int32), (4, 4))
    assert (seen.triangle_id[0].numpy() >= 0)[0].tolist() == [False, False, True, True]
    small = tf.constant([[[-0.26, -0.26, 1.0], [-0.24, -0.26, 1.0], [-0.25, -0.24, 1.0]]])
    seen = rasterize(small, np.array([[0, 1, 2]], np.int32), (4, 4))
    area = 0.02 * 0.02
    excess = abs(float(tf.reduce_sum(seen.weights[0, 1, 1])) - 1)  # the sign is that of the triangle's orientation
    assert excess == pytest.approx(1e-8 / area, rel=0.1)


def test_trap_20_resnets_take_224_only(emoca):
    with pytest.raises(ValueError, match="224"):
        emoca.E_flame(np.zeros((1, 256, 256, 3), np.float32))


def test_spherical_harmonics_of_the_specification():
    """Section 11: the order of the nine bands and their constants."""
    light = 0.1 * np.arange(1, 10)[:, None] + 0.01 * np.arange(3)[None]
    shading = spherical_harmonics(tf.constant([[[[0.36, 0.48, 0.8]]]]), tf.constant(light[None], tf.float32))
    np.testing.assert_allclose(shading[0, 0, 0], [1.2002859, 1.2289850, 1.2576840], rtol=1e-5)
