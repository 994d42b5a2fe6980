"""Two worker processes on loopback train like one process with the doubled batch."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import toy
from toy import CONFIG, toy_run

from emoca_tf.errors import UserError
from training.journal import read_metrics, series
from training.machines import prepare

STEPS = 20


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def run_workers(program: list[str], workers: int = 2, timeout: float = 300) -> None:
    """The same program once per worker; worker 0 writes the files."""
    cluster = {"worker": [f"127.0.0.1:{port}" for port in free_ports(workers)]}
    processes = []
    for index in range(workers):
        setting = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
        root = str(Path(toy.__file__).parents[2])
        environment = os.environ | {"TF_CONFIG": setting, "PYTHONPATH": root, "TF_CPP_MIN_LOG_LEVEL": "3"}
        command = [sys.executable, *program]
        pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        processes.append(subprocess.Popen(command, env=environment, text=True, **pipes))  # type: ignore[call-overload]
    try:
        for process in processes:
            _, errors = process.communicate(timeout=timeout)
            assert process.returncode == 0, errors[-3000:]
    finally:  # a worker whose partner failed waits for it for ever
        for process in processes:
            process.kill()
            process.communicate()


def curve(folder: Path, name: str = "loss") -> np.ndarray:
    return series(read_metrics(folder / "metrics.csv"), name)[1]


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of a single process."""
    folder = tmp_path_factory.mktemp("one")
    toy_run(folder, replace(CONFIG, steps=STEPS)).train(resume=False)
    return folder


def assert_same_run(two: Path, one: Path) -> None:
    assert len(curve(two)) == STEPS
    for name in ("loss", "reg", "gradient_norm"):
        np.testing.assert_allclose(curve(two, name), curve(one, name), rtol=1e-4)
    # Averaged weights of a nearly solved problem: rounding is a larger share of 0.008 than of the losses before it.
    np.testing.assert_allclose(curve(two, "val/loss"), curve(one, "val/loss"), atol=1e-5)


def test_two_workers_train_like_one_with_the_doubled_batch(tmp_path: Path, one: Path) -> None:
    run_workers([toy.__file__, str(tmp_path / "two"), str(STEPS)])
    assert_same_run(tmp_path / "two", one)


def test_two_devices_of_one_machine_train_like_one_with_the_doubled_batch(tmp_path: Path, one: Path) -> None:
    """MirroredStrategy, as with several GPUs."""
    root = str(Path(toy.__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": root, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, toy.__file__, str(tmp_path / "two"), str(STEPS), "2"]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert_same_run(tmp_path / "two", one)


def test_a_batch_that_does_not_divide_and_a_damaged_tf_config_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("{", '{"cluster": {}}', "[]"):
        monkeypatch.setenv("TF_CONFIG", text)
        with pytest.raises(UserError, match="TF_CONFIG"):
            prepare(CONFIG)


@pytest.mark.slow
def test_two_workers_render_and_train_the_coarse_stage_like_one(tmp_path: Path) -> None:
    """The renderer's kernels run inside each worker.

    Statistics stand still and the rate is small: batch norms of an untrained network and Adam's first steps, whose size
    does not depend on the gradient's, make large differences of rounding (docs/scaling.md).
    """
    program = str(Path(toy.__file__).parents[2] / "training/train.py")
    settings = [
        "family=separable", "still=true", "learning_rate=1e-6", "batch_size=4", "shrink=2", f"steps={STEPS}",
        "checkpoint_every=20", "validate_every=20", "picture_every=20", "validation_batches=1",
    ]  # fmt: skip
    arguments = ["default", *(part for setting in settings for part in ("--set", setting))]
    run_workers([program, *arguments, "--out", str(tmp_path / "two")], timeout=3600)
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, program, *arguments, "--out", str(tmp_path / "one")]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    two, one = (curve(tmp_path / name) for name in ("two", "one"))
    print(f"loss {one[0]:.6f} -> {one[-1]:.6f}; largest relative difference {np.abs(two / one - 1).max():.2e}")
    assert len(one) == STEPS
    np.testing.assert_allclose(two, one, rtol=1e-4)
    norms = (curve(tmp_path / name, "gradient_norm") for name in ("two", "one"))
    np.testing.assert_allclose(*norms, rtol=2e-3)
