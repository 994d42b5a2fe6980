"""Write EMOCA's expression network (ResNet50, official layout) with seeded weights, as a model that ``convert`` takes.

    python benchmarks/seeded_resnet50.py out/seeded_resnet50.npz

The weights follow the rule of ``tests/golden/seeded.py``, with which the official code was run for the golden vectors.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "golden"))

import keras
import seeded

from emoca_tf.encoders.resnet import resnet50_encoder
from emoca_tf.io.npz import write_npz
from emoca_tf.weights.torch_layout import expected_shapes

NAME, EXPRESSIONS = "E_expression", 50


def main() -> None:
    """Write the file given on the command line."""
    if len(sys.argv) != 2:
        sys.exit("usage: python benchmarks/seeded_resnet50.py FILE.npz")
    path = Path(sys.argv[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    shapes = expected_shapes(resnet50_encoder(keras, EXPRESSIONS, NAME))
    write_npz(path, {f"{NAME}.{key}": seeded.tensor(f"{NAME}.{key}", shape) for key, shape in shapes.items()})
    print(f"{path}: {len(shapes)} entries; try: convert --tflite {path} --network expression --recipe auto")


if __name__ == "__main__":
    main()
