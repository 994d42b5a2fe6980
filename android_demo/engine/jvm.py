#!/usr/bin/env python3
"""Build and test the engine on a JDK, without Gradle: the pinned compiler, JUnit and TensorFlow Lite of ../tools.

    python android_demo/engine/jvm.py test --bundle DIR --expected DIR     # JUnit; --slow takes the long ones too
    python android_demo/engine/jvm.py bench --bundle DIR --expected DIR    # milliseconds a stage, allocations a frame
    python android_demo/engine/jvm.py follow --bundle DIR --expected DIR   # how a face in a video is followed
    python android_demo/engine/jvm.py compile                              # only build/engine.jar

``DIR``s come from ``expected.py`` beside this file and ``convert --tflite --bundle``. Needs a JDK 17 or newer
(``$JAVA_HOME`` or ``java`` in the path). Standard library only.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

HERE = Path(__file__).resolve().parent
BUILD = HERE / "build"
sys.path.insert(0, str(HERE.parent / "tools"))

import fetch  # noqa: E402

COMPILER = ("kotlin-compiler", "kotlin-stdlib", "kotlin-script-runtime", "kotlin-reflect", "kotlin-daemon-embeddable",
            "kotlin-build-tools-api", "kotlinx-coroutines", "annotations")  # fmt: skip
RUNTIME = ("tensorflow-lite", "javacpp")
NATIVE = {
    "tensorflow-lite-linux-x86_64": "org/bytedeco/tensorflowlite/linux-x86_64/libjnitensorflowlite.so",
    "javacpp-linux-x86_64": "org/bytedeco/javacpp/linux-x86_64/libjnijavacpp.so",
}
OLDEST_JDK = 17
STAMP = ".complete"


class EngineError(Exception):
    """A step that failed; one line, or the compiler's own."""


def java() -> str:
    """The ``java`` program.

    Raises:
        EngineError: none, or too old a one.
    """
    home = os.environ.get("JAVA_HOME")
    found = shutil.which(str(Path(home) / "bin" / "java") if home else "java")
    if found is None:
        raise EngineError(f"no java found; install a JDK {OLDEST_JDK} or newer, or set JAVA_HOME")
    said = subprocess.run([found, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "((\d+)[^"]*)', said)
    if version is None:
        raise EngineError(f"{found} does not tell its version; the tests need a JDK {OLDEST_JDK} or newer")
    if int(version[2]) < OLDEST_JDK:
        raise EngineError(f"{found} is version {version[1]}; the tests need a JDK {OLDEST_JDK} or newer")
    return found


def tool(*names: str) -> list[Path]:
    """Pinned files, downloaded where they are missing."""
    known = fetch.tools()
    return [fetch.fetch(known[name]) for name in names]


def path(*parts: Path | list[Path]) -> str:
    """A class path."""
    flat = [entry for part in parts for entry in (part if isinstance(part, list) else [part])]
    return os.pathsep.join(str(entry) for entry in flat)


def compile_kotlin(
    sources: Path, out: Path, class_path: list[Path], friends: Path | None = None, jdk: int = 11
) -> Path:
    """Compile a source folder into a folder of classes, unless they are newer than all that they are made of.

    Args:
        sources: searched for ``.kt`` files.
        out: replaced as a whole.
        class_path: archives and folders of classes.
        friends: folder of classes whose internal parts may be used.
        jdk: the Java release whose classes may be used and whose machine runs the result.

    Raises:
        EngineError: the compiler's messages.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with _alone(out.with_suffix(".lock")):
        files = sorted(sources.rglob("*.kt"))
        stamp = out / STAMP
        made_of = [*files, Path(__file__), *(entry / STAMP if entry.is_dir() else entry for entry in class_path)]
        changed = [entry.stat().st_mtime for entry in made_of if entry.exists()]
        if stamp.is_file() and max(changed) <= stamp.stat().st_mtime:
            return out
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        command = [
            java(), "-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", path(tool(*COMPILER)),
            "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler", "-no-stdlib", "-no-reflect", "-Werror",
            f"-Xjdk-release={jdk}", "-cp", path(class_path), "-d", str(out),
        ]  # fmt: skip
        if friends:
            command.append(f"-Xfriend-paths={friends}")
        done = subprocess.run([*command, *map(str, files)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise EngineError(done.stderr.strip() or "the Kotlin compiler failed")
        stamp.touch()
        return out


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Keep other processes out: tests of several workers build the same folders."""
    with lock.open("w") as held:
        if fcntl is not None:
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def compile_engine() -> Path:
    """Classes of ``src/main``; they need kotlin-stdlib alone.

    Held to Java 8's classes, since Android before version 9 to 13 lacks later ones that compile without complaint.
    """
    return compile_kotlin(HERE / "src" / "main" / "kotlin", BUILD / "main", tool("kotlin-stdlib"), jdk=8)


