"""What an install needs: no library that its extra does not name, no display, complete constraints."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
CAPTURE = """
import importlib.abc, sys

FORBIDDEN = {"tensorflow_graphics", "tensorflow_model_optimization", "tensorflow_addons", "tf_keras", "torch"}

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in FORBIDDEN:
            raise ModuleNotFoundError(f"not installed in this test: {name}", name=name)

sys.meta_path.insert(0, Refuse())
from emoca_tf.cli import group, run
sys.exit(run(group, "emoca-tf", ["capture", "sample:astronaut", "-o", sys.argv[1], *sys.argv[2:]]))
"""


def test_a_capture_needs_neither_tensorflow_graphics_nor_model_optimization(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CAPTURE, str(tmp_path / "out"), "--steps", "3"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "out" / "overlay.png").is_file()


def test_constraints_name_versions_and_no_hosts() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    pattern = r"[A-Za-z0-9._-]+==[\w.+]+( *; *python_version *(>=|<) *'3\.11')?"
    assert [line for line in pins if not re.fullmatch(pattern, line)] == []
    assert len(pins) > 90


def test_capture_is_callable_whatever_was_imported_before() -> None:
    code = (
        "import emoca_tf.capture.versions, emoca_tf; assert callable(emoca_tf.capture); "
        "from emoca_tf import capture; assert callable(capture)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
