#!/usr/bin/env python3
"""Prove a bundle before it goes to a phone: engine and app on a desktop JVM, on the app's own runtime, against Python.

    python android_demo/tools/prove_bundle.py                  # the bundle in the app's assets
    python android_demo/tools/prove_bundle.py BUNDLE --slow    # another one; 10,000 mutated bundles and frames too
    python android_demo/tools/prove_bundle.py BUNDLE --video FILE

Whatever `convert --tflite --bundle` writes: every network must repeat its golden vectors, and the sample photo and every
frame of a video must give Python's codes (1e-3), vertices (0.1 mm) and emotion, read by the same network, each within
what Python itself changes by when the last bits of the pixels differ, besides. Exit code 1
where they do not. Needs a JDK 17 or newer.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

DEMO = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(DEMO / "engine"), str(DEMO.parent)]

import expected  # noqa: E402
import jvm  # noqa: E402

from emoca_tf.capture.bundle import Bundle  # noqa: E402
from emoca_tf.errors import UserError  # noqa: E402

ASSETS = DEMO / "app" / "src" / "main" / "assets" / "bundle"
WORTH_SAYING = ("pictures compared", "bytes allocated", "golden outputs", "plain kernels", " refused", " tests ", "Failures", "=> ")


def prove(folder: Path, video: str | None, slow: bool) -> bool:
    """Whether everything holds; says what was compared.

    Raises:
        UserError: the folder is no bundle, or no face is in the pictures.
        jvm.EngineError: there is no JDK.
    """
    jvm.java()
    bundle = Bundle(folder)
    manifest = bundle.manifest
    emotion = next((stage for stage in ("readout", "emotion") if stage in bundle), "nothing")
    print(f"{folder}: weights {manifest['weights']}, head {manifest['head']['name']}, emotion read by: {emotion}")
    pictures = (
        [("frame", frame) for frame in expected.video_file(video, 10_000)] if video else list(expected.sample_pictures())
    )
    with tempfile.TemporaryDirectory() as seen:
        listed = expected.write(bundle, Path(seen), pictures)["pictures"]
        faces = sum(entry["face"] is not None for entry in listed)
        if not faces:
            raise UserError(f"the bundle's detector finds no face in the {len(listed)} pictures")
        print(f"Python: {len(listed)} pictures, a face in {faces}", flush=True)
        engine = [DEMO / "engine" / "jvm.py", "test", "--bundle", folder, "--expected", seen]
        good = _run("engine", *engine, *(["--slow"] if slow else []))
    return _run("app", DEMO / "app" / "desktop.py", "test", "--bundle", folder) and good


def _run(what: str, *command: object) -> bool:
    done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    for line in lines if done.returncode else [line for line in lines if any(word in line for word in WORTH_SAYING)]:
        print(f"{what}: {line}")
    if done.returncode:
        print(f"{what}: {done.stderr.strip()[-2000:]}", file=sys.stderr)
    return done.returncode == 0


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundle", nargs="?", type=Path, default=ASSETS, help="default: the one in the app's assets")
    parser.add_argument("--video", help="a video file instead of the sample photo and its synthetic video")
    parser.add_argument("--slow", action="store_true", help="10,000 mutated bundles and frames too")
    options = parser.parse_args()
    try:
        good = prove(options.bundle, options.video, options.slow)
    except (UserError, jvm.EngineError) as error:
        print(f"prove_bundle: {error}", file=sys.stderr)
        return 1
    print(f"{options.bundle}: {'proved' if good else 'NOT proved'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
