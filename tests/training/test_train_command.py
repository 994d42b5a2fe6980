"""The command as a stranger meets it: a script in a checkout, dry runs, mistakes, interruption, a full disk."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from test_loop import losses
from toy import toy_run

from emoca_tf.cli import run
from training.config import from_json
from training.journal import read_metrics
from training.train import command, main

SCRIPT = Path(__file__).parents[2] / "training/train.py"
SMALL = ("readout_synthetic", "--set", "batch_size=2", "--set", "data_size=4", "--set", "validation_batches=1")


def train(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The script from another folder, without the checkout on the path."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_a_script_in_a_checkout_trains_resumes_and_refuses_to_overwrite(tmp_path: Path) -> None:
    first = train(*SMALL, "--set", "steps=2", folder=tmp_path)
    assert first.returncode == 0, first.stderr
    home = tmp_path / "runs/readout_synthetic"
    assert f"report: {home.relative_to(tmp_path)}/report.html" in first.stdout
    assert from_json((home / "config.json").read_text()).batch_size == 2
    more = train("readout_synthetic", "--set", "steps=4", "--resume", folder=tmp_path)
    assert more.returncode == 0, more.stderr
    assert [row["step"] for row in read_metrics(home / "metrics.csv")] == ["1", "2", "3", "4"]
    again = train(*SMALL, "--out", str(home), folder=tmp_path)
    assert again.returncode == 2
    assert "not empty" in again.stderr
    assert sum("runs" in line for line in again.stderr.splitlines()) == 1
    assert "Traceback" not in again.stderr


def test_a_dry_run_tells_the_cost_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*SMALL, "--dry-run"]) == 0
    printed = capsys.readouterr().out
    for part in (
        '"batch_size": 2',
        "12,",
        "parameters, learns",
        "training: 4 pictures",
        "s a step",
        "GiB",
        "estimated",
    ):
        assert part in printed
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["defalt"], "did you mean default"),
        (["default", "--set", "bach_size=3"], "did you mean batch_size"),
        (["default", "--resume", "--out", "nowhere"], "nothing to resume"),
        (["coarse", "--set", "weights.emotion=0"], "no such file or folder"),
        (["readout", "--set", "data=synthetic"], "readout needs encoders"),
        (["emotion_synthetic", "--set", "data=synthetc"], "did you mean synthetic"),
    ],
)
def test_mistakes_get_one_line_and_leave_nothing(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_recipes_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    assert "default " in capsys.readouterr().out


def test_an_interrupt_ends_the_step_and_keeps_it(tmp_path: Path) -> None:
    from training.train import stops_between_steps

    job = toy_run(tmp_path / "run")
    step = job.step

    def interrupted(batch: object, number: int) -> dict[str, float]:
        if number == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return step(batch, number)

    job.step = interrupted  # type: ignore[method-assign]
    with stops_between_steps(job):
        assert job.train(resume=False) == 130
    assert job.state.restore(job.last).step == 5
    assert not job.stop
    job.step = step  # type: ignore[method-assign]
    assert job.train(resume=True) == 0
    whole = toy_run(tmp_path / "whole")
    whole.train(resume=False)
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")


def test_a_full_disk_is_one_line_and_the_old_checkpoint_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job = toy_run(tmp_path / "run")
    job.train(resume=False)
    before = job.last.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(job.last))

    monkeypatch.setattr("training.checkpoint.np.savez", full)
    import click

    @click.command()
    def saving() -> None:
        job.state.save(job.last, job.state.restore(job.last))

    assert run(saving, "train", []) == 1
    assert "No space left" in capsys.readouterr().err
    assert job.last.read_bytes() == before
    assert command.name == "command"
