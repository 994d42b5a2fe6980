"""A machine without a JDK: tests are skipped and say so in plain words, tools end in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import helpers_android as helpers
import pytest

ROOT = helpers.DEMO.parent
TOOLS = (
    ("engine/jvm.py", "test"),
    ("app/desktop.py", "test"),
    ("tools/offline_apk.py", "--bundle", "{bundle}"),
    ("tools/prove_bundle.py", "{bundle}"),
    ("tools/draw_screen.py", "{bundle}", "-o", "{out}"),
)


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "JAVA_HOME": str(home), "PYTHONPATH": str(ROOT)}


def java(folder: Path, version: str) -> Path:
    """A JAVA_HOME with a ``java`` that only tells its version."""
    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    program.chmod(0o755)
    return folder


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: " ".join(tool[:2]))
def test_every_tool_says_so_in_one_line(tool: tuple[str, ...], bundle_folder: Path, tmp_path: Path) -> None:
    places = {"bundle": str(bundle_folder), "out": str(tmp_path / "screen.png")}
    arguments = [part.format(**places) for part in tool[1:]]
    done = subprocess.run(
        [sys.executable, str(helpers.DEMO / tool[0]), *arguments],
        env=environment(tmp_path / "nowhere"), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if "java" in line]
    assert len(lines) == 1, done.stderr
    assert lines[0].endswith("no java found; install a JDK 17 or newer, or set JAVA_HOME")
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_tests_are_skipped_and_the_summary_says_why(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-v", "-rs", "-n", "0", "-p", "no:cacheprovider", "--rootdir", str(ROOT)]
    done = subprocess.run(
        [*command, "tests/android_demo/test_engine.py", "-k", "test_engine_on_the_jvm and not mutations"],
        cwd=ROOT, env=environment(java(tmp_path, "11.0.2")), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 skipped" in done.stdout
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("android_demo/engine:")]
    assert "NOT tested on this machine" in line
    assert line.endswith("java is version 11.0.2; the tests need a JDK 17 or newer")
