"""The renderer against recorded pictures and gradients of the original, and on hostile geometry."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from emoca_tf.errors import UserError
from emoca_tf.rendering.albedo import Albedo, AlbedoModel
from emoca_tf.rendering.camera import from_pixels, project, to_pixels
from emoca_tf.rendering.rasterizer import rasterize
from emoca_tf.rendering.renderer import Renderer
from emoca_tf.rendering.shading import directional, spherical_harmonics
from emoca_tf.rendering.texture import sample
from emoca_tf.rendering.uv_space import uv_table


@pytest.fixture(scope="module")
def outcome(data, head, expected):
    renderer = Renderer(head, uv_mask=np.ones((256, 256), np.float32))
    inputs = [tf.constant(data[name][None]) for name in ("verts", "cam", "light")]
    inputs.append(tf.constant(data["albedo_u8"][None] / np.float32(255)))
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        rendered = renderer(inputs[0], inputs[1], albedo=inputs[3], light=inputs[2])
        half = expected["weight_u8"] / np.float32(255) - np.float32(0.5)
        value = tf.reduce_mean(rendered.image * half) / 2  # the recorded mean was over two heads
    return rendered, tape.gradient(value, inputs), renderer.shape_image(inputs[0], inputs[1])


def test_triangle_ids_are_those_of_the_reference(outcome, expected):
    rendered = outcome[0]
    ids = np.where(rendered.alpha[0, ..., 0] > 0, rendered.triangle_id[0, ..., 0], -1)
    clear = np.unpackbits(expected["ambiguous"]).reshape(224, 224) == 0
    covered = expected["tri"] >= 0
    assert (ids == expected["tri"])[covered & clear].mean() >= 0.999
    assert ((ids >= 0) == covered).all()


def test_pictures_match_the_original(outcome, expected):
    rendered, _, preview = outcome
    np.testing.assert_allclose(rendered.image[0, ::4, ::4], expected["images"], atol=2e-4)
    np.testing.assert_allclose(rendered.grid[0, ::4, ::4], expected["grid"], atol=2e-4)
    np.testing.assert_allclose(rendered.normals[0, ::4, ::4], expected["normals"], atol=2e-4)
    np.testing.assert_allclose(preview[0, ::4, ::4, :1], expected["shape_images"], atol=2e-4)
    np.testing.assert_array_equal(rendered.pos_mask[0, ::2, ::2], expected["pos_mask"])


def test_gradients_match_the_original(outcome, expected):
    vertices, cam, light, albedo = (tf.convert_to_tensor(gradient)[0].numpy() for gradient in outcome[1])
    found = {"g_verts": vertices[::7], "g_cam": cam, "g_light": light, "g_albedo": albedo[::8, ::8]}
    for name, value in found.items():
        assert np.abs(value - expected[name]).max() <= 1e-3 * np.abs(expected[name]).max(), name


@pytest.mark.parametrize("textured", [True, False])
@pytest.mark.parametrize("lit", [True, False])
def test_the_picture_is_albedo_times_shading_times_alpha_with_the_same_gradients(data, head, textured, lit):
    renderer = Renderer(head, size=64, uv_size=16)
    inputs = {"vertices": data["verts"][None], "cam": data["cam"][None]}
    inputs |= {"albedo": data["albedo_u8"][None] / np.float32(255)} if textured else {}
    inputs |= {"light": data["light"][None]} if lit else {}
    inputs = {name: tf.constant(value) for name, value in inputs.items()}
    weight = tf.random.stateless_uniform([1, 64, 64, 3], [1, 2])

    def outcome(picture):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            image = picture(renderer(**inputs))
            total = tf.reduce_sum(image * weight)
        return image, tape.gradient(total, inputs, unconnected_gradients="zero")

    fused, gradients = outcome(lambda r: r.image)
    parts, wanted = outcome(lambda r: r.albedo * r.shading * r.alpha)
    np.testing.assert_allclose(fused, parts, atol=1e-6)
    for name, gradient in wanted.items():
        np.testing.assert_allclose(gradients[name], gradient, atol=2e-5 * np.abs(gradient).max() + 1e-7, err_msg=name)


def test_camera_and_light_match_the_original(expected):
    found = project(expected["camera_points"], expected["camera_cam"])
    np.testing.assert_allclose(found, expected["camera_projected"], atol=1e-5)
    normals = expected["sh_normals"].transpose(0, 2, 3, 1)
    shaded = spherical_harmonics(tf.constant(normals), expected["sh_lights"])
    np.testing.assert_allclose(shaded, expected["sh_shading"].transpose(0, 2, 3, 1), atol=1e-5)
    shaded = directional(tf.constant(expected["dirlight_normals"]), expected["dirlight_lights"])
    np.testing.assert_allclose(shaded, expected["dirlight_shading"], atol=1e-5)


def test_uv_table_matches_the_original(head, expected):
    found = uv_table(head).triangles[::2, ::2]
    clear = np.unpackbits(expected["uv_ambiguous"])[: found.size].reshape(found.shape) == 0
    assert (found == expected["uv_tri"])[clear].mean() >= 0.999


def test_pixels_and_image_space_are_inverse():
    points = np.array([[[-1.0, 1.0], [0.25, -0.5]]], np.float32)
    np.testing.assert_allclose(to_pixels(points)[0, 0], [0, 224])
    np.testing.assert_allclose(from_pixels(to_pixels(points)), points, atol=1e-6)


def small_scene():
    points = np.array([[-0.8, -0.7, 0], [0.9, -0.6, 0.2], [0.1, 0.8, 0.1]], np.float32)
    return points[None], np.array([[0, 1, 2]], np.int32)


def test_weights_gradient_agrees_with_finite_differences():
    points, faces = small_scene()
    weight = np.zeros((1, 9, 9, 3), np.float32)
    weight[0, 4, 4] = [1.0, -2.0, 0.5]  # an inner pixel: visibility does not change

    def value(p):
        return tf.reduce_sum(rasterize(p, faces, (9, 9)).weights * weight)

    variable = tf.Variable(points)
    with tf.GradientTape() as tape:
        result = value(variable)
    gradient = tape.gradient(result, variable).numpy()
    for index in np.ndindex(3, 2):
        step = np.zeros_like(points)
        step[(0, *index)] = 1e-2
        difference = (value(tf.constant(points + step)) - value(tf.constant(points - step))) / 2e-2
        assert float(difference) == pytest.approx(gradient[(0, *index)], abs=5e-3)


def test_texture_lookup_matches_hand_values_and_gives_both_gradients():
    texture = tf.Variable(np.arange(4, dtype=np.float32).reshape(1, 2, 2, 1))
    grid = tf.Variable(np.array([[[[0.0, 0.0], [-0.5, -0.5], [-1.0, -1.0], [5.0, 0.0]]]], np.float32))
    with tf.GradientTape() as tape:
        found = sample(texture, grid)
        inner = tf.reduce_sum(found[:, :, :1])
    np.testing.assert_allclose(found[0, 0, :, 0], [1.5, 0.0, 0.0, 0.0])
    by_texture, by_grid = tape.gradient(inner, [texture, grid])
    np.testing.assert_allclose(by_texture[0, ..., 0], np.full((2, 2), 0.25))
    np.testing.assert_allclose(by_grid[0, 0, 0], [1.0, 2.0])


@pytest.mark.parametrize("size", [(1, 1), (7, 13), (33, 20)])
def test_hostile_geometry_stays_finite(size):
    points, _ = small_scene()
    extra = np.array([[np.nan, 0, 0], [0, 0, -50], [9e9, 9e9, 0], [np.inf, 0, 0], [5, 5, 0]], np.float32)
    points = np.concatenate([points[0], extra])[None]
    faces = np.array([[0, 1, 2], [0, 1, 3], [0, 0, 1], [1, 4, 4], [5, 6, 7], [0, 1, 5]], np.int32)
    variable = tf.Variable(points)
    with tf.GradientTape() as tape:
        buffer = rasterize(variable, faces, size)
        total = tf.reduce_sum(buffer.weights)
    gradient = tf.convert_to_tensor(tape.gradient(total, variable))
    assert buffer.weights.shape == (1, *size, 3)
    assert np.isfinite(total)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("offset", [[0, 0, -20], [9, 0, 0]])
def test_scene_behind_or_outside_is_empty(offset):
    points, faces = small_scene()
    buffer = rasterize(tf.constant(points + np.array(offset, np.float32)), faces, (8, 8))
    assert float(tf.reduce_sum(buffer.mask)) == 0


def test_nearer_triangle_wins_whichever_comes_first():
    points, _ = small_scene()
    both = np.concatenate([points[0], points[0] - [0, 0, 1]]).astype(np.float32)[None]
    for faces, nearest in (([[0, 1, 2], [3, 4, 5]], 1), ([[3, 4, 5], [2, 1, 0]], 0)):
        buffer = rasterize(tf.constant(both), np.array(faces), (9, 9))
        assert int(buffer.triangle_id[0, 4, 4]) == nearest


@pytest.mark.parametrize("batch", [1, 32])
def test_batches_inside_a_compiled_function(data, head, batch):
    renderer = Renderer(head, size=31, uv_size=16)
    vertices = tf.tile(tf.constant(data["verts"][None]), [batch, 1, 1])
    cam = tf.tile(tf.constant(data["cam"][None]), [batch, 1])
    image = tf.function(lambda v, c: renderer(v, c).image)(vertices, cam)
    assert image.shape == (batch, 31, 31, 3)
    np.testing.assert_array_equal(image[0], image[-1])
    assert float(tf.reduce_max(image)) > 0


def test_renderer_learns_a_camera_in_keras_fit(data, head):
    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.renderer = Renderer(head, size=32, uv_size=16)
            self.shift = self.add_weight(shape=(3,), initializer="zeros", name="shift")

        def call(self, cam):
            vertices = tf.tile(tf.constant(data["verts"][None]), [tf.shape(cam)[0], 1, 1])
            albedo = tf.tile(tf.constant(data["albedo_u8"][None] / np.float32(255)), [tf.shape(cam)[0], 1, 1, 1])
            return self.renderer(vertices, cam + self.shift, albedo=albedo).image

    model = Model()
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mse")
    cam = np.tile(data["cam"], (4, 1))
    model.fit(cam, np.full((4, 32, 32, 3), 0.5, np.float32), batch_size=2, epochs=1, verbose=0)
    assert np.isfinite(model.shift.numpy()).all()
    assert np.abs(model.shift.numpy()).max() > 0


def test_head_without_texture_coordinates_is_refused(head):
    bare = SimpleNamespace(**{**vars(head), "uv": None})
    with pytest.raises(UserError, match="texture coordinates"):
        Renderer(bare)


def test_albedo_model_survives_saving_and_imports_the_official_layout(tmp_path):
    rng = np.random.default_rng(0)
    model = AlbedoModel("a", rng.random((256, 256, 3), np.float32), rng.random((256, 256, 3, 2), np.float32))
    model.save(tmp_path / "a.npz")
    back = AlbedoModel.load(tmp_path / "a.npz")
    np.testing.assert_allclose(back.mean, model.mean, atol=1 / 500)
    np.testing.assert_allclose(back.basis, model.basis, atol=1 / 200)
    mean, basis = rng.random((1, 512 * 512 * 3), np.float32), rng.random((512 * 512 * 3, 3), np.float32)
    np.savez(tmp_path / "bfm.npz", MU=mean, PC=basis)
    code = np.array([[1.0, -2.0, 0.5]], np.float32)
    texture = Albedo(AlbedoModel.from_official(tmp_path / "bfm.npz"))(code)
    wanted = (mean[0] + basis @ code[0]).reshape(512, 512, 3)[::2, ::2, ::-1]
    np.testing.assert_allclose(texture[0], wanted, atol=1e-5)
