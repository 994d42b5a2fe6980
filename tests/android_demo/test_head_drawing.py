"""The plain part of the app on a desktop JVM, and its drawing of the head against the library's renderer."""

import json
import subprocess
import sys

import helpers_android as helpers
import numpy as np
import pytest

from emoca_tf.capture.recording import animated_glb, read_recording
from emoca_tf.flame.head import HeadModel
from emoca_tf.io.gltf import read_glb

needs_jdk = pytest.mark.skipif(bool(helpers.missing_jdk()), reason=helpers.missing_jdk() or "there is one")
SIZE = 256


def desktop(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, str(helpers.DEMO / "app" / "desktop.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@needs_jdk
def test_the_app_s_plain_part_on_the_jvm(bundle_folder, tmp_path):
    done = desktop("test", "--bundle", bundle_folder, "--recordings", tmp_path)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " 0 tests failed" in done.stdout
    assert " 0 tests aborted" in done.stdout  # an assumption that does not hold: no bundle
    recording = read_recording(tmp_path / "emoca-recording.json")  # as the app shares it, for `emoca-tf animate`
    tree, _ = read_glb(animated_glb(recording, HeadModel.load()))
    assert recording.source == json.loads((bundle_folder / "manifest.json").read_text())["weights"]
    assert tree["meshes"][0]["extras"]["targetNames"][: len(recording.axes)] == list(recording.axes)
    lines = (tmp_path / "emoca-recording.csv").read_text().splitlines()
    assert len(lines) > len(recording.times)


@pytest.fixture(scope="module")
def head():
    """A head with an open mouth, turned aside, and a camera."""
    from emoca_tf.flame.head import HeadModel
    from emoca_tf.flame.layer import Flame

    model = HeadModel.load()
    rng = np.random.default_rng(3)
    exp = np.zeros((1, model.n_exp), np.float32)
    exp[0, :5] = 0.5
    shape = rng.normal(0, 0.5, (1, model.n_shape)).astype(np.float32)
    pose = np.array([[0.15, 0.5, -0.1, 0.25, 0, 0]], np.float32)
    vertices = Flame(model)(shape, exp, pose).vertices.numpy()
    low, high = vertices[0].min(0), vertices[0].max(0)
    middle = (low + high) / 2
    cam = np.array([[1.7 / (high - low).max(), -middle[0], -middle[1]]], np.float32)
    return vertices, model.f.astype(np.int32), cam


def by_the_library(vertices: np.ndarray, faces: np.ndarray, cam: np.ndarray) -> np.ndarray:
    """``[SIZE, SIZE]`` the app's clay shade on the library's fragments; 0 where there is no head."""
    from emoca_tf.rendering.camera import project
    from emoca_tf.rendering.normals import vertex_normals
    from emoca_tf.rendering.rasterizer import interpolate, rasterize

    fragments = rasterize(project(vertices, cam), faces, (SIZE, SIZE))
    normals = interpolate(vertex_normals(vertices, faces), fragments).numpy()[0]
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-9)
    light = np.array([0.35, 0.45, 0.82]) / np.linalg.norm([0.35, 0.45, 0.82])
    shade = 0.18 + 0.72 * np.maximum(normals @ light, 0)
    return np.where(fragments.mask.numpy()[0].reshape(SIZE, SIZE) > 0, shade, 0)


@needs_jdk
def test_the_head_is_drawn_as_the_library_draws_it(head, tmp_path):
    vertices, faces, cam = head
    vertices[0].astype("<f4").tofile(tmp_path / "vertices.f32")
    faces.astype("<i4").tofile(tmp_path / "triangles.i32")
    cam[0].astype("<f4").tofile(tmp_path / "cam.f32")
    expected = by_the_library(vertices, faces, cam)
    done = desktop("draw-head", tmp_path, SIZE, "plain")
    assert done.returncode == 0, done.stderr[-3000:]
    drawn = np.fromfile(tmp_path / "shade.f32", "<f4").reshape(SIZE, SIZE)
    covered = expected > 0
    assert 0.2 < covered.mean() < 0.8
    assert ((drawn > 0) != covered).sum() <= 0.002 * covered.sum()  # edges through a pixel's very centre
    both = covered & (drawn > 0)
    off = np.abs(drawn - expected)[both]
    assert np.quantile(off, 0.995) < 1e-3, off.max()
    assert off.mean() < 1e-3
    assert expected[both].std() > 0.1  # there is something to be wrong about

    assert desktop("draw-head", tmp_path, SIZE, "mirrored").returncode == 0
    mirrored = np.fromfile(tmp_path / "shade.f32", "<f4").reshape(SIZE, SIZE)
    assert ((mirrored[:, ::-1] > 0) != (drawn > 0)).sum() <= 0.004 * covered.sum()
