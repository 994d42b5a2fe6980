"""Time the renderer at 224 x 224 on the embedded head: against DEODR, and against TensorFlow Graphics' own rasteriser.

Run: ``python benchmarks/render.py --tfg --peer-python OTHER/bin/python``. DEODR asks for a newer NumPy than ours
and lives in an interpreter of its own (``pip install deodr==0.2.3 trimesh typing_extensions``). It draws one picture at
a time, so a batch is a loop; it works in float64 and gets projected points, texture coordinates and one shade a vertex
ready-made, which leaves it without the camera, the normals and the spherical harmonics that our time includes. The
backward pass is that of the sum of squared colours. ``--tfg`` compiles TensorFlow Graphics' C++ rasteriser first.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from duel import Local, Peer, duel, print_table

from emoca_tf.flame.head import HeadModel
from emoca_tf.rendering.camera import project
from emoca_tf.rendering.rasterizer import interpolate, rasterize
from emoca_tf.rendering.renderer import Renderer

SIZE = 224
BATCHES = (1, 8)


def scene(head: HeadModel, batch: int) -> dict[str, tf.Tensor]:
    """Arguments of the renderer: the template head in the middle, a random texture, mild light."""
    centre = head.v_template.mean(0)
    light = np.zeros((1, 9, 3), np.float32)
    light[0, 0], light[0, 1:4] = 2.5, 0.3
    one = {
        "vertices": head.v_template[None],
        "cam": np.array([[7.0, -centre[0], -centre[1]]], np.float32),
        "albedo": np.random.default_rng(0).random((1, 256, 256, 3), np.float32),
        "light": light,
    }
    return {name: tf.constant(np.repeat(array, batch, 0), tf.float32) for name, array in one.items()}


def actions(draw: Callable[..., tf.Tensor], head: HeadModel) -> dict[str, Callable[[], Any]]:
    """Forward and forward + backward of a renderer, as training calls it: inside ``tf.function``."""

    @tf.function
    def forward(given: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return draw(**given)

    @tf.function
    def backward(given: Mapping[str, tf.Tensor]) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(given)
            total = tf.reduce_sum(draw(**given) ** 2)
        return tape.gradient(total, given)

    found: dict[str, Callable[[], Any]] = {}
    for batch in BATCHES:
        given = scene(head, batch)
        found[f"forward {batch}"] = lambda given=given: forward(given).numpy()
        found[f"forward+backward {batch}"] = lambda given=given: backward(given)["light"].numpy()
    return found


def against_deodr(head: HeadModel, ours: Mapping[str, Callable[[], Any]], python: str | None, rounds: int) -> None:
    """Print the table against DEODR, after both have been seen to draw the same side of the same head."""
    given = scene(head, 1)
    points = project(given["vertices"], given["cam"])
    fragments = rasterize(points, head.f, (SIZE, SIZE))
    mask = fragments.mask[0, ..., 0] > 0
    depth = float(tf.reduce_mean(interpolate(points, fragments)[0, ..., 2][mask])) + 10
    coverage = float(tf.reduce_mean(tf.cast(mask, tf.float32)))
    arrays = {"size": np.array(SIZE), "points": points[0].numpy(), "faces": head.f, "faces_uv": head.uv_faces}
    arrays |= {"uv": head.uv, "texture": given["albedo"][0].numpy(), "clockwise": np.array(False)}
    with Peer("deodr_render.py", arrays, python) as peer:
        theirs, side = peer.milliseconds("coverage 0"), peer.milliseconds("depth 0")
        print(f"{peer.about}; covered {theirs:.2%} (ours {coverage:.2%}), mean depth {side:.4f} (ours {depth:.4f})")
        if abs(theirs - coverage) > 0.01 or abs(side - depth) > 0.01:
            sys.exit("DEODR does not draw the same side of the same head; the times would not compare")
        print_table(duel(ours, peer, rounds), "DEODR")


def against_tfg(head: HeadModel, ours: Mapping[str, Callable[[], Any]], rounds: int) -> None:
    """Print the tables against TensorFlow Graphics' rasteriser and against our backend through its functions."""
    from tfg_rasterizer import TfgRenderer, build

    build()
    own = TfgRenderer(head, SIZE)
    given = scene(head, 1)
    difference = np.abs(own(**given) - Renderer(head, SIZE)(**given).image).max(-1)
    print(f"TensorFlow Graphics' C++ rasteriser: {(difference < 1e-2).mean():.2%} of pixels equal within 0.01")
    print_table(duel(ours, Local(actions(own, head)), rounds), "own TFG")
    backend = Renderer(head, SIZE, backend="tfg")
    print("The same picture by Renderer(backend='tfg'):")
    print_table(duel(ours, Local(actions(lambda **a: backend(**a).image, head)), rounds), "backend tfg")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", help="interpreter that has deodr")
    parser.add_argument("--tfg", action="store_true", help="also against TensorFlow Graphics' rasteriser (needs g++)")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    head = HeadModel.load()
    renderer = Renderer(head, SIZE)
    ours = actions(lambda **a: renderer(**a).image, head)
    print(f"{head.n_vertices} vertices, {len(head.f)} triangles, {SIZE} x {SIZE}")
    against_deodr(head, ours, options.peer_python, options.rounds)
    if options.tfg:
        against_tfg(head, ours, options.rounds)


if __name__ == "__main__":
    main()
