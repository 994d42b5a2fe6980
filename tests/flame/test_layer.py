"""The FLAME layer against numbers of the official code on a synthetic head."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers_flame import GOLDEN, golden_head

from emoca_tf.flame.head import HeadModel
from emoca_tf.flame.layer import Flame, contour_row
from emoca_tf.flame.rotations import rodrigues, yaw_degrees

INPUTS = ("shape", "exp", "pose", "neck_pose", "eye_pose")


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "flame_expected.npz") as stored:
        return {name: stored[name] for name in stored.files}


@pytest.fixture(scope="module")
def flame() -> Flame:
    return Flame(golden_head())


def test_vertices_joints_and_landmarks_are_the_official_ones(flame: Flame, golden: dict[str, np.ndarray]) -> None:
    out = flame(*(golden[name] for name in INPUTS))
    np.testing.assert_allclose(out.vertices.numpy()[:, ::7], golden["vertices"], atol=1e-6)
    np.testing.assert_allclose(out.joints, golden["joints"], atol=1e-6)
    np.testing.assert_allclose(out.landmarks2d, golden["landmarks2d"], atol=1e-6)
    np.testing.assert_allclose(out.landmarks3d, golden["landmarks3d"], atol=1e-6)
    np.testing.assert_allclose(out.landmarks_mp, golden["landmarks_mp"], atol=1e-6)


def test_gradients_are_the_official_ones(flame: Flame, golden: dict[str, np.ndarray]) -> None:
    names = ("shape", "exp", "pose", "neck", "eye")
    for row, case in enumerate(golden["grad_case"]):
        inputs = [tf.constant(golden[name][case : case + 1]) for name in INPUTS]
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            value = tf.reduce_sum(flame(*inputs).vertices ** 2)
        for name, gradient in zip(names, tape.gradient(value, inputs), strict=True):
            expected = golden[f"grad_{name}"][row]
            np.testing.assert_allclose(gradient[0], expected, atol=1e-4 * np.abs(expected).max() + 1e-6)


def test_contour_gradient_goes_through_the_weights_not_the_row(flame: Flame, golden: dict[str, np.ndarray]) -> None:
    inputs = [tf.constant(golden[name][:8]) for name in INPUTS]
    with tf.GradientTape() as tape:
        tape.watch(inputs[2])
        value = tf.reduce_sum(flame(*inputs).landmarks2d ** 2)
    expected = golden["grad_lmk2d_pose"]
    np.testing.assert_allclose(tape.gradient(value, inputs[2]), expected, atol=1e-4 * np.abs(expected).max())


def test_trap_7_contour_rows_follow_decas_yaw_sign(golden: dict[str, np.ndarray]) -> None:
    turned = rodrigues(tf.constant([[0, 0.3, 0], [0, -0.3, 0], [0, -1.0, 0], [0, 1.0, 0]], tf.float32))
    assert contour_row(yaw_degrees(turned)).numpy().tolist() == [17, 56, 78, 39]
    np.testing.assert_array_equal(contour_row(tf.constant(golden["contour_yaw_deg"])), golden["contour_row"])


def test_rodrigues_matches_the_official_one_and_tensorflow_graphics(golden: dict[str, np.ndarray]) -> None:
    from tensorflow_graphics.geometry.transformation import rotation_matrix_3d

    np.testing.assert_allclose(rodrigues(tf.constant(golden["rodrigues_in"])), golden["rodrigues_out"], atol=1e-6)
    vectors = tf.random.stateless_normal((20, 3), (1, 2))
    angle = tf.norm(vectors, axis=-1, keepdims=True)
    oracle = rotation_matrix_3d.from_axis_angle(vectors / angle, angle)
    np.testing.assert_allclose(rodrigues(vectors), oracle, atol=1e-6)


def test_gradient_at_the_rest_pose_is_finite_and_right(flame: Flame) -> None:
    pose = tf.zeros((1, 6))

    def value(p: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(flame(tf.zeros((1, 100)), tf.zeros((1, 50)), p).vertices ** 2)

    with tf.GradientTape() as tape:
        tape.watch(pose)
        total = value(pose)
    gradient = tape.gradient(total, pose).numpy()[0]
    assert np.isfinite(gradient).all()
    step = 1e-2
    for axis in range(6):
        offset = tf.one_hot([axis], 6) * step
        difference = (value(pose + offset) - value(pose - offset)).numpy() / (2 * step)
        assert gradient[axis] == pytest.approx(difference, abs=2e-2 * np.abs(gradient).max() + 5e-3)


def test_zero_codes_give_the_template_for_both_heads(flame: Flame) -> None:
    for layer, head in ((flame, golden_head()), (Flame(HeadModel.load()), HeadModel.load())):
        out = layer(tf.zeros((2, head.n_shape)), tf.zeros((2, head.n_exp)), tf.zeros((2, 6)))
        np.testing.assert_allclose(out.vertices[1], head.v_template, atol=1e-6)


def test_a_batch_equals_its_rows(flame: Flame, golden: dict[str, np.ndarray]) -> None:
    whole = flame(*(golden[name] for name in INPUTS)).vertices
    for row in (0, 5, 14):
        single = flame(*(golden[name][row : row + 1] for name in INPUTS)).vertices
        np.testing.assert_allclose(single[0], whole[row], atol=1e-6)


def test_a_saved_model_carries_its_head(tmp_path: Path, flame: Flame, golden: dict[str, np.ndarray]) -> None:
    inputs = [keras.Input((size,)) for size in (100, 50, 6)]
    model = keras.Model(inputs, flame(*inputs).vertices)
    model.save(tmp_path / "flame.keras")
    again = keras.saving.load_model(tmp_path / "flame.keras", safe_mode=True)
    codes = [golden[name][:2] for name in INPUTS[:3]]
    np.testing.assert_array_equal(again(codes), model(codes))


def test_codes_of_another_width_are_refused(flame: Flame) -> None:
    with pytest.raises(ValueError, match=r"exp codes have shape \(1, 49\), this head takes \[B, 50\]"):
        flame(tf.zeros((1, 100)), tf.zeros((1, 49)), tf.zeros((1, 6)))
    with pytest.raises(ValueError, match="no eyelid shapes"):
        flame(tf.zeros((1, 100)), tf.zeros((1, 50)), tf.zeros((1, 6)), eyelid=tf.zeros((1, 2)))


def test_the_layer_converts_to_tflite_and_says_the_same(flame: Flame, golden: dict[str, np.ndarray]) -> None:
    from ai_edge_litert.interpreter import Interpreter

    inputs = [
        keras.Input(batch_shape=(1, size), name=name) for name, size in zip(INPUTS, (100, 50, 6, 3, 6), strict=True)
    ]
    out = flame(*inputs)
    model = keras.Model(inputs, [out.vertices, out.landmarks2d, out.landmarks_mp])
    runner = Interpreter(model_content=tf.lite.TFLiteConverter.from_keras_model(model).convert()).get_signature_runner()
    codes = {name: golden[name][13:14] for name in INPUTS}
    found = {array.shape: array for array in runner(**codes).values()}
    for wanted in model(list(codes.values())):
        np.testing.assert_allclose(found[tuple(wanted.shape)], wanted, atol=1e-6)


def test_eyelids_move_what_their_shapes_say(flame: Flame) -> None:
    head = golden_head()
    shapes = np.random.default_rng(3).normal(size=(2, len(head.v_template), 3)).astype(np.float32) * 1e-3
    codes = (tf.zeros((2, 100)), tf.zeros((2, 50)), tf.zeros((2, 6)))
    closed = Flame(dataclasses.replace(head, eyelids=shapes))(*codes, eyelid=tf.constant([[1.0, 0], [0.5, -2]]))
    moved = closed.vertices - flame(*codes).vertices
    np.testing.assert_allclose(moved[0], shapes[0], atol=1e-6)
    np.testing.assert_allclose(moved[1], 0.5 * shapes[0] - 2 * shapes[1], atol=1e-6)


def test_gradients_of_every_input_agree_with_finite_differences(flame: Flame, golden: dict[str, np.ndarray]) -> None:
    inputs = [tf.constant(golden[name][13:14]) for name in INPUTS]
    weight = tf.random.stateless_normal((5023, 3), (1, 2))

    def value(*codes: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(tf.cast(flame(*codes).vertices * weight, tf.float64))

    with tf.GradientTape() as tape:
        tape.watch(inputs)
        total = value(*inputs)
    for i, gradient in enumerate(tape.gradient(total, inputs)):
        direction = tf.random.stateless_normal(inputs[i].shape, (3, i))
        ends = [value(*inputs[:i], inputs[i] + sign * 3e-3 * direction, *inputs[i + 1 :]) for sign in (1, -1)]
        slope = float(tf.reduce_sum(gradient * direction))
        assert slope == pytest.approx(float(ends[0] - ends[1]) / 6e-3, rel=1e-2, abs=1e-3), INPUTS[i]
