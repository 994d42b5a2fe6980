"""The command line: light to start, one line for a mistake."""

from __future__ import annotations

import errno
import json
import subprocess
import sys

import click
import pytest

from emoca_tf.cli import COMMANDS, group, run
from emoca_tf.errors import UserError


def test_help_and_import_load_none_of_the_heavy_libraries() -> None:
    code = (
        "import sys, emoca_tf, emoca_tf.cli as c; c.run(c.group, 'emoca-tf', ['--help']);"
        "heavy = {'tensorflow', 'keras', 'mediapipe', 'scipy', 'cv2', 'numba'};"
        "print(sorted({m.split('.')[0] for m in sys.modules} & heavy))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.splitlines()[-1] == "[]"
    assert all(name in told for name in COMMANDS)


def test_every_listed_command_exists() -> None:
    context = click.Context(group)
    for name in COMMANDS:
        command = group.get_command(context, name)
        assert command is not None
        assert command.help


def test_an_unknown_command_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(group, "emoca-tf", ["captur"]) == 2
    told = capsys.readouterr().err.strip()
    assert "captur" in told
    assert "\n" not in told


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (UserError("two\nlines"), 2, "two lines"),
        (OSError(errno.ENOSPC, "No space left on device", "x.obj"), 1, "cannot write x.obj: No space left on device"),
        (ModuleNotFoundError("no tf", name="tensorflow"), 2, "pip install 'emoca-tf[tf]'"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_failures_become_one_line_and_an_exit_code(
    error: BaseException, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command()
    def failing() -> None:
        raise error

    assert run(failing, "emoca-tf", []) == code
    told = capsys.readouterr().err.strip()
    assert message in told
    assert "\n" not in told


def test_programming_errors_are_not_hidden() -> None:
    @click.command()
    def broken() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(broken, "emoca-tf", [])


def test_describe_tells_what_the_default_head_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(group, "emoca-tf", ["describe", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["identity axes"] == 100
    assert len(facts["expression names"]) == facts["expression axes"] == 50
    assert "mouthSmileLeft" in facts["expression names"]
    assert facts["licence"].startswith("CC0-1.0")
    assert run(group, "emoca-tf", ["describe"]) == 0
    assert "mouthSmileLeft" in capsys.readouterr().out
    assert run(group, "emoca-tf", ["describe", "nothing.npz"]) == 2
