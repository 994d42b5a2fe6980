"""Networks filled by the seeded rule, shared by the encoder and emotion tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import seeded

from emoca_tf.weights.torch_layout import expected_shapes, load_state

GOLDEN = Path(__file__).parent / "golden"


def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "networks.npz") as stored:
        return {name: stored[name] for name in stored.files}


def seed_weights(model: Any, prefix: str) -> Any:
    load_state(model, {name: seeded.tensor(prefix + name, shape) for name, shape in expected_shapes(model).items()})
    return model


def images(values: dict[str, np.ndarray]) -> np.ndarray:
    return values["images_u8"].astype(np.float32) / 255


def assert_tap(activation: np.ndarray, values: dict[str, np.ndarray], name: str) -> None:
    """Mean, deviation and both corners of a whole activation (padding errors show in the corners)."""
    a = np.asarray(activation, np.float64)
    stats = np.stack([a.mean((1, 2, 3)), a.std((1, 2, 3))], 1)
    np.testing.assert_allclose(stats, values[f"{name}/mean_std"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(a[:, :3, :3, :8], values[f"{name}/corner"], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(a[:, -3:, -3:, :8], values[f"{name}/corner2"], rtol=1e-4, atol=1e-4)
