"""Wide layers take smaller steps; everything else is Adam."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from emoca_tf.encoders.mobilenet_v3 import expression_encoder
from training.optimizer import WIDE, CalmAdam

SHAPES = {"wide": (WIDE + 1, 2), "narrow": (WIDE, 2), "kernel": (3, 3, 2 * WIDE, 1), "bias": (2 * WIDE,)}


def moved(optimizer: keras.optimizers.Optimizer, steps: int = 3) -> dict[str, np.ndarray]:
    """How far variables of all shapes move under the same gradients."""
    rng = np.random.default_rng(0)
    variables = {name: keras.Variable(np.zeros(shape, np.float32)) for name, shape in SHAPES.items()}
    optimizer.build(list(variables.values()))
    for _ in range(steps):
        gradients = [rng.normal(size=shape).astype(np.float32) for shape in SHAPES.values()]
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients], list(variables.values()))
    return {name: np.asarray(variable) for name, variable in variables.items()}


@pytest.mark.parametrize("calm", [1.0, 0.1])
def test_only_wide_kernels_are_calm(calm: float) -> None:
    adam, mine = moved(keras.optimizers.Adam(1e-2, epsilon=1e-8)), moved(CalmAdam(1e-2, calm, epsilon=1e-8))
    for name, values in adam.items():
        assert np.abs(values).mean() > 1e-3
        np.testing.assert_allclose(mine[name], values * (calm if name == "wide" else 1), rtol=1e-5, atol=1e-9)


def test_a_schedule_is_followed() -> None:
    def run(kind: type, *options: float) -> dict[str, np.ndarray]:
        return moved(kind(keras.optimizers.schedules.CosineDecay(1e-2, 3), *options))

    adam, mine = run(keras.optimizers.Adam), run(CalmAdam, 0.5)
    np.testing.assert_allclose(mine["narrow"], adam["narrow"], rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(mine["wide"], adam["wide"] * 0.5, rtol=1e-5, atol=1e-9)


def test_the_layers_that_could_fall_silent_are_wide() -> None:
    model = expression_encoder(keras, trunk="separable")
    dense = {layer.name: layer.kernel.shape[0] for layer in model.layers if isinstance(layer, keras.layers.Dense)}
    wide = {name for name, inputs in dense.items() if inputs > WIDE}
    assert wide == {"encoder.place.1", "encoder.fine.1", "encoder.added.0"}
