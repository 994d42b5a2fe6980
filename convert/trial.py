"""A first run of a new file in a process of its own: some files abort the runtime, and must not abort us.

LiteRT 2.3.0 with XNNPACK ended the process on the int16x8 file of a MobileNetV3 expression encoder.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

SECONDS = 120


def failure(content: bytes, delegates: bool = True) -> str | None:
    """Why the file cannot be used, or None if it loads and gives finite numbers.

    Args:
        content: bytes of the file.
        delegates: with XNNPACK, as an app would run it.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(content)
        command = [sys.executable, "-m", "convert.trial", str(path), str(int(delegates))]
        paths = os.pathsep.join(p for p in sys.path if p)
        try:
            done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False, text=True,
                                  env={**os.environ, "PYTHONPATH": paths})  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"the runtime did not finish one run in {SECONDS} s"
    if done.returncode == 0:
        return None
    if done.returncode < 0:
        return f"the runtime aborts on it (signal {-done.returncode})"
    return (done.stderr.strip().splitlines() or ["unknown failure"])[-1][:240]


def main() -> None:
    """Run the file given on the command line once, on zeros and on halves."""
    from emoca_tf.capture.tflite import TFLiteModel
    from emoca_tf.errors import UserError

    try:
        model = TFLiteModel(Path(sys.argv[1]).read_bytes(), delegates=sys.argv[2] == "1")
        for value in (0.0, 0.5):
            out = model({name: np.full(shape, value, np.float32) for name, (shape, _) in model.inputs.items()})
            if not all(np.isfinite(a).all() for a in out.values()):
                sys.exit("it gives numbers that are not finite")
    except (UserError, RuntimeError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
