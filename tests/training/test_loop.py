"""The loop keeps its promises: resume bit for bit, nothing twice, stop at NaN, one clear line for mistakes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy import CONFIG, toy_run

from emoca_tf.errors import UserError
from emoca_tf.io.npz import read_npz
from training.checkpoint import Progress
from training.journal import Metrics, read_metrics
from training.train import check_same, choose_folder

PROGRAM = Path(__file__).parent / "toy.py"
TIMES = ("seconds", "input_wait")


def losses(folder: Path) -> list[dict[str, str]]:
    """The rows of a run without the columns that measure time."""
    return [{k: v for k, v in row.items() if k not in TIMES} for row in read_metrics(folder / "metrics.csv")]


@pytest.fixture(scope="module")
def server() -> Iterator[subprocess.Popen[str]]:
    """See :func:`toy.serve`."""
    environment = os.environ | {"PYTHONPATH": str(PROGRAM.parents[2]), "TF_CPP_MIN_LOG_LEVEL": "3"}
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, str(PROGRAM), "--serve"], env=environment, text=True, **pipes) as process:
        yield process
        process.stdin.close()  # type: ignore[union-attr]


def run_and_kill(server: Any, folder: Path, kills: int, rng: random.Random) -> int:
    """Train in a folder until it ends by itself, killing it ``kills`` times; how often it really was killed."""
    killed = 0
    while True:
        print(folder, file=server.stdin, flush=True)
        process = int(server.stdout.readline())
        if killed < kills:
            # From the first step on, so that the kill falls into training, a checkpoint or the files' writing.
            rows = len(read_metrics(folder / "metrics.csv"))
            while len(read_metrics(folder / "metrics.csv")) == rows and Path(f"/proc/{process}").exists():
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 0.4))
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        status = int(server.stdout.readline())
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            killed += 1
            continue
        assert status == 0
        return killed


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    toy_run(folder).train(resume=False)
    return folder


def test_a_run_leaves_everything_it_promises(whole: Path) -> None:
    names = {str(path.relative_to(whole)) for path in whole.rglob("*") if path.is_file()}
    assert {"metrics.csv", "report.html", "checkpoints/last.npz", "checkpoints/best.npz", "models/toy.keras"} <= names
    assert any(name.startswith("tensorboard/events") for name in names)
    rows = read_metrics(whole / "metrics.csv")
    assert [int(row["step"]) for row in rows] == list(range(1, CONFIG.steps + 1))
    assert float(rows[-1]["loss"]) < 0.5 * float(rows[0]["loss"])
    assert "data:image/png" in (whole / "report.html").read_text()


def test_killed_runs_resume_bit_for_bit(whole: Path, server: Any, tmp_path: Path) -> None:
    assert run_and_kill(server, tmp_path / "run", 1, random.Random(1)) == 1
    assert losses(tmp_path / "run") == losses(whole)
    for name in ("last", "best"):
        ours, theirs = (read_npz(folder / f"checkpoints/{name}.npz") for folder in (tmp_path / "run", whole))
        assert ours.keys() == theirs.keys()
        assert all(np.array_equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.slow
def test_twenty_kills_change_nothing(whole: Path, server: Any, tmp_path: Path) -> None:
    rng, killed = random.Random(0), 0
    for attempt in range(20):
        folder = tmp_path / f"run{attempt}"
        killed += run_and_kill(server, folder, 1 + attempt % 2, rng)
        assert losses(folder) == losses(whole)
    assert killed >= 20


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    job = toy_run(tmp_path / "run", breaks_at=7)
    with pytest.raises(UserError, match=r"step 8: .*loss.* not finite on pictures toy-\d+, .*last\.npz"):
        job.train(resume=False)
    assert job.state.restore(job.last) == Progress(step=6)
    assert all(np.isfinite(array).all() for array in job.trainer.state().variables.values())


def test_averaged_weights_lag_behind_and_are_put_back(tmp_path: Path) -> None:
    job = toy_run(tmp_path / "run")
    batches = job.batches(0)
    start = [v.numpy() for v in job.trainer.variables]
    job.step(next(batches), 0)
    now = [v.numpy() for v in job.trainer.variables]
    with job.trainer.averaged():
        for before, after, variable in zip(start, now, job.trainer.variables, strict=True):
            np.testing.assert_allclose(variable.numpy(), 0.9 * before + 0.1 * after, rtol=1e-5, atol=1e-7)
    assert all(np.array_equal(v.numpy(), w) for v, w in zip(job.trainer.variables, now, strict=True))


def test_clipping_bounds_the_update_that_adam_sees(tmp_path: Path) -> None:
    job = toy_run(tmp_path / "run", replace(CONFIG, clip_norm=1e-3))
    assert job.step(next(job.batches(0)), 0)["gradient_norm"] > 1e-3
    first_moments = [v.numpy() for v in job.trainer.optimizer.variables[2::2]]
    assert np.sqrt(sum((m**2).sum() for m in first_moments)) == pytest.approx(0.1 * 1e-3, rel=1e-3)


def test_early_stopping_ends_a_run_that_no_longer_improves(tmp_path: Path) -> None:
    config = replace(CONFIG, learning_rate=0.0, validate_every=2, patience=3, steps=1000)
    job = toy_run(tmp_path / "run", config)
    job.train(resume=False)
    assert job.state.restore(job.last).step < 30


def test_a_damaged_checkpoint_is_told(tmp_path: Path) -> None:
    job = toy_run(tmp_path / "run")
    job.state.save(job.last, Progress(3))
    data = bytearray(job.last.read_bytes())
    data[len(data) // 2] ^= 0xFF
    job.last.write_bytes(data)
    with pytest.raises(UserError, match="not a readable"):
        job.state.restore(job.last)


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    job = toy_run(tmp_path / "run")
    arrays = {f"network/toy/{k:04d}": np.zeros(2, np.float32) for k in range(3)}
    np.savez(
        tmp_path / "other.npz", progress=np.frombuffer(b'{"step":1,"best":1,"best_step":1,"stale":0}', "u1"), **arrays
    )
    before = job.trainer.variables[0].numpy()
    with pytest.raises(UserError, match="another configuration"):
        job.state.restore(tmp_path / "other.npz")
    assert np.array_equal(job.trainer.variables[0].numpy(), before)


def test_metrics_are_cut_back_to_the_checkpoint_and_half_lines_dropped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("step,loss\n1,0.5\n2,0.4\n3,0.3\n4,0.")
    Metrics(path, kept_steps=2).write({"step": 3, "loss": 0.25})
    assert path.read_text() == "step,loss\n1,0.5\n2,0.4\n3,0.25\n"


def test_occupied_and_absent_run_directories_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert choose_folder("a", None, False) == Path("runs/a")
    (tmp_path / "runs/a").mkdir(parents=True)
    (tmp_path / "runs/a/config.json").write_text("{}")
    assert choose_folder("a", None, False) == Path("runs/a-2")
    assert choose_folder("a", None, True) == Path("runs/a")
    with pytest.raises(UserError, match="--resume"):
        choose_folder("a", Path("runs/a"), False)
    with pytest.raises(UserError, match="nothing to resume"):
        choose_folder("b", None, True)


def test_resuming_with_other_settings_is_refused_but_a_longer_run_is_not() -> None:
    check_same(CONFIG, replace(CONFIG, steps=99))
    with pytest.raises(UserError, match=r"learning_rate was 0.01, now 1"):
        check_same(CONFIG, replace(CONFIG, learning_rate=1.0))


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_trains_and_leaves_float32_weights(precision: str, tmp_path: Path) -> None:
    import keras

    try:
        job = toy_run(tmp_path / "run", replace(CONFIG, precision=precision))
        batches = job.batches(0)
        values = [job.step(next(batches), step)["loss"] for step in range(8)]
        layer = job.stage.networks["toy"].layers[2]
        assert layer.compute_dtype == precision.removeprefix("mixed_")
        assert all(str(v.dtype) in ("float32", "<dtype: 'float32'>") for v in job.trainer.variables)
        assert values[-1] < values[0]
    finally:
        keras.mixed_precision.set_global_policy("float32")


def test_a_cosine_schedule_ends_at_zero_and_fixes_the_length(tmp_path: Path) -> None:
    config = replace(CONFIG, schedule="cosine", steps=4)
    job = toy_run(tmp_path / "run", config)
    batches = job.batches(0)
    moves = []
    for step in range(5):
        before = job.trainer.variables[0].numpy()
        job.step(next(batches), step)
        moves.append(np.abs(job.trainer.variables[0].numpy() - before).max())
    assert moves[0] > moves[2] > moves[4] == 0
    with pytest.raises(UserError, match="steps was 4, now 8"):
        check_same(config, replace(config, steps=8))
