"""Time one COARSE training step: ms a picture and input wait, against the same step on TensorFlow Graphics' rasteriser.

Run: ``python benchmarks/train_step.py [--batch 8] [--steps 8] [--families mobilenet_v3,resnet50]``
The step is the recipe's own: frozen codes (the truth of synthetic faces), the expression encoder forward and backward,
head, renderer, default emotion network on picture and rendering, Adam. ``tfg`` replaces only our rasteriser and
kernels by TensorFlow Graphics' path with the same camera, light and texture.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import tensorflow as tf

from emoca_tf.rendering.parallel import workers
from emoca_tf.rendering.renderer import Renderer
from training import inputs, stages
from training.config import Config, Weights
from training.loop import Trainer, distribute
from training.machines import prepare

AIM_MS = 35.0


def measure(family: str, backend: str, batch: int, steps: int) -> tuple[float, float]:
    """Median milliseconds a picture, and the share of the time spent waiting for input."""
    config = Config(
        family=family, coarse_codes="truth", batch_size=batch, data_size=64, augment="coarse",
        weights=Weights(landmarks_mp=1.0),
    )  # fmt: skip
    strategy = prepare(config)
    sources = inputs.open_sources(config)
    stage: Any = stages.build(config)
    if backend == "tfg":
        stage.scene.renderer = Renderer(stage.scene.model, backend="tfg", dtype="float32")
    trainer = Trainer(stage, config, strategy)
    batches = distribute(lambda part: inputs.batches(sources, config, part, 0, True), strategy)
    times, waits = [], []
    for step in range(steps + 2):
        began = time.perf_counter()
        rows = {name: value for name, value in next(batches).items() if name != "id"}
        drawn = time.perf_counter()
        float(trainer.train_step(rows, tf.constant(step, tf.int64))["loss"])
        if step >= 2:  # the first ones compile and fill the buffers
            times.append(time.perf_counter() - began)
            waits.append(drawn - began)
    return statistics.median(times) / batch * 1e3, sum(waits) / sum(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--families", default="mobilenet_v3,resnet50")
    options = parser.parse_args()
    print(
        f"{workers()} cores, batch {options.batch}, median of {options.steps} steps; aim {AIM_MS:.0f} ms (mobilenet_v3)"
    )
    print("family         ours ms/picture  input wait  tfg ms/picture  ours / tfg")
    for family in options.families.split(","):
        ours, wait = measure(family, "fused", options.batch, options.steps)
        theirs, _ = measure(family, "tfg", options.batch, options.steps)
        print(f"{family:14s} {ours:15.1f} {wait:11.1%} {theirs:15.1f} {ours / theirs:11.2f}")


if __name__ == "__main__":
    main()
