"""The head's GLB under the Khronos validator (npm ``gltf-validator``): not one error, not one warning."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from helpers_capture import made_up_capture
from helpers_flame import golden_head

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


@pytest.mark.parametrize("kind", ["default", "default, no morphs", "without texture"])
def test_the_khronos_validator_finds_nothing(kind: str, validator: Path, tmp_path: Path) -> None:
    head = golden_head() if kind == "without texture" else HeadModel.load()
    made_up_capture(head).save(tmp_path / "out", morphs="no morphs" not in kind)
    told = subprocess.run(
        ["node", "-e", SCRIPT, str(tmp_path / "out" / "head.glb")],
        check=True, capture_output=True, text=True, timeout=120, cwd=validator,
    )  # fmt: skip
    report = json.loads(told.stdout)
    assert report["info"]["hasMorphTargets"] == ("no morphs" not in kind)
    issues = report["issues"]
    assert issues["numErrors"] == issues["numWarnings"] == 0, json.dumps(issues["messages"][:5])
