"""Forward time of every network on the CPU, ours in ``tf.function``, against the equal torch network, eager and jit.

Run: ``python benchmarks/encoders.py --peer-python /path/to/other/bin/python``, an interpreter with
``pip install torch 'numpy<2'``; without it only our own times are printed. Both sides get the same weights and
pictures, their outputs are compared before they are timed (jit: traced, frozen and optimised for inference). Aim: a
ratio of at most 0.7 for ResNet50. On a machine that does other things too give ``--threads 1``: threads that wait for
each other distort both sides, torch's most.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf
from duel import Peer, duel, fastest, print_table

from emoca_tf.emotion.default import load_default
from emoca_tf.emotion.recognition import emotion_mobilenet, emotion_resnet50
from emoca_tf.encoders import detail, mobilenet_v3, resnet
from emoca_tf.weights.torch_layout import to_state

BATCHES = (1, 8)
NETWORKS: dict[str, tuple[str, Callable[[], Any]]] = {
    "E_flame": ("resnet50 encoder", lambda: resnet.resnet50_encoder(keras, 236, "E_flame")),
    "E_expression": ("resnet50 encoder", lambda: resnet.resnet50_encoder(keras, 50, "E_expression")),
    "E_detail": ("resnet50 encoder", lambda: resnet.resnet50_encoder(keras, 128, "E_detail")),
    "emotion ResNet50": ("emotion resnet50", lambda: emotion_resnet50(keras)),
    "emotion MobileNetV3": ("emotion mobilenet", lambda: emotion_mobilenet(keras)),
    "emotion default": ("emotion default", lambda: load_default(keras)),
    "SMIRK pose": ("smirk pose", lambda: mobilenet_v3.pose_encoder(keras)),
    "SMIRK shape": ("smirk shape", lambda: mobilenet_v3.shape_encoder(keras, appearance=False)),
    "SMIRK expression": ("smirk expression", lambda: mobilenet_v3.expression_encoder(keras)),
    "D_detail": ("D_detail", lambda: detail.detail_generator(keras)),
}
"""Name -> the peer's network, ours."""
AGREEMENT = 1e-3


def total(outputs: Any) -> float:
    return float(sum(np.asarray(value, np.float64).sum() for value in tf.nest.flatten(outputs)))


def time_network(name: str, peer_python: str | None, rounds: int) -> dict[str, tuple[float, float]]:
    """Case -> our milliseconds and the peer's; without a peer ours are printed."""
    kind, build = NETWORKS[name]
    model = build()
    given = np.random.default_rng(0).random((max(BATCHES), *model.input_shape[1:]), np.float32)
    forward = tf.function(lambda x: model(x, training=False))
    inputs = {batch: tf.constant(given[:batch]) for batch in BATCHES}

    def action(batch: int) -> Callable[[], Any]:
        return lambda: [value.numpy() for value in tf.nest.flatten(forward(inputs[batch]))]

    if peer_python is None:
        for batch in BATCHES:
            print(f"{name:20s} batch {batch}: {fastest(action(batch)):8.1f} ms", flush=True)
        return {}
    with Peer("torch_networks.py", to_state(model) | {"kind": np.array(kind), "input": given}, peer_python) as peer:
        ours, theirs = total(forward(inputs[1])), peer.milliseconds("value 1")
        if abs(ours - theirs) > AGREEMENT * max(1.0, abs(theirs)):
            raise SystemExit(f"{name}: the networks differ, outputs sum to {ours} here and {theirs} there")
        cases = {f"{mode} {batch}": action(batch) for batch in BATCHES for mode in ("eager", "jit")}
        return {f"{name}, torch {case}": times for case, times in duel(cases, peer, rounds).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", help="interpreter that has torch")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=sorted(NETWORKS), action="append", help="only this network (may be repeated)")
    parser.add_argument("--threads", type=int, default=0, help="of both sides; 0 leaves it to them")
    options = parser.parse_args()
    if options.threads:
        os.environ["OMP_NUM_THREADS"] = str(options.threads)  # what torch goes by
        tf.config.threading.set_intra_op_parallelism_threads(options.threads)
        tf.config.threading.set_inter_op_parallelism_threads(options.threads)
    for name in options.only or NETWORKS:
        results = time_network(name, options.peer_python, options.rounds)
        if results:
            print_table(results, "torch")
        sys.stdout.flush()
        keras.backend.clear_session()


if __name__ == "__main__":
    main()
