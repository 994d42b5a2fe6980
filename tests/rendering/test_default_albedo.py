"""The painted albedo of the default head."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import emoca_tf
from emoca_tf.flame.head import HeadModel
from emoca_tf.rendering.albedo import AlbedoModel
from emoca_tf.rendering.build_albedo import fields


@pytest.fixture(scope="module")
def model() -> AlbedoModel:
    return AlbedoModel.load("default")


def test_layout_is_flames_and_the_file_is_small(model: AlbedoModel) -> None:
    assert model.mean.shape == (256, 256, 3)
    assert model.basis.shape == (256, 256, 3, 50)
    assert len(set(model.component_names)) == 50
    package = Path(emoca_tf.__file__).parent
    sizes = [p.stat().st_size for p in package.rglob("*.npz")]
    assert sum(sizes) <= 8 * 2**20


def test_colours_are_colours_and_melanin_spans_light_to_dark(model: AlbedoModel) -> None:
    assert model.mean.min() >= 0
    assert model.mean.max() <= 1
    melanin = model.basis[..., model.component_names.index("melanin")]
    skin = np.abs(melanin).sum(2) > 0.2
    dark, light = ((model.mean + sign * melanin)[skin].mean() for sign in (2, -2))
    assert dark < 0.35
    assert light > 0.7


def test_brows_and_lips_lie_where_the_landmarks_are() -> None:
    head = HeadModel.load()
    corners = head.v_template[head.f[head.landmarks["full"].faces_idx.reshape(-1)]]
    marks = (corners * head.landmarks["full"].bary_coords.reshape(-1, 3, 1)).sum(1).astype(np.float64)
    brows, nose, lips = marks[[19, 24]], marks[[30]], marks[[51, 57]]
    painted = fields(head, np.concatenate([brows, nose, lips]))
    assert painted["brows"][:2].min() > 0.3
    assert painted["brows"][2:].max() < 0.05
    assert painted["lips"][3:].min() > 0.3
    assert painted["lips"][:3].max() < 0.05
