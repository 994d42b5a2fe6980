"""The head of the recorded pictures."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="session")
def data():
    """Arrays of the recorded head: geometry, camera, light, albedo."""
    return dict(np.load(GOLDEN / "render_head.npz"))


@pytest.fixture(scope="session")
def expected():
    """What the original made of it."""
    return dict(np.load(GOLDEN / "render_expected.npz"))


@pytest.fixture(scope="session")
def head(data):
    arrays = {name: data[name].astype(np.int32) for name in ("f", "uv_faces")}
    return SimpleNamespace(name="synthetic", uv=data["uv"], masks={}, n_vertices=len(data["verts"]), **arrays)


@pytest.fixture(scope="session")
def inputs(data):
    """Batched arguments of ``Renderer``."""
    arrays = {name: data[name][None] for name in ("verts", "cam", "light")}
    arrays["vertices"] = arrays.pop("verts")
    return arrays | {"albedo": data["albedo_u8"][None] / np.float32(255)}
