"""The Android demo's own scripts, importable from tests: they are no package."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

DEMO = Path(__file__).parents[1] / "android_demo"


def load(path: str) -> ModuleType:
    """A script below ``android_demo`` as a module."""
    name = f"android_demo_{Path(path).stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, DEMO / path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


jvm = load("engine/jvm.py")


def missing_jdk() -> str:
    """Why the JVM tests cannot run, empty if they can."""
    try:
        jvm.java()
    except jvm.EngineError as error:
        return str(error)
    return ""
