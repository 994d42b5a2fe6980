"""A stage and a data set that train in milliseconds, for tests of the loop; also a program that tests can kill."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from training import machines
from training.config import Config, Weights
from training.datasets.pipeline import InputReport
from training.datasets.source import Labels
from training.inputs import Sources
from training.stages.base import Batch, Stage, Term
from training.train import Run

CONFIG = Config(
    batch_size=8, steps=30, learning_rate=1e-2, clip_norm=1.0, ema=0.9, augment="coarse", seed=3, balanced=False,
    validate_every=10, checkpoint_every=3, picture_every=30, validation_batches=1, patience=0,
    weights=Weights(),
)  # fmt: skip


class ToySource:
    """Finished crops of one brightness each; ``exp`` is the brightness."""

    def __init__(self, size: int = 40, seed: int = 0) -> None:
        self.levels = np.random.default_rng(seed).uniform(0.2, 0.8, size)
        self.labels, self.persons = Labels.unknown(size), None
        self.ids = np.array([f"toy-{k}" for k in range(size)])

    def __len__(self) -> int:
        return len(self.levels)

    def example(self, index: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        level = self.levels[index]
        return {
            "image": (rng.uniform(0, 0.2, (224, 224, 3)) + level).clip(0, 1).__mul__(255).astype(np.uint8),
            "landmarks_mp": np.zeros((478, 3), np.float32),
            "landmarks68": np.zeros((68, 3), np.float32),
            "mask": np.full((224, 224), 255, np.uint8),
            "exp": np.full(1, level, np.float32),
        }


class ToyStage(Stage):
    """Brightness by a convolution with batch norm and dropout-like noise; breaks at a step if told to."""

    def __init__(self, config: Config, breaks_at: int = -1) -> None:
        self.config, self.breaks_at = config, breaks_at
        image = keras.Input((224, 224, 3))
        x = keras.layers.AveragePooling2D(32)(image)
        x = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3, use_bias=False)(x))
        x = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(x))
        self.networks = {"toy": keras.Model(image, keras.layers.Dense(1)(x), name="toy")}
        self.learning, self.loaded = ("toy",), []

    def terms(self, batch: Batch, step: tf.Tensor, learning: bool) -> Mapping[str, Term]:
        seen = tf.cast(self.networks["toy"](batch["image"], training=learning), tf.float32)
        noise = tf.random.stateless_normal([], tf.stack([tf.constant(self.config.seed, tf.int64), step]))
        error = tf.reduce_mean((seen + 0.01 * noise * float(learning) - batch["exp"]) ** 2)
        error = tf.where(step == self.breaks_at, tf.constant(np.nan, tf.float32), error)
        weight = self.networks["toy"].layers[-1].kernel
        reg = tf.reduce_sum(weight**2) * tf.reduce_sum(batch["exp"])
        return {"error": Term(error), "reg": Term(reg, 1e-3, summed=True), "metric": Term(error * 2, 0.0)}

    def pictures(self, batch: Batch) -> list[tuple[str, np.ndarray]]:
        return [("input", np.asarray(batch["image"]))]


def toy_sources(config: Config) -> Sources:
    return Sources(ToySource(seed=1), ToySource(16, seed=2), InputReport())


def toy_run(folder: Path, config: Config = CONFIG, **stage: Any) -> Run:
    return Run("toy", "A toy.", config, folder, lambda c: ToyStage(c, **stage), toy_sources)


def mirror(replicas: int) -> None:
    """Let a run find as many processors as a machine with several GPUs has: shares of the CPU stand for them."""
    processor = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * replicas)
    machines.choose_strategy = lambda: tf.distribute.MirroredStrategy([f"CPU:{k}" for k in range(replicas)])


def train(folder: Path, steps: int = CONFIG.steps, replicas: int = 1) -> None:
    if replicas > 1:
        mirror(replicas)
    job = toy_run(folder, replace(CONFIG, steps=steps))
    job.train(resume=job.last.exists())


def serve() -> None:
    """For every folder that is read, a forked process that trains there: its id and, when it ends, how it ended.

    Everything is imported once, which is most of a short run's time; TensorFlow is first used in the processes.
    """
    for line in sys.stdin:
        child = os.fork()
        if not child:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            train(Path(line.rstrip("\n")))
            return
        print(child, flush=True)
        print(os.waitpid(child, 0)[1], flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        serve()
    else:
        train(Path(sys.argv[1]), *map(int, sys.argv[2:]))
