"""Time one COARSE training step: ms a picture and input wait, against the same step on TensorFlow Graphics' rasteriser.

Run: ``python benchmarks/train_step.py [--batch 8] [--steps 5] [--families mobilenet_v3,separable/2,resnet50]``
The step is the recipe's own: frozen codes (the truth of synthetic faces), the expression encoder forward and backward,
head, renderer, default emotion network on picture and rendering, Adam. ``tfg`` replaces only our rasteriser and
kernels by TensorFlow Graphics' path with the same camera, light and texture. ``/2`` halves the encoder's and the
rendered picture (``shrink=2``); ``separable/2`` is the embedded model. ``cpu`` is the processor time of all threads,
input included, which other programs disturb less than the median wall time. The faces are drawn before the clock
starts, as they are in the recipes that train on files or on few faces; drawing new ones is timed by
``benchmarks/input.py``.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from emoca_tf.rendering.parallel import workers
from emoca_tf.rendering.renderer import Renderer
from training import inputs, stages
from training.config import Config, Weights
from training.loop import Trainer, distribute
from training.machines import prepare

AIM_MS = 35.0
WARM_UP = 2  # steps that compile and fill the buffers


class Speed(NamedTuple):
    """Milliseconds a picture, median and of processor time, and the share of the time spent waiting for input."""

    wall: float
    cpu: float
    wait: float


def measure(family: str, backend: str, batch: int, steps: int) -> Speed:
    """The speed of ``family`` or ``family/shrink`` with our renderer's ``backend``."""
    name, _, shrink = family.partition("/")
    config = Config(
        family=name, shrink=int(shrink or 1), coarse_codes="truth", batch_size=batch, data_size=64, augment="coarse",
        weights=Weights(landmarks_mp=1.0),
    )  # fmt: skip
    strategy = prepare(config)
    sources = inputs.open_sources(config)
    for index in range(len(sources.training)):
        sources.training.example(index, np.random.default_rng(0))
    stage: Any = stages.build(config)
    if backend == "tfg":
        stage.scene.renderer = Renderer(stage.scene.model, stage.scene.size, backend="tfg", dtype="float32")
    trainer = Trainer(stage, config, strategy)
    batches = distribute(lambda part: inputs.batches(sources, config, part, 0, True), strategy)
    times, waits = [], []
    for step in range(steps + WARM_UP):
        if step == WARM_UP:
            cpu = time.process_time()
        began = time.perf_counter()
        rows = {name: value for name, value in next(batches).items() if name != "id"}
        drawn = time.perf_counter()
        float(trainer.train_step(rows, tf.constant(step, tf.int64))["loss"])
        if step >= WARM_UP:
            times.append(time.perf_counter() - began)
            waits.append(drawn - began)
    cpu = (time.process_time() - cpu) / steps
    return Speed(statistics.median(times) / batch * 1e3, cpu / batch * 1e3, sum(waits) / sum(times))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--families", default="mobilenet_v3,mobilenet_v3/2,separable/2,resnet50")
    parser.add_argument("--no-tfg", action="store_true", help="only our own path")
    options = parser.parse_args()
    print(
        f"{workers()} cores, batch {options.batch}, median of {options.steps} steps; aim {AIM_MS:.0f} ms (mobilenet_v3)"
    )
    print("family          ours ms/picture  cpu ms  input wait  tfg ms/picture  cpu ms  ours / tfg", flush=True)
    for family in options.families.split(","):
        ours = measure(family, "fused", options.batch, options.steps)
        print(f"{family:15s} {ours.wall:15.1f} {ours.cpu:7.1f} {ours.wait:11.1%}", end="", flush=True)
        if not options.no_tfg:
            theirs = measure(family, "tfg", options.batch, options.steps)
            print(f" {theirs.wall:15.1f} {theirs.cpu:7.1f} {ours.wall / theirs.wall:11.2f}", end="")
        print(flush=True)


if __name__ == "__main__":
    main()
