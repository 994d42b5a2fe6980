"""The painted albedo of the default head."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import emoca_tf
from emoca_tf.flame.head import HeadModel
from emoca_tf.rendering.albedo import AlbedoModel
from emoca_tf.rendering.albedo_fields import fields
from emoca_tf.rendering.build_albedo import BASIS_SIZE, build
from emoca_tf.rendering.uv_space import uv_table


@pytest.fixture(scope="module")
def model() -> AlbedoModel:
    return AlbedoModel.load("default")


def test_layout_is_flames_and_the_file_is_small(model: AlbedoModel) -> None:
    assert model.mean.shape == (256, 256, 3)
    assert model.basis.shape == (256, 256, 3, 50)
    assert len(set(model.component_names)) == 50
    package = Path(emoca_tf.__file__).parent
    sizes = [p.stat().st_size for p in package.rglob("*.npz")]
    assert sum(sizes) <= 20 * 2**20


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


def region(model: AlbedoModel, name: str) -> np.ndarray:
    head = HeadModel.load()
    inside = np.zeros(head.n_vertices, bool)
    inside[head.masks[name]] = True
    table = uv_table(head, 256)
    return (table.triangles >= 0) & inside[table.vertex_ids].all(2)


def test_every_component_shows_and_stays_where_its_name_says(model: AlbedoModel) -> None:
    size = np.abs(model.basis).max((0, 1, 2))
    assert size.min() > 0.005
    assert size.max() < 0.3
    eyes, scalp = region(model, "eyeballs"), region(model, "scalp")
    for name in ("iris blue", "iris lightness", "sclera brightness"):
        component = np.abs(model.basis[..., model.component_names.index(name)]).sum(2)
        assert component[eyes].sum() > 20 * component[scalp].sum()
    hair = np.abs(model.basis[..., model.component_names.index("hair lightness")]).sum(2)
    assert hair[scalp].mean() > 50 * hair[eyes].mean()


def test_whites_of_the_eyes_are_no_lamps_and_irises_are_wide_enough(model: AlbedoModel) -> None:
    eyes = model.mean[region(model, "eyeballs")]
    assert np.quantile(eyes.mean(1), 0.9) < 0.8
    pixel = model.mean[226, 30].mean()  # middle of the right eye's chart
    assert pixel < 0.1
    assert (eyes.mean(1) < 0.4).sum() > 600


def test_left_and_right_half_of_the_mean_face_look_alike(model: AlbedoModel) -> None:
    brightness = model.mean[:180].mean(2)
    assert np.abs(brightness - brightness[:, ::-1]).mean() < 0.03


def test_painting_again_gives_the_committed_file(tmp_path: Path) -> None:
    build(HeadModel.load()).save(tmp_path / "albedo.npz", basis_size=BASIS_SIZE)
    committed = Path(emoca_tf.__file__).parent / "rendering" / "data" / "default_albedo.npz"
    assert (tmp_path / "albedo.npz").read_bytes() == committed.read_bytes()
