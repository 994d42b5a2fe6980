"""Time the renderer against DEODR on the default head at 224 x 224: forward, and forward + backward.

Run: ``python benchmarks/render.py`` (``pip install deodr==0.2.3`` for the peer, better in an environment of its own
whose path is then given by PYTHONPATH: it asks for a newer NumPy). DEODR draws one image at a time, so its time for a
batch is a loop; it works in float64 and gets ready-made projected points, texture coordinates and vertex shades, which
leaves it without the camera, normals and spherical harmonics that our time includes.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from emoca_tf.flame.head import HeadModel
from emoca_tf.rendering.camera import project
from emoca_tf.rendering.renderer import Renderer

SIZE = 224


def milliseconds(action: Callable[[], Any], repeats: int = 9) -> float:
    """Median time of ``action`` after two calls to warm up."""
    for _ in range(2):
        action()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def ours(head: HeadModel, cam: np.ndarray, batch: int) -> tuple[float, float]:
    """Forward and forward + backward of :class:`Renderer`, milliseconds per batch."""
    renderer = Renderer(head, SIZE)
    vertices = tf.tile(tf.constant(head.v_template[None]), [batch, 1, 1])
    cams = tf.tile(tf.constant(cam), [batch, 1])
    albedo = tf.random.stateless_uniform([batch, 256, 256, 3], [0, 1])
    light = tf.random.stateless_uniform([batch, 9, 3], [0, 2])

    @tf.function
    def forward() -> tf.Tensor:
        return renderer(vertices, cams, albedo=albedo, light=light).image

    @tf.function
    def backward() -> Any:
        with tf.GradientTape() as tape:
            tape.watch([vertices, cams, albedo, light])
            total = tf.reduce_sum(renderer(vertices, cams, albedo=albedo, light=light).image ** 2)
        return [tf.convert_to_tensor(g) for g in tape.gradient(total, [vertices, cams, albedo, light])]

    return milliseconds(lambda: forward().numpy()), milliseconds(lambda: backward()[0].numpy())


def deodr(head: HeadModel, cam: np.ndarray, batch: int) -> tuple[float, float]:
    """The same of DEODR's textured, shaded scene.

    Raises:
        ImportError: if DEODR is not installed.
    """
    from deodr.differentiable_renderer import Scene2D  # type: ignore[import-not-found]

    points = project(tf.constant(head.v_template[None]), tf.constant(cam)).numpy()[0].astype(np.float64)
    count, vertices = len(head.f), len(points)
    scene = Scene2D(
        faces=np.asarray(head.f, np.uint32),
        faces_uv=np.asarray(head.uv_faces, np.uint32),
        ij=(points[:, :2] + 1) * SIZE / 2 - 0.5,
        depths=points[:, 2] + 10,
        textured=np.ones(count, bool),
        uv=np.asarray(head.uv, np.float64) * 255,
        shade=np.full(vertices, 0.7),
        colors=np.zeros((vertices, 3)),
        shaded=np.ones(count, bool),
        edgeflags=np.zeros((count, 3), bool),
        height=SIZE,
        width=SIZE,
        nb_colors=3,
        texture=np.random.default_rng(0).random((256, 256, 3)),
        background_color=np.zeros(3),
        backface_culling=True,
    )

    def backward() -> None:
        for _ in range(batch):
            image, _ = scene.render()
            scene.clear_gradients()
            scene.render_backward(2 * image)

    covered = (scene.render()[0].sum(-1) > 0).mean()
    print(f"DEODR covers {covered:.1%} of the picture")
    return milliseconds(lambda: [scene.render() for _ in range(batch)]), milliseconds(backward)


def main() -> None:
    head = HeadModel.load()
    centre = head.v_template.mean(0)
    cam = np.array([[7.0, -centre[0], -centre[1]]], np.float32)
    print("batch  pass              ours ms  DEODR ms  ratio")
    for batch in (1, 8):
        mine = ours(head, cam, batch)
        try:
            peer = deodr(head, cam, batch)
        except ImportError:
            print(f"{batch:5d}  forward, +backward  {mine[0]:.1f}, {mine[1]:.1f}; DEODR is not installed, no ratio")
            continue
        for name, a, b in zip(("forward", "forward+backward"), mine, peer, strict=True):
            print(f"{batch:5d}  {name:16s} {a:8.1f} {b:9.1f} {a / b:6.2f}")
    print("TensorFlow Graphics' own rasteriser path is not timed by this script (it needs its C++ op rebuilt).")


if __name__ == "__main__":
    main()
