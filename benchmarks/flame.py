"""Time the Flame layer against smplx (PyTorch on the CPU) on identical arrays: batch 1, 8 and 32.

Run: ``python benchmarks/flame.py --peer-python /path/to/other/bin/python``, an interpreter with
``pip install torch smplx==0.1.28 'numpy<2'``. Both get the embedded head's arrays and full poses of five joints in
float32 and make vertices; the backward pass is that of the sum of squared vertices, by every coefficient and angle. Our
layer is called as training calls it, inside ``tf.function``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from duel import Peer, duel, print_table

from emoca_tf.flame.head import HeadModel
from emoca_tf.flame.layer import Flame

BATCHES = (1, 8, 32)


def codes(head: HeadModel, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """Random coefficients ``[B, S + E]`` and full poses ``[B, 15]`` (global, neck, jaw, eyes)."""
    rng = np.random.default_rng(0)
    betas = rng.normal(size=(batch, head.n_shape + head.n_exp)) * 0.3
    return betas.astype(np.float32), (rng.normal(size=(batch, 15)) * 0.2).astype(np.float32)


def arrays(head: HeadModel) -> dict[str, np.ndarray]:
    """What smplx' ``lbs`` takes, and the codes."""
    betas, pose = codes(head, max(BATCHES))
    parents = np.array(head.kintree_table[0], np.int64)
    parents[0] = -1
    floats = {
        "v_template": head.v_template,
        "shapedirs": head.shapedirs,
        "posedirs": head.posedirs.reshape(-1, 36).T,
        "J_regressor": head.J_regressor,
        "weights": head.weights,
    }
    tensors = {name: np.ascontiguousarray(array, np.float32) for name, array in floats.items()}
    return tensors | {"parents": parents, "betas": betas, "pose": pose}


def actions(head: HeadModel) -> dict[str, Callable[[], Any]]:
    """Our side of every case."""
    layer = Flame(head)

    def vertices(betas: tf.Tensor, pose: tf.Tensor) -> tf.Tensor:
        shape, exp = betas[:, : head.n_shape], betas[:, head.n_shape :]
        return layer(shape, exp, tf.concat([pose[:, :3], pose[:, 6:9]], 1), pose[:, 3:6], pose[:, 9:]).vertices

    forward = tf.function(vertices)

    @tf.function
    def backward(betas: tf.Tensor, pose: tf.Tensor) -> Any:
        with tf.GradientTape() as tape:
            tape.watch([betas, pose])
            value = tf.reduce_sum(vertices(betas, pose) ** 2)
        return value, tape.gradient(value, [betas, pose])

    found: dict[str, Callable[[], Any]] = {}
    for batch in BATCHES:
        given = [tf.constant(values) for values in codes(head, max(BATCHES))]
        given = [values[:batch] for values in given]
        found[f"forward {batch}"] = lambda given=given: forward(*given).numpy()
        found[f"forward+backward {batch}"] = lambda given=given: backward(*given)[1][1].numpy()
        found[f"value {batch}"] = lambda given=given: float(backward(*given)[0])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", help="interpreter that has torch and smplx")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    head = HeadModel.load()
    ours = actions(head)
    values = [ours.pop(f"value {batch}") for batch in BATCHES]
    with Peer("smplx_flame.py", arrays(head), options.peer_python) as peer:
        print(f"{head.n_vertices} vertices, {head.n_shape + head.n_exp} coefficients; peer: {peer.about}")
        same = peer.milliseconds(f"value {max(BATCHES)}")
        np.testing.assert_allclose(values[-1](), same, rtol=1e-5)
        print_table(duel(ours, peer, options.rounds), "smplx")


if __name__ == "__main__":
    main()
