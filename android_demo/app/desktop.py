#!/usr/bin/env python3
"""The plain part of the app on a desktop JVM: its tests, and drawings with its own layout, matrices, mesh and shading.

    python android_demo/app/desktop.py test [--bundle DIR]      # JUnit; with a bundle the networks' thread too
    python android_demo/app/desktop.py test --bundle DIR --recordings DIR   # and what the app would share, written there
    python android_demo/app/desktop.py draw-head DIR SIZE plain|mirrored
    python android_demo/app/desktop.py draw-screen DIR STRINGS PNG WIDTH HEIGHT DENSITY TEXT over|alone

Compiler and libraries are those of the engine (``../engine/jvm.py``). Standard library only.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent / "build"
sys.path[:0] = [str(HERE.parent / "engine"), str(HERE.parent / "tools")]

import fetch  # noqa: E402
import jvm  # noqa: E402

PROGRAMS = {"draw-head": "org.emoca.demo.DrawHeadKt", "draw-screen": "org.emoca.demo.DrawScreenKt"}


def compiled() -> tuple[Path, str]:
    """Classes of the tests, and the class path to run them."""
    stdlib = jvm.tool("kotlin-stdlib")
    engine_tests, engine_path = jvm.compile_tests()  # the desktop's TensorFlow Lite runtime is among them
    engine = jvm.compile_engine()
    plain = jvm.compile_kotlin(HERE / "src" / "plain" / "kotlin", BUILD / "plain", [engine, *stdlib])
    libraries = [plain, engine_tests, engine, jvm.compile_runtime(), *stdlib, *jvm.tool("junit")]
    tests = jvm.compile_kotlin(HERE / "src" / "jvmTest" / "kotlin", BUILD / "jvm-test", libraries, friends=plain)
    return tests, jvm.path(tests, plain) + os.pathsep + engine_path


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=("test", *PROGRAMS))
    parser.add_argument("arguments", nargs="*")
    parser.add_argument("--bundle", help="folder written by: convert --tflite --bundle DIR")
    parser.add_argument("--recordings", help="a folder for the recording that a test makes of the bundle's photo")
    options = parser.parse_args()
    try:
        tests, class_path = compiled()
        command = [jvm.java(), "-Xmx1500m", "-Djava.awt.headless=true", *_properties(options), "-cp", class_path]
        if options.what == "test":
            command += ["org.junit.platform.console.ConsoleLauncher", "execute", "--disable-banner", "--details", "summary",
                        "--fail-if-no-tests", "--scan-class-path", str(tests)]  # fmt: skip
        else:
            command += [PROGRAMS[options.what], *options.arguments]
        return subprocess.run(command, check=False).returncode
    except (jvm.EngineError, fetch.FetchError) as error:
        print(f"desktop: {error}", file=sys.stderr)
        return 1


def _properties(options: argparse.Namespace) -> list[str]:
    given = {"emoca.bundle": options.bundle, "emoca.recordings": options.recordings}
    return jvm.native_options() + [f"-D{name}={Path(value).resolve()}" for name, value in given.items() if value]


if __name__ == "__main__":
    sys.exit(main())
