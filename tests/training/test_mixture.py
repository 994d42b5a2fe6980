"""Mixed sources: shares, what a part does not know, taught codes, rendered files."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from helpers_data import Numbers

from emoca_tf.errors import UserError
from emoca_tf.flame.head import HeadModel
from training.config import Config
from training.datasets.augment import NONE, Augmentation
from training.datasets.crops import finish
from training.datasets.mixture import Mixture
from training.datasets.packed import Mosaics
from training.datasets.pipeline import batches
from training.datasets.rendered import Rendered, render
from training.datasets.sampling import balanced_weights
from training.datasets.source import EXPRESSIONS, Labels
from training.datasets.synthetic import Synthetic
from training.datasets.taught import BLENDSHAPES, Taught, mirrored_axes, taught_codes
from training.inputs import open_sources

HEAD = HeadModel.load()


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    path = tmp_path_factory.mktemp("rendered") / "faces.npz"
    source = Synthetic(6, seed=3, free=0.5)
    render(source, 6, path)
    return source, path


def test_rendered_pictures_are_those_of_the_endless_source(rendered):
    source, path = rendered
    stored = Rendered(path)
    assert list(stored.ids) == list(source.ids[:6])
    np.testing.assert_array_equal(stored.labels.expression, source.labels.expression)
    rng = np.random.default_rng(0)
    for index in range(6):
        mine, theirs = stored.example(index, rng), source.example(index, rng)
        assert np.abs(mine["image"].astype(int) - theirs["image"]).mean() < 3  # JPEG
        np.testing.assert_array_equal(mine["mask"], theirs["mask"])
        for name in ("exp", "pose", "cam", "shape", "tex", "light", "landmarks_mp", "landmarks68"):
            np.testing.assert_array_equal(mine[name], theirs[name])


def test_free_faces_have_no_class_and_unusual_movements():
    source = Synthetic(400, seed=1, free=0.5)
    without = source.labels.expression < 0
    assert 0.4 < without.mean() < 0.6
    assert np.isnan(source.labels.valence[without]).all()
    blink = [HEAD.expression_names.index(f"eyeBlink{side}") for side in ("Left", "Right")]
    exps = np.array([source.codes(int(i))["exp"] for i in np.flatnonzero(without)[:120]])
    assert (np.abs(np.diff(exps[:, blink], axis=1)) > 0.4).mean() > 0.03  # winks
    assert exps.min() >= 0
    assert exps.max() <= 1
    assert (Synthetic(400, seed=1).labels.expression >= 0).all()


def test_rendered_refuses_other_files(tmp_path):
    np.savez(tmp_path / "other.npz", id=np.array(["a"]))
    with pytest.raises(UserError, match="no rendered faces"):
        Rendered(tmp_path / "other.npz")


def test_shares_are_exact_over_every_period():
    parts = [Numbers(50), Numbers(7), Numbers(30)]
    mixture = Mixture(parts, [3, 2, 4])
    order = mixture.order(5, balanced=False, ring=1, power=1.0)
    bounds = mixture.starts
    for period in range(5):
        drawn = [int(np.searchsorted(bounds, order(9 * period + k), side="right")) - 1 for k in range(9)]
        assert Counter(drawn) == {0: 3, 1: 2, 2: 4}
    once = [order(p) for p in range(9 * 50 // 3)]
    assert len({i for i in once if i < 50}) == 50  # a whole epoch of the first part, each picture once
    with pytest.raises(UserError, match="ring"):
        mixture.order(5, balanced=False, ring=2, power=1.0)


def test_parts_with_classes_are_balanced_and_others_are_drawn_whole():
    classes = np.array([0] * 90 + [3] * 10)
    unlabelled = Synthetic(20, seed=0, free=0.5)
    mixture = Mixture([Numbers(100, classes), unlabelled], [1, 1])
    order = mixture.order(0, balanced=True, ring=1, power=1.0)
    drawn = np.array([order(p) for p in range(2000)])
    first = drawn[drawn < 100]
    assert 0.4 < (mixture.labels.expression[first] == 3).mean() < 0.6
    assert len(np.unique(drawn[drawn >= 100])) == 20


def test_power_softens_the_balance():
    expression = np.array([0] * 100 + [1])
    assert balanced_weights(expression)[-1] == pytest.approx(0.5)
    assert balanced_weights(expression, 0.5)[-1] == pytest.approx(1 / 11)
    assert balanced_weights(expression, 0.0)[-1] == pytest.approx(1 / 101)


def test_batches_of_a_mixture_mark_what_is_unknown(rendered):
    _, path = rendered
    blend = np.full((8, 52), 0.1, np.float32)
    blend[3] = np.nan
    photos = Taught(Numbers(8, np.zeros(8, int)), blend, HEAD)
    mixture = Mixture([Rendered(path), photos], [1, 1])
    batch = next(iter(batches(mixture, batch_size=8, seed=0, augment=NONE)))
    synthetic = np.array([name.startswith(b"synthetic") for name in batch["id"].numpy()])
    assert synthetic.sum() == 4
    assert np.isfinite(batch["exp"].numpy()).all(1).tolist() == synthetic.tolist()
    assert np.isnan(batch["teacher_exp"].numpy()[synthetic]).all()
    assert np.isfinite(batch["landmarks_mp"].numpy()).all()


def test_taught_codes_stretch_blendshapes_and_add_what_labels_say():
    rng = np.random.default_rng(0)
    blend = rng.uniform(0, 0.05, (300, 52)).astype(np.float32)
    squint, smile = BLENDSHAPES.index("eyeSquintLeft"), BLENDSHAPES.index("mouthSmileLeft")
    blend[:, squint] += 0.4
    blend[100:200, smile] = 0.8
    blend[7] = np.nan
    classes = np.repeat([EXPRESSIONS.index(name) for name in ("neutral", "happy", "sad")], 100)
    exp, jaw = taught_codes(blend, Labels.of_classes(classes), HEAD, 0.6)
    place = HEAD.expression_names.index
    known = np.arange(300) != 7
    assert exp[:100][known[:100], place("eyeSquintLeft")].mean() < 0.1  # its rest is not a squint
    assert exp[100:200, place("mouthSmileLeft")].min() > 0.9
    assert exp[200:, place("mouthFrownLeft")].min() >= 0.6 * 0.8 - 1e-6
    assert exp[:100][known[:100], place("mouthFrownLeft")].mean() < 0.2
    assert np.isnan(exp[7]).all()
    assert np.isnan(jaw[7]).all()
    assert exp[known].min() >= 0
    assert exp[known].max() <= 1


def test_mirroring_exchanges_the_sides_of_taught_codes():
    names = HEAD.expression_names
    mirror = mirrored_axes(names)
    np.testing.assert_array_equal(mirror[mirror], np.arange(len(names)))
    assert names[mirror[names.index("mouthSmileLeft")]] == "mouthSmileRight"
    assert names[mirror[names.index("jawLeft")]] == "jawRight"
    blend = np.zeros((4, 52), np.float32)
    blend[:, BLENDSHAPES.index("mouthSmileLeft")] = [0, 0, 0, 1]
    source = Taught(Numbers(4), blend, HEAD)
    rng = np.random.default_rng(0)
    straight = finish(source.example(3, rng), NONE, rng)["teacher_exp"]
    flipped = finish(source.example(3, rng), Augmentation(flip=1.0), rng)["teacher_exp"]
    left, right = names.index("mouthSmileLeft"), names.index("mouthSmileRight")
    assert straight[left] == flipped[right] == 1
    assert straight[right] == flipped[left] == 0


def test_taught_names_what_does_not_fit(tmp_path):
    with pytest.raises(UserError, match="expected 52"):
        Taught(Numbers(3), np.zeros((2, 52), np.float32), HEAD)
    with pytest.raises(UserError, match=r"faces_blendshapes\.npz"):
        Taught.beside(Numbers(3), tmp_path / "faces.npz", HEAD)
    np.savez(tmp_path / "faces_blendshapes.npz", id=np.array(["n0", "n2"]), blendshapes=np.zeros((2, 52)))
    with pytest.raises(UserError, match="no blendshapes of n1"):
        Taught.beside(Numbers(3), tmp_path / "faces.npz", HEAD)


def test_small_pictures_get_a_border_that_goes_on_as_they_end(tmp_path):
    image = np.full((2, 48, 48), 200, np.uint8)
    np.savez(tmp_path / "small.npz", image=image, id=np.array(["a", "b"]), label=np.array([0, 1]))
    source = Mosaics(tmp_path / "small.npz", border=5)
    rng = np.random.default_rng(0)
    assert source.example(0, rng)["image"].shape == (58, 58, 3)
    shrunk = finish(source.example(0, rng), Augmentation(scale=(0.7, 0.7)), rng)["image"]
    assert shrunk.min() > 0.75  # no black frame


def test_mixture_in_a_recipe(rendered, tmp_path):
    _, path = rendered
    config = Config(data=f"2*rendered:{path}+1*rendered:{path}")
    sources = open_sources(config)
    assert len(sources.training) + len(sources.validation) == 12
    with pytest.raises(UserError, match="validation"):
        open_sources(Config(data=f"2*rendered:{path}+1*rendered:{path}", validation="train"))
    with pytest.raises(UserError, match="teacher"):
        open_sources(Config(data=f"rendered:{path},teacher=magic"))
