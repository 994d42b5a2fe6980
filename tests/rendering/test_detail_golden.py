"""The detail branch against the original, from codes to displacement, normals, shading, texture and dense mesh."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers_networks import GOLDEN, seed_weights
from seeded import noise

from emoca_tf.encoders.detail import detail_generator, detail_latent
from emoca_tf.rendering import displacement as d
from emoca_tf.rendering.camera import project
from emoca_tf.rendering.normals import vertex_normals
from emoca_tf.rendering.renderer import Renderer
from emoca_tf.rendering.uv_space import uv_table

NORMALS_AT_SEAMS = 2e-3  # a texel on a seam may belong to either triangle


@pytest.fixture(scope="module")
def stored():
    with np.load(GOLDEN / "detail.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.fixture(scope="module")
def mask(stored):
    return stored["uv_mask_u8"] / np.float32(255)


@pytest.fixture(scope="module")
def uv_z(stored):
    generator = seed_weights(detail_generator(keras), "D_detail.")
    pose = np.concatenate([np.zeros_like(stored["jaw"]), stored["jaw"]], 1)
    return generator(detail_latent(pose, stored["exp"], stored["detail"]))[:1]


@pytest.fixture(scope="module")
def surface(head, data):
    """Coarse vertices and normals in UV space, and the table."""
    table = uv_table(head)
    vertices = tf.constant(data["verts"][None])
    normals = vertex_normals(vertices, head.f)
    return d.to_uv(vertices, *table[1:]), d.to_uv(normals, *table[1:]), table, normals


@pytest.fixture(scope="module")
def detailed(uv_z, surface, mask, stored):
    """EMOCA's normals, which the recorded shading was made from."""
    return d.displaced_normals(uv_z, surface[0], surface[1], mask, stored["fixed_displacement"], composite=False)


def assert_close(got, expected, atol, outliers=0.0):
    """Equal but for a small share of texels on seams, which stay near."""
    difference = np.abs(np.asarray(got) - expected).max(-1)
    assert (difference > atol).mean() <= outliers, f"{(difference > atol).mean():.5f} of the texels, {difference.max()}"


def test_coarse_surface_in_uv_space(surface, stored):
    clear = (np.unpackbits(stored["uv/ambiguous"]).reshape(256, 256) == 0)[::4, ::4]
    for got, name in ((surface[0], "uv/verts"), (surface[1], "uv/normals")):
        got = got.numpy()[0, ::4, ::4]
        np.testing.assert_allclose(got[clear], stored[name][clear], atol=1e-5)


def test_displacement_map_is_the_codes_plus_the_fixed_map(uv_z, stored):
    got = d.displacement_map(uv_z, stored["fixed_displacement"])
    np.testing.assert_allclose(got[0, ::4, ::4], stored["displacement_map"], atol=1e-7)


def test_detail_normals_with_and_without_the_coarse_composite(uv_z, surface, mask, stored, detailed):
    deca = d.displaced_normals(uv_z, surface[0], surface[1], mask, stored["fixed_displacement"])
    for got, name in ((deca, "detail_normals_deca"), (detailed, "detail_normals_emoca")):
        got = got.numpy()[0, ::4, ::4]
        assert_close(got, stored[name], NORMALS_AT_SEAMS, outliers=1e-3)
        assert np.abs(got - stored[name]).mean() < 1e-5


def test_gradient_of_the_normals_to_the_displacement(uv_z, surface, mask, stored):
    weight = noise("dt/w", (1, 3, 256, 256), 1, 0).astype(np.float32).transpose(0, 2, 3, 1)
    with tf.GradientTape() as tape:
        tape.watch(uv_z)
        normals = d.displaced_normals(uv_z, surface[0], surface[1], mask, stored["fixed_displacement"])
        value = tf.reduce_mean(normals * weight) / 2  # the recorded mean was over two heads
    got, expected = tape.gradient(value, uv_z).numpy()[0, ::8, ::8], stored["grad_normals/uv_z_probe"]
    assert np.linalg.norm(got - expected) <= 1e-3 * np.linalg.norm(expected)


def test_shading_and_detailed_picture(detailed, data, head, stored):
    light = tf.constant(data["light"][None])
    shading = d.detail_shading(detailed, light)
    assert_close(shading[0, ::4, ::4], stored["uv_shading_probe"], NORMALS_AT_SEAMS * 2, outliers=1e-3)
    albedo = tf.constant(data["albedo_u8"][None] / np.float32(255))
    rendered = Renderer(head)(data["verts"][None], data["cam"][None], albedo=albedo, light=light)
    picture = d.detail_image(albedo, shading, rendered.grid)
    assert_close(picture[0, ::4, ::4], stored["detailed_image_probe"], 2e-3, outliers=2e-3)


def test_photo_texture_and_its_visibility(surface, head, data, mask, stored):
    projected = project(tf.constant(data["verts"][None]), tf.constant(data["cam"][None]))
    table = surface[2]
    points = d.to_uv(projected, *table[1:])
    normals = d.to_uv(vertex_normals(projected, head.f), *table[1:])
    image = tf.constant(stored["image_u8"][None] / np.float32(255))
    seg = np.unpackbits(stored["seg_mask"]).reshape(1, 224, 224, 1).astype(np.float32)
    texture, visible = d.photo_texture(image, tf.constant(seg), points, normals, mask)
    assert_close(texture[0, ::4, ::4], stored["uv_texture_gt_probe"], 1e-4, outliers=1e-3)
    assert_close(visible[0, ::4, ::4], stored["uv_vis_mask"], 1e-4, outliers=2e-3)


def test_dense_mesh(uv_z, surface, data, stored):
    template = d.DenseTemplate(
        stored["dense_template/valid_pixel_ids"],
        stored["dense_template/valid_pixel_3d_faces"],
        stored["dense_template/valid_pixel_b_coords"],
        stored["dense_template/f"],
    )
    displacement = d.displacement_map(uv_z, stored["fixed_displacement"])[0]
    points, faces = d.upsample_mesh(data["verts"], surface[3][0], displacement, template)
    np.testing.assert_allclose(points, stored["dense/vertices"], atol=1e-6)
    np.testing.assert_array_equal(faces, stored["dense/faces"])
