"""A preset to test with: the one that ships, or a seeded stand-in written by the same exporter."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from emoca_tf.encoders.mobile import Mobile
from emoca_tf.flame.head import HeadModel
from emoca_tf.io.npz import write_npz
from emoca_tf.weights.torch_layout import to_state


def seeded_mobile(head: HeadModel, emotion: str = "", shrink: int = 2, trunk: str = "mobilenet_v3") -> Mobile:
    """Random mobile networks whose codes are not those of the mean head (fresh networks give nearly 0)."""
    keras.utils.set_random_seed(5)
    mobile = Mobile(
        keras, head.n_shape, head.n_exp, shrink,
        emotion=emotion, readout_inputs=head.n_exp + 3, readout_hidden=16, readout_depth=2, trunk=trunk,
    )  # fmt: skip
    rng = np.random.default_rng(5)
    for name, spread in (("shape_encoder", 0.4), ("expression_encoder", 0.1), ("pose_encoder", 0.01)):
        for layer in mobile.networks[name].layers:
            if type(layer).__name__ == "Dense":
                kernel, bias = layer.get_weights()
                layer.set_weights([kernel, bias + rng.normal(0, spread, bias.shape)])
    return mobile


def write_weights(mobile: Mobile, path: Path) -> Path:
    """Float32 torch-named arrays, as a run's networks would be written by hand: no card inside."""
    arrays = {f"{n}.{key}": v for n, model in mobile.networks.items() for key, v in to_state(model).items()}
    write_npz(path, arrays, compress=False)
    return path
