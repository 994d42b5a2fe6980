#!/usr/bin/env python3
"""Whether another TensorFlow reads a bundle's networks: the offline APK's runtime is older than what converts them.

    python3.11 -m venv /tmp/old && /tmp/old/bin/pip install tensorflow-cpu==2.16.1
    /tmp/old/bin/python android_demo/tools/check_runtime.py BUNDLE

Runs every network on the bundle's golden inputs and prints the largest difference; exit code 1 beyond the tolerance.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf


def outputs(model: Path, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Outputs by name of one network."""
    interpreter = tf.lite.Interpreter(model_path=str(model))
    signatures = interpreter.get_signature_list()
    if signatures:
        runner = interpreter.get_signature_runner(next(iter(signatures)))
        shapes = {name: tensor["shape"] for name, tensor in runner.get_input_details().items()}
        return dict(runner(**{name: values.reshape(shapes[name]) for name, values in inputs.items()}))
    interpreter.allocate_tensors()
    for tensor in interpreter.get_input_details():
        interpreter.set_tensor(tensor["index"], inputs[tensor["name"]].reshape(tensor["shape"]))
    interpreter.invoke()
    return {tensor["name"]: interpreter.get_tensor(tensor["index"]) for tensor in interpreter.get_output_details()}


def main() -> int:
    """Command line."""
    if len(sys.argv) != 2 or not (Path(sys.argv[1]) / "manifest.json").is_file():
        print("usage: check_runtime.py BUNDLE (a folder written by: convert --tflite --bundle DIR)", file=sys.stderr)
        return 2
    folder = Path(sys.argv[1])
    manifest = json.loads((folder / "manifest.json").read_text())

    def array(name: str) -> np.ndarray:
        entry = manifest["arrays"][name]
        return np.fromfile(folder / entry["file"], entry["dtype"]).reshape(entry["shape"])

    print(f"TensorFlow {tf.__version__}")
    worst = 0.0
    for test in manifest["golden"]:
        if test["stage"] not in manifest["stages"]:
            continue
        inputs = {name: array(key).astype(np.float32) for name, key in test["inputs"].items()}
        found = outputs(folder / manifest["stages"][test["stage"]], inputs)
        off = max(float(np.abs(found[name].ravel() - array(key).ravel()).max()) for name, key in test["outputs"].items())
        worst = max(worst, off / test["tolerance"])
        print(f"{test['stage']:>12}: off by {off:.1e}, tolerance {test['tolerance']:.0e}", flush=True)
    return 0 if worst <= 1 else 1


if __name__ == "__main__":
    sys.exit(main())
