"""The phone's engine on a JVM against the Python bundle path, on the same frames with the same networks.

    python benchmarks/engine_jvm.py BUNDLE      # written by: convert --tflite --bundle DIR

Prints milliseconds a frame by stage, bytes allocated a frame, and the ratios of medians and of least times (the ones to
look at on a busy machine), with one thread and XNNPACK on both sides. What this machine takes says nothing of phones.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from emoca_tf.capture.bundle import Bundle
from emoca_tf.io.images import read_image

ENGINE = Path(__file__).parents[1] / "android_demo" / "engine"
ROUNDS = 200  # as many as on the JVM


def frame() -> np.ndarray:
    """The sample photo as a camera frame of 640 x 480."""
    return np.ascontiguousarray(cv2.resize(read_image("sample:astronaut"), (640, 640))[:480])


def python_milliseconds(bundle: Bundle, image: np.ndarray) -> tuple[float, float]:
    """Median and least of detection to emotion."""
    times = []
    for _ in range(ROUNDS + 5):
        start = time.perf_counter()
        bundle.look(image, bundle.detect(image)[0])
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times[5:]), 1000 * min(times[5:])


def main() -> int:
    """Command line."""
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    sys.path.insert(0, str(ENGINE))
    import expected

    bundle, image = Bundle(sys.argv[1]), frame()
    with tempfile.TemporaryDirectory() as folder:
        expected.write(bundle, Path(folder), [("frame", image)])
        command = [sys.executable, str(ENGINE / "jvm.py"), "bench", "--bundle", sys.argv[1], "--expected", folder]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    print(done.stdout)
    if done.returncode:
        return done.returncode
    jvm = map(float, re.findall(r"^total +([0-9.]+) +([0-9.]+)", done.stdout, re.MULTILINE)[0])
    print("a frame from detection to emotion")
    for what, ours, theirs in zip(("median", "least"), jvm, python_milliseconds(bundle, image), strict=True):
        print(f"{what:7} JVM engine {ours:7.2f} ms, Python bundle {theirs:7.2f} ms, JVM / Python = {ours / theirs:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
