"""Renders that may be moved: what stays true does, and what does not is forgotten."""

from types import SimpleNamespace

import numpy as np
import pytest
from helpers_data import Numbers

from emoca_tf.errors import UserError
from emoca_tf.flame.head import HeadModel
from training.config import Config
from training.datasets.augment import NONE, PRESETS, Augmentation, affine, gentler
from training.datasets.crops import CODES, finish
from training.datasets.landmarks import FLIP_68, FLIP_478
from training.datasets.mixture import Mixture
from training.datasets.movable import AUGMENT_SHARE, Movable
from training.datasets.rendered import render
from training.datasets.synthetic import Synthetic
from training.datasets.taught import BLENDSHAPES, Taught, mirrored_axes
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
    np.testing.assert_array_equal(row["mask"][:, ::-1, 0] * 255, given["mask"])
    for name, table in (("landmarks_mp", FLIP_478), ("landmarks68", FLIP_68)):
        np.testing.assert_allclose(row[name][table], given[name] * [-1, 1, 1], atol=1e-6)


def test_axes_of_both_sides_are_mirror_images_nearly():
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
    for seed, row in enumerate(rows):
        generator = rng(seed)
        generator.uniform(0, 1, 3)  # of the crop's scale and shift, which a framed picture does not use
        matrix = affine(gentler(PRESETS["mobile-tilted"], AUGMENT_SHARE), 224, generator)
        pixels = faces.example(0)["landmarks_mp"][:, :2] * 112 + 112
        order = FLIP_478 if np.linalg.det(matrix[:2, :2]) < 0 else np.arange(478)
        # The map counts pixels by their centres, landmarks are counted from the edge.
        moved = (((pixels - 0.5) @ matrix[:2, :2].T + matrix[:2, 2])[order] + 0.5 - 112) / 112
        np.testing.assert_allclose(row["landmarks_mp"][:, :2], moved, atol=1e-4)


def test_gentler_is_less_of_everything_that_moves():
    whole, less = PRESETS["mobile-tilted"], gentler(PRESETS["mobile-tilted"], AUGMENT_SHARE)
    assert gentler(whole, 1.0) == whole
    assert less.scale == pytest.approx((0.94, 1.1))
    assert less.rotation == pytest.approx(whole.rotation * AUGMENT_SHARE)
    assert less.low_resolution == pytest.approx(whole.low_resolution * AUGMENT_SHARE)
    assert less.flip == whole.flip
    assert gentler(whole, 0.0).scale == (1, 1)


def test_as_an_option_of_the_data(faces, tmp_path):
    path = tmp_path / "faces.npz"
    render(faces, 4, path)
    source = open_source(f"rendered:{path},known=expression", Config(), 0)
    assert isinstance(source, Movable)
    assert len(source) == 4
    with pytest.raises(UserError, match="known=expression is all that there is; received 'pose'"):
        open_source(f"rendered:{path},known=pose", Config(), 0)


def test_renders_of_another_head_are_refused(faces, tmp_path):
    """Their landmarks lie elsewhere, and nothing else would tell."""
    path = tmp_path / "faces.npz"
    render(faces, 2, path)
    stored = dict(np.load(path))
    for other in ({}, {"head": np.array(["0" * 64])}):
        np.savez(path, **{name: value for name, value in stored.items() if name != "head"} | other)
        with pytest.raises(UserError, match="shows another head or an older one"):
            open_source(f"rendered:{path}", Config(), 0)


def test_beside_photographs_with_a_teacher(faces):
    photographs = Taught(Numbers(4), np.full((4, len(BLENDSHAPES)), 0.5, np.float32), HEAD)
    both = Mixture([Movable(faces, HEAD), photographs], [1, 1])
    flipped = Augmentation(flip=1.0)
    render_row, photo_row = (finish(both.example(index, rng()), flipped, rng()) for index in (2, 5))
    assert render_row.keys() == photo_row.keys()
    assert np.isfinite(render_row["exp"]).all()
    assert np.isnan(render_row["teacher_exp"]).all()
    assert np.isnan(photo_row["exp"]).all()
    assert np.isfinite(photo_row["teacher_exp"]).all()
    np.testing.assert_array_equal(render_row["exp"], faces.example(2)["exp"][mirrored_axes(HEAD.expression_names)])


def test_what_does_not_fit_is_told(faces):
    with pytest.raises(UserError, match="needs rendered faces with true codes"):
        Movable(Numbers(2), HEAD)
    with pytest.raises(UserError, match="needs rendered faces with true codes"):
        Movable(Numbers(0), HEAD)
    with pytest.raises(UserError, match="2 expression axes, the pictures 50"):
        Movable(faces, SimpleNamespace(n_exp=2, name="narrow", expression_names=["mouthSmileLeft", "mouthSmileRight"]))
    with pytest.raises(UserError, match="head 'official' has no ARKit axes"):
        Movable(faces, SimpleNamespace(n_exp=50, name="official", expression_names=[f"exp_{k:03d}" for k in range(50)]))
