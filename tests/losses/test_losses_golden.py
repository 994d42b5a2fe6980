"""Every loss equals the official functions on the golden inputs: values and gradients."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from emoca_tf import losses
from emoca_tf.losses.detail import face_patch, unreliable
from emoca_tf.losses.distances import EYES_MEDIAPIPE
from emoca_tf.losses.idmrf import mrf

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "losses.npz")
Loss = Callable[[tf.Tensor], tf.Tensor]


def given(name: str) -> tf.Tensor:
    """A golden input; maps are stored channels first."""
    value = GOLDEN[f"in/{name}"]
    return tf.constant(value.transpose(0, 2, 3, 1) if value.ndim == 4 else value)


def check(name: str, loss: Loss, predicted: tf.Tensor, tolerance: float = 1e-5) -> None:
    """Value, norm of the gradient, and the gradient where the file has it."""
    with tf.GradientTape() as tape:
        tape.watch(predicted)
        value = loss(predicted)
    gradient = tape.gradient(value, predicted).numpy()
    np.testing.assert_allclose(value.numpy(), GOLDEN[f"out/{name}"][0], rtol=tolerance)
    norm = GOLDEN[f"gradnorm/{name}"][0]
    np.testing.assert_allclose(np.linalg.norm(gradient), norm, rtol=tolerance)
    if f"grad/{name}" in GOLDEN:
        expected = GOLDEN[f"grad/{name}"]
        expected = expected.transpose(0, 2, 3, 1) if expected.ndim == 4 else expected
        np.testing.assert_allclose(gradient, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())


FAN = {
    "weighted_landmark": lambda p: losses.weighted_landmarks(p, given("gt68"), given("gt68")[..., 2]),
    "weighted_landmark_vis": lambda p: losses.weighted_landmarks(p, given("gt68"), given("vis68")),
    "weighted_landmark_2col": lambda p: losses.weighted_landmarks(p, given("gt68")[..., :2]),
    "eyed": lambda p: losses.eye_closure(p, given("gt68")),
    "lipd": lambda p: losses.mouth_closure(p, given("gt68")),
    "mouth_corner": lambda p: losses.lip_corners(p, given("gt68")),
}


@pytest.mark.parametrize("project", ["deca", "emoca"])
@pytest.mark.parametrize("name", FAN)
def test_landmark_losses_of_68_points(project: str, name: str) -> None:
    if f"out/{project}/{name}" not in GOLDEN:
        pytest.skip("DECA has no such loss")
    check(f"{project}/{name}", FAN[name], given("pred68"))


INDICES = GOLDEN["in/mp_indices"]
MEDIAPIPE = {
    "landmark": lambda p: losses.mediapipe_landmarks(p, given("gt478"), INDICES),
    "eyed_sorted": lambda p: losses.eye_closure_mediapipe(p, given("gt478"), INDICES, "sorted"),
    "eyed_paired": lambda p: losses.eye_closure_mediapipe(p, given("gt478"), INDICES),
    "lipd": lambda p: losses.mouth_closure_mediapipe(p, given("gt478"), INDICES),
    "mouth_corner": lambda p: losses.lip_corners_mediapipe(p, given("gt478"), INDICES),
}


@pytest.mark.parametrize("name", MEDIAPIPE)
def test_landmark_losses_of_mediapipe_points(name: str) -> None:
    check(f"mp/{name}", MEDIAPIPE[name], given("pred105"))


def test_the_release_sorts_the_eyelid_lists() -> None:
    upper, lower = EYES_MEDIAPIPE
    assert sorted(upper) == GOLDEN["mp/eyed_upper_sorted"].tolist()
    assert sorted(lower) == GOLDEN["mp/eyed_lower_sorted"].tolist()


@pytest.mark.parametrize(
    "normalisation", ["mean", "rel_mask_value", "neg_rel_mask_value", "inv_rel_mask_value", "abs_mask_value"]
)
def test_photometric(normalisation: str) -> None:
    check(
        f"photometric/{normalisation}",
        lambda p: losses.photometric(p, given("img"), given("mask"), normalisation),
        given("pred"),
    )


REGULARISERS: dict[str, tuple[str, Loss]] = {
    "shape_unweighted": ("shape", losses.code_regulariser),
    "exp_unweighted": ("exp", losses.code_regulariser),
    "tex_unweighted": ("tex", losses.code_regulariser),
    "light_unweighted": ("light", losses.light_regulariser),
    "deca_jaw_unweighted": ("jaw", lambda p: losses.code_deviation(p, given("jaw_orig"))),
    "jaw_euler_roll_x100": ("jaw", lambda p: losses.jaw_regulariser(p * [0.0, 0.0, 1.0])),
    "jaw_euler_close_x10": ("jaw", lambda p: losses.jaw_regulariser(p * [1.0, 0.0, 0.0])),
}


@pytest.mark.parametrize("name", REGULARISERS)
def test_regularisers(name: str) -> None:
    group, loss = REGULARISERS[name]
    check(f"reg/{name}", loss, given(group))


def test_regularisers_by_face_do_not_depend_on_the_batch_size() -> None:
    once, twice = given("shape"), tf.concat([given("shape")] * 2, 0)
    for loss in (losses.code_regulariser, lambda c, r: losses.jaw_regulariser(c[:, :3], r)):
        np.testing.assert_allclose(loss(once, "mean"), loss(twice, "mean"), rtol=1e-6)
        np.testing.assert_allclose(2 * loss(once, "sum"), loss(twice, "sum"), rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "distance"),
    [
        ("feat_mse", "mse"),
        ("feat_l1_default", "l1"),
        ("feat_cosine", "cosine"),
        ("feat_mse_normalized", "mse_normalised"),
    ],
)
def test_emotion_feature_distances(name: str, distance: str) -> None:
    def loss(predicted: tf.Tensor) -> tf.Tensor:
        return losses.emotion_features(given("emo_in")[:, :2048], predicted[:, :2048], distance)

    check(f"emotion/{name}", loss, given("emo_pred"), tolerance=3e-5 if distance == "mse_normalised" else 1e-5)


@pytest.mark.parametrize(
    ("name", "columns"),
    [("valence_l1", slice(2048, 2049)), ("arousal_l1", slice(2049, 2050)), ("expr_l1", slice(2050, 2058))],
)
def test_emotion_readouts(name: str, columns: slice) -> None:
    check(
        f"emotion/{name}",
        lambda p: losses.emotion_readouts(given("emo_in")[:, columns], p[:, columns]),
        given("emo_pred"),
    )


def test_mrf_of_one_layer() -> None:
    check("idmrf/features", lambda p: mrf(p, given("mrf_tar")), given("mrf_gen"), tolerance=1e-4)


def test_mrf_of_the_specification() -> None:
    generated = tf.reshape(tf.range(12, dtype=tf.float32) / 11, (3, 2, 2))
    target = tf.reshape(0.5 * tf.cos(tf.range(12, dtype=tf.float32)) + 0.5, (3, 2, 2))
    maps = [tf.transpose(m, (1, 2, 0))[None] for m in (generated, target)]
    np.testing.assert_allclose(mrf(*maps), 1.3351334, rtol=1e-5)
    np.testing.assert_allclose(mrf(maps[1], maps[1]), 0, atol=1e-5)


def test_displacement_terms() -> None:
    check("detail/z_reg_unweighted", losses.displacement_regulariser, given("uv_z"))
    check("detail/z_diff_unweighted", losses.displacement_smoothness, given("uv_shading"))
    check("detail/z_sym_unweighted", lambda p: losses.displacement_symmetry(p, given("uv_vis")), given("uv_z"))
    hidden = GOLDEN["out/detail/nonvis_mask"].transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(unreliable(given("uv_vis")), hidden)


def test_detail_l1_on_the_face_patch() -> None:
    predicted = tf.constant(GOLDEN["in/tex_pred_u8"][None] / np.float32(255))
    truth = tf.constant(GOLDEN["in/tex_gt_u8"][None] / np.float32(255))
    visible = tf.cast(given("tex_vis"), tf.float32)
    np.testing.assert_allclose(face_patch(predicted)[0, ::16, ::16], GOLDEN["out/detail/patch_probe"], atol=1e-6)
    check("detail/photo_l1_unweighted", lambda p: losses.detail_l1(p, truth, visible), predicted)


RECOGNITION: dict[str, Loss] = {
    "v_mse": lambda p: losses.mean_squared_error(given("er_gt")[:, 0], p[:, 0]),
    "a_mse": lambda p: losses.mean_squared_error(given("er_gt")[:, 1], p[:, 1]),
    "va_lpcc": lambda p: sum(losses.pearson_loss(given("er_gt")[:, k], p[:, k]) for k in (0, 1)) / 2,
    "va_lccc": lambda p: sum(losses.concordance_loss(given("er_gt")[:, k], p[:, k]) for k in (0, 1)) / 2,
}


@pytest.mark.parametrize("name", RECOGNITION)
def test_valence_and_arousal_losses(name: str) -> None:
    check(f"er/{name}", RECOGNITION[name], given("er_pred"))


def test_expression_cross_entropy() -> None:
    check("er/nll", lambda p: losses.expression_cross_entropy(given("er_label"), p), given("er_logits"))
