"""The jitter benchmark: its measure, its errors, and a clip of one face."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest

from emoca_tf.cli import run
from emoca_tf.errors import UserError


@pytest.fixture(scope="module")
def benchmark():
    path = Path(__file__).parents[2] / "benchmarks" / "jitter.py"
    spec = importlib.util.spec_from_file_location("benchmark_jitter", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def smooth(count: int = 400) -> np.ndarray:
    """Two slow movements and one axis that rests."""
    t = np.linspace(0, 2 * np.pi, count)
    return np.stack([np.sin(t), 0.5 * np.cos(t), np.zeros(count)], 1)


def test_smooth_movement_has_next_to_none_and_noise_has_its_share(benchmark) -> None:
    still = benchmark.jitter(smooth())
    assert still.spread < 1e-3
    assert (still.moving, still.axes) == (2, 3)
    noise = np.random.default_rng(0).normal(0, 0.05, (400, 3))
    found = benchmark.jitter(smooth() + noise)
    expected = 0.05 * 3**0.5 / np.sqrt(smooth().var(0).sum() + 3 * 0.05**2)
    assert found.spread == pytest.approx(expected, rel=0.1)
    assert benchmark.jitter(1000 * (smooth() + noise)).spread == pytest.approx(found.spread)  # no dimension
    assert benchmark.jitter(np.random.default_rng(1).normal(size=(2000, 3))).spread == pytest.approx(1, abs=0.05)


def test_frames_without_a_face_do_not_count(benchmark) -> None:
    series = smooth()
    gap = series.copy()
    gap[100:110] = np.nan
    assert benchmark.jitter(gap).spread == pytest.approx(benchmark.jitter(series).spread, rel=0.2)
    with pytest.raises(UserError, match="three frames in a row"):
        benchmark.jitter(np.where(np.arange(9)[:, None] % 2, np.nan, 1.0) * np.ones((9, 2)))
    with pytest.raises(UserError, match="no axis moves"):
        benchmark.jitter(np.ones((9, 2)))


def test_the_table_of_stored_blendshapes(benchmark, tmp_path: Path, capsys) -> None:
    np.savez(tmp_path / "b.npz", blendshapes=smooth())
    out = tmp_path / "t.md"
    video = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for _ in range(3):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    arguments = ["--video", str(video), "--blendshapes", str(tmp_path / "b.npz"), "--out", str(out)]
    assert run(benchmark.command, "jitter", arguments) == 0
    assert out.read_text() == capsys.readouterr().out
    assert "| MediaPipe blendshapes | 0.000 |" in out.read_text()
    assert [frame.shape for frame in benchmark.frames(video)] == [(48, 64, 3)] * 3
    assert run(benchmark.command, "jitter", ["--video", str(video)]) == 2
    assert "nothing to measure" in capsys.readouterr().err
    with pytest.raises(UserError, match="not a video"):
        next(benchmark.frames(tmp_path / "none.mp4"))
