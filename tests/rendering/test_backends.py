"""The fused kernels against TensorFlow Graphics and finite differences, on any number of cores, in any graph."""

from __future__ import annotations

import multiprocessing
import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from emoca_tf.rendering import parallel, tfg
from emoca_tf.rendering.deferred import draw
from emoca_tf.rendering.normals import vertex_normals
from emoca_tf.rendering.rasterizer import interpolate, rasterize, triangle_ids
from emoca_tf.rendering.renderer import BACKENDS, Renderer
from emoca_tf.rendering.shading import spherical_harmonics
from emoca_tf.rendering.texture import sample

NAMES = ("vertices", "cam", "albedo", "light")


def image_and_gradients(renderer, inputs):
    """The picture, and the gradient of a fixed weighting of it by every input."""
    tensors = {name: tf.constant(value) for name, value in inputs.items()}
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        rendered = renderer(**tensors)
        weight = tf.random.stateless_uniform(rendered.image.shape, [3, 4]) - 0.5
        total = tf.reduce_sum(rendered.image * weight)
    gradients = tape.gradient(total, tensors)
    return rendered, {name: tf.convert_to_tensor(gradient).numpy() for name, gradient in gradients.items()}


@pytest.fixture(scope="module")
def both(head, inputs):
    return {name: image_and_gradients(Renderer(head, uv_size=64, backend=name), inputs) for name in ("fused", "tfg")}


def test_both_backends_give_one_picture(both):
    fused, through_tfg = both["fused"][0], both["tfg"][0]
    for name in fused._fields:
        ours, theirs = (np.asarray(getattr(rendered, name)) for rendered in (fused, through_tfg))
        steep = name == "mask"  # it jumps from 0 to 1 within a texel
        np.testing.assert_allclose(ours, theirs, atol=1e-3 if steep else 2e-4, err_msg=name)


@pytest.mark.parametrize("name", NAMES)
def test_both_backends_give_one_gradient(both, name):
    ours, theirs = (both[backend][1][name] for backend in ("fused", "tfg"))
    np.testing.assert_allclose(ours, theirs, atol=3e-3 * np.abs(theirs).max())


def test_the_original_is_met_through_tensorflow_graphics_too(both, expected):
    np.testing.assert_allclose(both["tfg"][0].image[0, ::4, ::4], expected["images"], atol=2e-4)


def test_a_framebuffer_feeds_the_interpolation_of_tensorflow_graphics(data, head):
    from tensorflow_graphics.rendering.interpolate import interpolate_vertex_attribute

    points = tf.constant(data["verts"][None] * 8)
    fragments = rasterize(points, head.f, (40, 56))
    theirs = interpolate_vertex_attribute(points, fragments.framebuffer()).value
    np.testing.assert_allclose(interpolate(points, fragments), theirs, atol=1e-6)


@pytest.mark.parametrize("backend", ["fused", "tfg"])
def test_hostile_heads_have_finite_gradients(backend):
    points = np.array([[-0.8, -0.7, 0], [0.9, -0.6, 0.2], [0.1, 0.8, 0.1]], np.float32)
    extra = np.array([[np.nan, 0, 0], [0, 0, -50], [9e9, 9e9, 0], [np.inf, 0, 0], [5, 5, 0], [1, 1, 1]], np.float32)
    points = np.concatenate([points, extra])[None]
    # The first triangle is degenerate: it is what TensorFlow Graphics looks up for the background.
    faces = np.array([[0, 0, 1], [0, 1, 3], [0, 1, 2], [1, 4, 4], [5, 6, 7], [0, 1, 5]], np.int32)
    variable = tf.Variable(points)
    with tf.GradientTape() as tape:
        fragments = BACKENDS[backend].rasterize(variable, faces, (12, 9))
        total = tf.reduce_sum(fragments.weights**2)
    assert set(np.unique(fragments.triangle_id)) <= {-1, 2, 5}
    assert float(total) > 0
    assert np.isfinite(tf.convert_to_tensor(tape.gradient(total, variable))).all()


@pytest.mark.parametrize("normals", [vertex_normals, tfg.vertex_normals], ids=["fused", "tfg"])
def test_vertices_without_faces_have_zero_normals_and_finite_gradients(normals):
    vertices = tf.Variable([[[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [5, 5, 5]]] * 2)
    with tf.GradientTape() as tape:
        found = normals(vertices, np.array([[0, 1, 2]]))
        total = tf.reduce_sum(found * [[[1.0, 2, 3]]])
    np.testing.assert_allclose(found[1], [[0, 0, 1]] * 3 + [[0, 0, 0]], atol=1e-6)
    assert np.isfinite(tf.convert_to_tensor(tape.gradient(total, vertices))).all()


@pytest.mark.parametrize("backend", ["fused", "tfg"])
@pytest.mark.parametrize("name", NAMES)
def test_the_pictures_gradient_agrees_with_finite_differences(head, inputs, backend, name):
    """Along a random direction, over pixels whose triangle stays; a smooth texture keeps bilinear kinks small."""
    renderer = Renderer(head, size=64, uv_size=8, backend=backend)
    ramp = np.linspace(0.2, 0.9, 8, dtype=np.float32)
    smooth = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None], ramp[::-1, None] * ramp[None]), -1)
    inputs = inputs | {"albedo": smooth[None]}
    step = {"vertices": 2e-5, "cam": 1e-3, "albedo": 1e-2, "light": 1e-2}[name]
    direction = np.random.default_rng(5).normal(size=inputs[name].shape).astype(np.float32)
    direction *= [1, 0.02, 0.02] if name == "cam" else 1
    high, low = (renderer(**inputs | {name: inputs[name] + sign * step * direction}) for sign in (1, -1))
    tensor = tf.constant(inputs[name])
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        rendered = renderer(**inputs | {name: tensor})
        ids = [np.where(r.alpha[..., 0] > 0, r.triangle_id[..., 0], -1) for r in (low, rendered, high)]
        same = ((ids[0] == ids[1]) & (ids[1] == ids[2]))[..., None]
        assert same.mean() > 0.8
        weight = same * np.array([1.0, 0.3, -0.5], np.float32)
        total = tf.reduce_sum(rendered.image * weight)
    slope = np.sum(tf.convert_to_tensor(tape.gradient(total, tensor)).numpy() * direction)
    difference = np.sum((high.image.numpy().astype(float) - low.image.numpy()) * weight) / (2 * step)
    assert slope == pytest.approx(difference, rel=2e-2)


