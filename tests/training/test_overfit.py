"""The proof that the COARSE stage can learn: 32 faces by heart, in minutes on two cores."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.config import load_recipe
from training.journal import read_metrics
from training.train import Run

VISIBLE = 0.05  # standard deviation over the 32 faces below which an axis hardly moves the picture
MINUTES = 10


def seen(job: Run) -> tuple[float, np.ndarray, np.ndarray]:
    """Mean squared distance of the emotion features, and the expression codes predicted and true, of all faces."""
    stage: Any = job.stage
    distances, predicted, true = [], [], []
    batches = job.batches(0)
    for _ in range(4):
        batch = next(batches)
        codes = stage.codes(batch, learning=False)
        view = stage.scene.decode(codes)
        drawn = stage.face.composite(view, batch["image"], view.rendered.mask)
        a, b = (stage.face.emotion.features(picture).numpy() for picture in (batch["image"], drawn))
        distances.append(((a - b) ** 2).mean())
        predicted.append(codes.exp.numpy())
        true.append(batch["exp"].numpy())
    return float(np.mean(distances)), np.concatenate(predicted), np.concatenate(true)


@pytest.mark.slow
def test_thirty_two_faces_are_learnt_by_heart(tmp_path: Path) -> None:
    config, _ = load_recipe("default")
    assert (config.stage, config.family, config.data_size) == ("coarse", "mobilenet_v3", 32)
    job = Run("default", "", config, tmp_path / "run")
    before, _, _ = seen(job)
    began = time.perf_counter()
    job.train(resume=False)
    minutes = (time.perf_counter() - began) / 60
    with job.trainer.averaged():
        after, predicted, true = seen(job)
    varying = true.std(0) > VISIBLE
    axes = [np.corrcoef(predicted[:, k], true[:, k])[0, 1] for k in np.flatnonzero(varying)]
    print(f"{minutes:.1f} min; emotion distance {before:.4f} -> {after:.4f}; correlation {np.mean(axes):.4f}")
    assert varying.sum() > 20
    assert np.mean(axes) > 0.95
    assert after < 0.2 * before
    assert minutes < MINUTES


@pytest.mark.slow
def test_the_emotion_network_learns_thirty_two_pictures_by_heart(tmp_path: Path) -> None:
    """Measured as the network is used later: averaged weights, running statistics of the batch norms."""
    config, _ = load_recipe("emotion_synthetic")
    config = replace(
        config, data="synthetic:plain", data_size=32, validation="train", validation_batches=2, augment="none",
        ema=0.9, steps=80, validate_every=80, picture_every=80, checkpoint_every=80,
    )  # fmt: skip
    job = Run("emotion_synthetic", "", config, tmp_path / "run")
    job.train(resume=False)
    last = read_metrics(tmp_path / "run/metrics.csv")[-1]
    assert float(last["val/accuracy"]) > 0.9
    assert float(last["val/va_ccc"]) < 0.3