def compile_runtime() -> Path:
    """Classes of ``../runtime``: networks on TensorFlow Lite, the same on a phone and here."""
    sources = HERE.parent / "runtime" / "src" / "main" / "kotlin"
    return compile_kotlin(sources, BUILD / "runtime", [compile_engine(), *tool("kotlin-stdlib", *RUNTIME)], jdk=8)


def compile_tests() -> tuple[Path, str]:
    """Classes of ``src/test`` and the class path to run them."""
    main, runtime = compile_engine(), compile_runtime()
    libraries = [runtime, *tool("kotlin-stdlib", "junit", *RUNTIME)]
    tests = compile_kotlin(HERE / "src" / "test" / "kotlin", BUILD / "test", [main, *libraries], friends=main)
    resources = HERE / "src" / "test" / "resources"
    return tests, path(tests, resources, main, libraries)


def native_options() -> list[str]:
    """Options of ``java`` by which it finds TensorFlow Lite as a phone does: by name, in a folder of libraries."""
    folder = fetch.cache_folder() / "native"
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder / "lock"):
        for name, member in NATIVE.items():
            (jar,), library = tool(name), folder / Path(member).name
            if not library.is_file() or library.stat().st_mtime < jar.stat().st_mtime:
                with zipfile.ZipFile(jar) as packed:
                    library.write_bytes(packed.read(member))
    return [f"-Djava.library.path={folder}", "-Dorg.bytedeco.javacpp.findlibraries=false"]


def run_tests(options: argparse.Namespace) -> int:
    """JUnit over everything; its exit code."""
    tests, class_path = compile_tests()
    tags = [] if options.slow else ["--exclude-tag", "slow"]
    launcher = [
        java(),
        *_properties(options),
        "-Xmx2g",
        "-cp",
        class_path,
        "org.junit.platform.console.ConsoleLauncher",
    ]
    command = [*launcher, "execute", "--disable-banner", "--details", options.details, "--fail-if-no-tests"]
    command += ["--scan-class-path", str(tests), *tags]
    return subprocess.run(command, check=False).returncode


def run_main(name: str, options: argparse.Namespace) -> int:
    """A program of ``src/test``."""
    _, class_path = compile_tests()
    return subprocess.run([java(), *_properties(options), "-Xmx2g", "-cp", class_path, name], check=False).returncode


def _properties(options: argparse.Namespace) -> list[str]:
    given = {"emoca.bundle": options.bundle, "emoca.expected": options.expected}
    return [*native_options(), *(f"-D{name}={Path(value).resolve()}" for name, value in given.items() if value)]


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=("compile", "test", "bench", "follow"))
    parser.add_argument("--bundle", help="folder written by: convert --tflite --bundle DIR")
    parser.add_argument("--expected", help="folder written by expected.py for that bundle")
    parser.add_argument("--slow", action="store_true", help="the long tests too: 10,000 mutated bundles and frames")
    parser.add_argument("--details", default="summary", help="JUnit's: summary, tree, verbose, ...")
    options = parser.parse_args()
    try:
        if options.what == "compile":
            print(compile_engine())
            return 0
        if options.what == "test":
            return run_tests(options)
        return run_main(
            {"bench": "org.emoca.engine.BenchmarkKt", "follow": "org.emoca.engine.FollowingKt"}[options.what], options
        )
    except (EngineError, fetch.FetchError) as error:
        print(f"engine: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