def test_gradients_are_equal_to_the_bit_on_any_number_of_cores(head, inputs, monkeypatch):
    renderer = Renderer(head, size=96, uv_size=8)
    batch = {name: np.repeat(value, 3, 0) for name, value in inputs.items()}
    for given in (inputs, batch):
        found = []
        for cores in (1, 2, 7):
            monkeypatch.setattr(parallel, "workers", lambda cores=cores: cores)
            parallel._pool.cache_clear()
            found.append(image_and_gradients(renderer, given)[1])
        for other in found[1:]:
            for name, gradient in other.items():
                np.testing.assert_array_equal(gradient, found[0][name], err_msg=name)


def test_cores_are_counted_where_the_system_has_no_affinity(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert parallel.workers() >= 1


def _ids_in_child(points, faces, queue):
    queue.put(triangle_ids(points, faces, (16, 16)))


def test_a_forked_process_rasterises_too():
    points = np.array([[[-0.8, -0.7, 0], [0.9, -0.6, 0.2], [0.1, 0.8, 0.1]]] * 5, np.float32)
    faces = np.array([[0, 1, 2]])
    here = triangle_ids(points, faces, (16, 16))  # the threads of this process exist before the fork
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_ids_in_child, args=(points, faces, queue))
    child.start()
    np.testing.assert_array_equal(queue.get(timeout=60), here)
    child.join(60)
    assert child.exitcode == 0


def test_kernels_compile_where_nothing_can_be_cached(monkeypatch):
    from numba.core import caching

    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    before = parallel.numba.config.CACHE_DIR

    @parallel.kernel
    def twice(x):
        return 2 * x / (x - x)

    assert twice(1.0) == np.inf
    assert before == parallel.numba.config.CACHE_DIR


@pytest.mark.parametrize("backend", ["fused", "tfg"])
def test_a_functional_model_of_unknown_batch_renders(head, inputs, backend):
    renderer = Renderer(head, size=24, uv_size=8, backend=backend)
    given = {name: keras.Input(inputs[name].shape[1:], name=name) for name in NAMES}
    model = keras.Model(given, renderer(**given).image)
    assert model.output_shape == (None, 24, 24, 3)
    batch = {name: np.repeat(value, 2, 0) for name, value in inputs.items()}
    found = model.predict(batch, verbose=0)
    np.testing.assert_allclose(found, renderer(**batch).image, atol=1e-5)


def test_half_precision_policies_do_not_reach_the_geometry(head, inputs):
    wanted = Renderer(head, size=24, uv_size=8)(**inputs).image
    keras.config.set_dtype_policy("mixed_float16")
    try:
        found = Renderer(head, size=24, uv_size=8)(**inputs).image
    finally:
        keras.config.set_dtype_policy("float32")
    np.testing.assert_array_equal(found, wanted)


def test_unlike_batches_and_foreign_triangles_are_refused_before_memory_is_touched(data, head):
    vertices = tf.constant(np.repeat(data["verts"][None], 2, 0))
    fragments = rasterize(vertices, head.f, (8, 8))
    grid = np.zeros((len(head.f), 3, 2), np.float32)
    one = tf.zeros([1, 4, 4, 3])
    for call in (
        lambda: draw(vertices, vertices, one, None, fragments, grid),
        lambda: draw(vertices, vertices, None, tf.zeros([1, 9, 3]), fragments, grid),
        lambda: interpolate(vertices[:1], fragments),
        lambda: sample(one, tf.zeros([2, 5, 5, 2])),
        lambda: spherical_harmonics(tf.zeros([2, 5, 5, 3]), tf.zeros([1, 9, 3])),
    ):
        with pytest.raises(ValueError, match="batch dimensions differ"):
            call()
    for faces in ([[0, 1, 5023]], [[-1, 0, 1]]):
        for function in (lambda v, f: triangle_ids(v.numpy(), f, (8, 8)), vertex_normals):
            with pytest.raises(ValueError, match="but there are 5023 vertices"):
                function(vertices, np.array(faces))
    with pytest.raises(ValueError, match="one of"):
        Renderer(head, backend="opengl")


def test_nan_texture_coordinates_look_nothing_up():
    grid = tf.constant([[[[np.nan, 0.0], [0.0, np.inf], [0.0, 0.0]]]])
    with tf.GradientTape() as tape:
        tape.watch(grid)
        found = sample(tf.ones([1, 2, 2, 1]), grid)
        total = tf.reduce_sum(found)
    np.testing.assert_array_equal(found[0, 0, :, 0], [0, 0, 1])
    assert np.isfinite(tape.gradient(total, grid)).all()
