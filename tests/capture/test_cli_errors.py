"""``emoca-tf capture`` when something is wrong: one clear line, an exit code, nothing half-written."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_capture import made_up_capture
from PIL import Image

import emoca_tf.capture.api as api
from emoca_tf.capture.api import Capture
from emoca_tf.cli import group, run
from emoca_tf.flame.head import HeadModel


@pytest.fixture(scope="module")
def captured() -> Capture:
    return made_up_capture(HeadModel.load())


@pytest.fixture
def fast(captured: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command with everything but the work between reading and writing."""
    monkeypatch.setattr(api, "capture_all", lambda *_, **__: [captured])


def lines_of(capfd: pytest.CaptureFixture[str]) -> list[str]:
    told = capfd.readouterr().err
    assert "Traceback" not in told
    return [line for line in told.splitlines() if line.startswith("emoca-tf:")]


def refuse(code: int, *path: str) -> Any:
    def raising(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code), *path)

    return raising


def test_the_real_command_says_one_line_and_fails(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "emoca_tf.cli", "capture", "missing.jpg", "-o", "out"],
        cwd=tmp_path, capture_output=True, text=True, timeout=300,
        env={**os.environ, "PYTHONPATH": str(Path(api.__file__).parents[2])},
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1] == "emoca-tf: missing.jpg: no such file"
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_damaged_pictures_are_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (128, 128, 3), np.uint8)
    for suffix in ("jpg", "png", "tiff", "webp", "bmp"):
        whole = tmp_path / f"whole.{suffix}"
        Image.fromarray(picture).save(whole)
        cut = tmp_path / f"cut.{suffix}"
        cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
        assert run(group, "emoca-tf", ["capture", str(cut), "-o", str(tmp_path / "out")]) == 2
        (line,) = lines_of(capfd)
        assert f"cut.{suffix}" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("fast")
def test_outputs_that_cannot_be_folders_are_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").write_text("mine")
    for output in (tmp_path / "mine", tmp_path / "mine" / "below", tmp_path / "mine" / "a" / "b"):
        assert run(group, "emoca-tf", ["capture", "sample:astronaut", "-o", str(output)]) == 2
        (line,) = lines_of(capfd)
        assert "mine is a file; give a folder" in line
    assert run(group, "emoca-tf", ["capture", "sample:astronaut", "-o", str(tmp_path / ("long" * 100))]) == 2
    assert "cannot be a folder" in lines_of(capfd)[0]
    assert (tmp_path / "mine").read_text() == "mine"
    assert list(tmp_path.iterdir()) == [tmp_path / "mine"]


@pytest.mark.usefixtures("fast")
def test_a_folder_without_permission_is_refused_before_any_work(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere, so a mode proves nothing
    monkeypatch.setattr(api, "capture_all", refuse(errno.EIO))
    assert run(group, "emoca-tf", ["capture", "sample:astronaut", "-o", str(tmp_path / "out")]) == 2
    assert "no permission to write there" in lines_of(capfd)[0]


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES])
def test_a_failing_disk_gives_one_line_and_leaves_nothing(
    code: int, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for owner, name in ((Path, "write_bytes"), (Image.Image, "save"), (Path, "replace"), (tempfile, "mkdtemp")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, refuse(code, "the/file"))
            assert run(group, "emoca-tf", ["capture", "sample:astronaut", "-o", str(tmp_path / "out")]) == 1
        (line,) = lines_of(capfd)
        assert os.strerror(code) in line
        assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("fast")
def test_morphs_can_be_left_out(tmp_path: Path) -> None:
    sizes = []
    for option in ("--morphs", "--no-morphs"):
        assert run(group, "emoca-tf", ["capture", "sample:astronaut", "-o", str(tmp_path / option), option]) == 0
        sizes.append((tmp_path / option / "head.glb").stat().st_size)
    assert sizes[0] > 2 * sizes[1]
