"""The head's GLB under the Khronos validator (npm ``gltf-validator``): not one error, not one warning."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from helpers_capture import made_up_capture
from helpers_flame import golden_head
from helpers_gltf import made_up_recording

from emoca_tf.capture.recording import animated_glb, read_recording
from emoca_tf.flame.head import HeadModel

VERSION = "2.0.0-dev.3.10"
SCRIPT = """
const validator = require('gltf-validator'), fs = require('fs');
validator.validateBytes(new Uint8Array(fs.readFileSync(process.argv[1])))
  .then(report => console.log(JSON.stringify(report)));
"""


@pytest.fixture(scope="module")
def validator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which Node finds the validator."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("npm and node are needed to run the Khronos glTF validator")
    folder = tmp_path_factory.mktemp("gltf_validator")
    subprocess.run(
        ["npm", "install", "--no-save", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund",
         "--prefix", str(folder), f"gltf-validator@{VERSION}"],
        check=True, capture_output=True, timeout=300, cwd=folder,
    )  # fmt: skip
    return folder


def clean(path: Path, validator: Path) -> dict[str, Any]:
    """What the validator says of a file in which it finds nothing wrong."""
    told = subprocess.run(
        ["node", "-e", SCRIPT, str(path)], check=True, capture_output=True, text=True, timeout=120, cwd=validator
    )
    report: dict[str, Any] = json.loads(told.stdout)
    issues = report["issues"]
    assert issues["numErrors"] == issues["numWarnings"] == 0, json.dumps(issues["messages"][:5])
    return report["info"]


@pytest.mark.parametrize("kind", ["default", "default, no morphs", "without texture"])
def test_the_khronos_validator_finds_nothing(kind: str, validator: Path, tmp_path: Path) -> None:
    head = golden_head() if kind == "without texture" else HeadModel.load()
    made_up_capture(head).save(tmp_path / "out", morphs="no morphs" not in kind)
    assert clean(tmp_path / "out" / "head.glb", validator)["hasMorphTargets"] == ("no morphs" not in kind)


@pytest.mark.parametrize("kind", ["default", "without texture"])
def test_nor_in_an_animation(kind: str, validator: Path, tmp_path: Path) -> None:
    head = golden_head() if kind == "without texture" else HeadModel.load()
    (tmp_path / "recording.json").write_text(json.dumps(made_up_recording(head)[0]))
    (tmp_path / "head.glb").write_bytes(animated_glb(read_recording(tmp_path / "recording.json"), head))
    info = clean(tmp_path / "head.glb", validator)
    assert info["animationCount"] == 1
    assert info["hasMorphTargets"]
    assert info["hasSkins"]
