"""The probe measures what features hold, no more and no less."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from emoca_tf.errors import UserError
from training.datasets.source import Labels
from training.probe import Probe, Split, class_measures, interval, measured, read_features, split_of


def faces(count: int, seed: int, telling: bool = True) -> Split:
    rng = np.random.default_rng(seed)
    expression = rng.integers(0, 3, count)
    features = rng.normal(0, 0.5, (count, 6))
    if telling:
        features[np.arange(count), expression] += 3
    valence = features[:, 4] * 0.6 + rng.normal(0, 0.1, count)
    return Split(features, expression, valence, np.full(count, np.nan), np.arange(count) // 2)


@pytest.mark.parametrize("kind", ["logreg", "mlp"])
def test_telling_features_are_read_and_noise_is_not(kind: str) -> None:
    test = faces(120, 2)
    probe = Probe(kind, faces(240, 0), faces(90, 1))
    assert class_measures(test.expression, probe.classes(test))["UAR"] > 0.95  # type: ignore[arg-type]
    found = measured(test, None, {"valence": probe.values("valence", test)}, 10)
    rows = {(label, name): value for label, name, value, _ in found}
    assert rows["valence", "CCC"] > 0.85
    assert probe.values("arousal", test) is None
    blind = Probe(kind, faces(240, 0, telling=False), faces(90, 1, telling=False))
    unreadable = faces(120, 2, telling=False)
    assert class_measures(unreadable.expression, blind.classes(unreadable))["UAR"] < 0.5  # type: ignore[arg-type]


def test_pictures_without_features_count_as_wrong() -> None:
    test = faces(60, 2)
    probe = Probe("logreg", faces(240, 0), faces(90, 1))
    half = test.features.copy()
    half[::2] = np.nan
    lost = Split(half, test.expression, test.valence, test.arousal, test.groups)
    assert class_measures(lost.expression, probe.classes(lost))["accuracy"] < 0.55  # type: ignore[arg-type]


def test_intervals_resample_whole_persons() -> None:
    truth = np.repeat([0, 1], 50)
    predicted = np.where(np.arange(100) % 50 < 40, truth, 1 - truth)
    wide = interval(class_measures, truth, predicted, np.arange(100) // 10)["accuracy"]
    narrow = interval(class_measures, truth, predicted, np.arange(100))["accuracy"]
    assert wide[0] < narrow[0] < 0.8 < narrow[1] < wide[1]


def test_feature_files_are_joined_by_id(tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", id=np.array(["b", "a", "z"]), feat=np.array([[2.0], [1.0], [9.0]]))
    source = SimpleNamespace(ids=["a", "b", "c", "d"], labels=Labels.of_classes(np.array([0, 1, 2, 7])), persons=None)
    split = split_of(source, read_features(tmp_path / "f.npz"), "here")
    np.testing.assert_array_equal(split.features[:, 0], [1, 2, np.nan])  # contempt is left out
    assert split.found.tolist() == [True, True, False]


def test_wrong_feature_files_are_told(tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", ids=np.array(["a"]))
    with pytest.raises(UserError, match="'id' and 'feat'"):
        read_features(tmp_path / "f.npz")
    np.savez(tmp_path / "f.npz", id=np.array(["a"]), feat=np.zeros((2, 3)))
    with pytest.raises(UserError, match="one row an id"):
        read_features(tmp_path / "f.npz")
    source = SimpleNamespace(ids=["q"], labels=Labels.unknown(1), persons=None)
    with pytest.raises(UserError, match="none of its 1 pictures"):
        split_of(source, {"a": np.zeros(3)}, "here")
