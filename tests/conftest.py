"""Shared set-up: quiet TensorFlow; this folder's helpers are importable from every test."""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path[:0] = [
    str(Path(__file__).parent),
    str(Path(__file__).parent / "training"),
    str(Path(__file__).parent / "golden"),
]
