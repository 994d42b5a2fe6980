"""DEODR's textured, shaded 2.5D scene on given arrays; see ``benchmarks/duel.py`` for the protocol."""

from __future__ import annotations

import sys
import time
from importlib.metadata import version

import numpy as np
from deodr.differentiable_renderer import Scene2D

inputs = dict(np.load(sys.argv[1]))
size, points, count = int(inputs["size"]), inputs["points"].astype(np.float64), len(inputs["faces"])
scene = Scene2D(
    faces=inputs["faces"].astype(np.uint32),
    faces_uv=inputs["faces_uv"].astype(np.uint32),
    ij=(points[:, :2] + 1) * size / 2 - 0.5,
    depths=points[:, 2] + 10,
    textured=np.ones(count, bool),
    uv=inputs["uv"].astype(np.float64) * inputs["texture"].shape[:2],
    shade=np.full(len(points), 0.7),
    colors=np.zeros((len(points), 3)),
    shaded=np.ones(count, bool),
    edgeflags=np.zeros((count, 3), bool),
    height=size,
    width=size,
    nb_colors=3,
    texture=inputs["texture"].astype(np.float64),
    background_color=np.zeros(3),
    clockwise=bool(inputs["clockwise"]),
    backface_culling=True,
)


def forward(batch: int) -> None:
    for _ in range(batch):
        scene.render()


def backward(batch: int) -> None:
    for _ in range(batch):
        image, _ = scene.render()
        scene.clear_gradients()
        scene.render_backward(2 * image)


print(f"DEODR {version('deodr')}, float64, one thread, one picture at a time", flush=True)
for line in sys.stdin:
    what, number = line.split()
    if what == "depth":  # mean depth of the covered pixels: both must see the same side of the head
        image, depths = scene.render()
        print(float(depths[image.sum(-1) > 0].mean()), flush=True)
        continue
    if what == "coverage":
        print(float((scene.render()[0].sum(-1) > 0).mean()), flush=True)
        continue
    action = {"forward": forward, "forward+backward": backward}[what]
    times = []
    for _ in range(6):
        start = time.perf_counter()
        action(int(number))
        times.append(time.perf_counter() - start)
    print(min(times[1:]) * 1e3, flush=True)
