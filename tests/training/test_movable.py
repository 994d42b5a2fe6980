"""Renders that may be moved: what stays true does, and what does not is forgotten."""

import numpy as np
import pytest

from emoca_tf.errors import UserError
from emoca_tf.flame.head import HeadModel
from training.config import Config
from training.datasets.augment import NONE, PRESETS, Augmentation, gentler
from training.datasets.crops import CODES, finish
from training.datasets.movable import GENTLY, Movable
from training.datasets.rendered import render
from training.datasets.synthetic import Synthetic
from training.datasets.taught import mirrored_axes
from training.inputs import open_source

HEAD = HeadModel.load()


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def faces() -> Synthetic:
    return Synthetic(4, 5, free=1.0, head=HEAD)


def test_unmoved_it_is_the_same_picture_with_fewer_codes(faces):
    given, row = finish(faces.example(1), NONE, rng()), finish(Movable(faces, HEAD).example(1, rng()), NONE, rng())
    for name in ("image", "mask", "exp"):
        np.testing.assert_array_equal(row[name], given[name])
    for name in ("landmarks_mp", "landmarks68"):
        np.testing.assert_allclose(row[name], given[name], atol=1e-5)
    assert row["pose"][3] == given["pose"][3]
    known = {name for name in CODES if np.isfinite(row[name]).any()}
    assert known == {"exp", "pose"}
    assert np.isnan(row["pose"][:3]).all()


def test_mirrored_the_sides_change_places(faces):
    given, source = faces.example(2), Movable(faces, HEAD)
    row = finish(source.example(2, rng()), Augmentation(flip=1.0), rng())
    np.testing.assert_array_equal(row["exp"], given["exp"][mirrored_axes(HEAD.expression_names)])
    np.testing.assert_allclose(row["pose"][3:], given["pose"][3:] * [1, -1, -1])
    assert (row["exp"] != given["exp"]).any()
    np.testing.assert_allclose(row["image"][:, ::-1] * 255, given["image"], atol=1)


def test_a_mirrored_render_is_the_render_of_the_mirrored_codes():
    """Truth of the truth: the head's axes of both sides are mirror images, nearly."""
    from scipy.spatial import cKDTree

    template = HEAD.v_template
    other = cKDTree(template).query(template * [-1, 1, 1])[1]
    basis = HEAD.shapedirs[:, :, HEAD.n_shape :]
    mirrored = (basis[other] * np.array([-1, 1, 1])[:, None])[:, :, mirrored_axes(HEAD.expression_names)]
    gap = np.linalg.norm(mirrored - basis, axis=(0, 1)) / np.linalg.norm(basis, axis=(0, 1))
    assert np.median(gap) < 0.05
    assert gap.max() < 0.4  # cheekPuff
    unpaired = np.linalg.norm(basis[other] * np.array([-1, 1, 1])[:, None] - basis, axis=(0, 1))
    assert np.median(unpaired / np.linalg.norm(basis, axis=(0, 1))) > 1  # without exchange they are others


def test_landmarks_follow_and_every_visit_moves_anew(faces):
    source = Movable(faces, HEAD)
    rows = [finish(source.example(0, rng(k)), PRESETS["mobile-tilted"], rng(k)) for k in range(3)]
    assert len({row["landmarks_mp"][1, :2].tobytes() for row in rows}) == 3
    before, after = faces.example(0)["landmarks_mp"], rows[0]["landmarks_mp"]
    spread = [np.linalg.norm(points[33, :2] - points[263, :2]) for points in (before, after)]
    assert 0.9 < spread[1] / spread[0] < 1.15


def test_gentler_is_less_of_everything_that_moves():
    whole, less = PRESETS["mobile-tilted"], gentler(PRESETS["mobile-tilted"], GENTLY)
    assert gentler(whole, 1.0) == whole
    assert less.scale == pytest.approx((0.94, 1.1))
    assert less.rotation == pytest.approx(whole.rotation * GENTLY)
    assert less.low_resolution == pytest.approx(whole.low_resolution * GENTLY)
    assert less.flip == whole.flip
    assert gentler(whole, 0.0).scale == (1, 1)


def test_in_a_recipe(faces, tmp_path):
    path = tmp_path / "faces.npz"
    render(faces, 4, path)
    source = open_source(f"rendered:{path},known=expression", Config(), 0)
    assert isinstance(source, Movable)
    assert len(source) == 4
    with pytest.raises(UserError, match="known=expression is all that there is; received 'pose'"):
        open_source(f"rendered:{path},known=pose", Config(), 0)


class Photographs(Synthetic):
    def example(self, index, generator=None):
        return {"image": np.zeros((9, 9, 3), np.uint8)}


def test_what_does_not_fit_is_told():
    with pytest.raises(UserError, match="needs pictures with true codes"):
        Movable(Photographs(2), HEAD)
    other = HeadModel.load()
    narrow = type("Head", (), {"n_exp": 7, "name": "narrow", "expression_names": ["a"] * 7})()
    with pytest.raises(UserError, match="7 expression axes"):
        Movable(Synthetic(2, head=other), narrow)
