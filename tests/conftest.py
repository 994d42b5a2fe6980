"""Shared set-up: quiet TensorFlow; this folder's helpers are importable from every test."""

import fcntl
import os
import sys
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path[:0] = [
    str(Path(__file__).parent),
    str(Path(__file__).parent / "training"),
    str(Path(__file__).parent / "golden"),
]


@pytest.fixture(scope="session")
def bundle_folder(tmp_path_factory) -> Path:
    """A complete bundle of tiny networks, made once however many processes run the tests. Not to be written to."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / "tiny_bundle"
    with (shared / "tiny_bundle.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "manifest.json").is_file():
            import helpers_convert

            helpers_convert.write_tiny_bundle(folder)
    return folder
