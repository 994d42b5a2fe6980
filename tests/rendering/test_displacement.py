import numpy as np
import tensorflow as tf
import trimesh

from emoca_tf.rendering import displacement as d


def bumpy(batch=2, size=24, seed=0):
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    z = np.random.default_rng(seed).normal(0, 0.3, (batch, size, size)).astype(np.float32)
    return np.stack([np.broadcast_to(x, z.shape), np.broadcast_to(-y, z.shape), z], -1)


def test_grid_faces_are_the_official_ones():
    faces = d.grid_faces()
    assert len(faces) == 122_990
    assert faces[:3].tolist() == [[1282, 1538, 1283], [1283, 1538, 1539], [1538, 1794, 1539]]
    assert faces[-1].tolist() == [63997, 64252, 64253]


def test_grid_normals_equal_area_weighted_normals_of_the_mesh():
    positions = bumpy()
    got = d.grid_normals(tf.constant(positions)).numpy().reshape(2, -1, 3)
    faces = d.grid_faces(24)
    for points, normals in zip(positions.reshape(2, -1, 3), got, strict=True):
        mesh = trimesh.Trimesh(points, faces, process=False)
        total = np.zeros_like(points)
        for corner in range(3):
            np.add.at(total, faces[:, corner], (mesh.face_normals * mesh.area_faces[:, None]).astype(np.float32))
        length = np.linalg.norm(total, axis=1, keepdims=True)
        np.testing.assert_allclose(normals, total / np.maximum(length, 1e-6), atol=1e-4)


def test_emoca_omits_the_coarse_normals_outside_the_mask_and_deca_has_them():
    positions = tf.constant(bumpy(1))
    coarse = tf.one_hot(np.full((1, 24, 24), 2), 3)
    mask = np.zeros((24, 24), np.float32)
    mask[8:16, 8:16] = 1
    arguments = (tf.zeros((1, 24, 24, 1)), positions, coarse, mask)
    deca, emoca = d.displaced_normals(*arguments), d.displaced_normals(*arguments, composite=False)
    np.testing.assert_array_equal(deca[0, 8:16, 8:16], emoca[0, 8:16, 8:16])
    np.testing.assert_array_equal(deca[0, :8], coarse[0, :8])
    assert np.abs(emoca[0, 0]).max() == 0


def test_gradient_reaches_the_displacement_only_inside_the_mask_and_is_finite():
    uv_z, positions = tf.zeros((1, 24, 24, 1)), tf.constant(bumpy(1))
    mask = np.zeros((24, 24), np.float32)
    mask[8:16, 8:16] = 1
    with tf.GradientTape() as tape:
        tape.watch([uv_z, positions])
        value = tf.reduce_sum(
            d.displaced_normals(uv_z, positions, tf.one_hot([[[2] * 24] * 24], 3), mask) ** 2 * 0.3
            + d.displaced_normals(uv_z, positions, tf.one_hot([[[2] * 24] * 24], 3), mask)[..., :1]
        )
    to_z, to_surface = tape.gradient(value, [uv_z, positions])
    assert to_surface is None
    assert np.isfinite(to_z).all()
    assert np.abs(to_z[0, 8:16, 8:16]).max() > 0
    assert np.abs(to_z.numpy() * (1 - mask[None, ..., None])).max() == 0


def test_dense_mesh_moves_along_unit_normals():
    ids = np.broadcast_to(np.array([0, 1, 2]), (8, 8, 3))
    weights = np.zeros((8, 8, 3))
    weights[2:5, 2:6] = 1 / 3
    template = d.dense_template(ids, weights)
    assert len(template.texels) == 12
    assert len(template.faces) == 12
    vertices = np.eye(3)
    normals = np.array([[0, 0, 1.0], [0, 1, 0], [0, 0, 1]])
    points, _ = d.upsample_mesh(vertices, normals, np.full((8, 8, 1), 0.5), template)
    np.testing.assert_allclose(np.linalg.norm(points - 1 / 3, axis=1), 0.5)


def test_uv_lookup_interpolates_and_leaves_empty_texels_zero():
    ids = np.array([[[0, 1, 2], [0, 0, 0]]])
    weights = np.array([[[0.5, 0.25, 0.25], [0, 0, 0]]])
    got = d.to_uv(tf.constant([[[4.0], [8.0], [12.0]]]), ids, weights)
    np.testing.assert_allclose(got[0, 0, :, 0], [7, 0])
