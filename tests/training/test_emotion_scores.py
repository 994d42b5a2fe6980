"""Emotion read from features of labelled pictures: extraction, read-outs, and the benchmark's command."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf

from emoca_tf.cli import run
from emoca_tf.encoders.mobilenet_v3 import expression_encoder
from emoca_tf.errors import UserError
from emoca_tf.flame.head import HeadModel
from emoca_tf.weights.torch_layout import to_state
from training.describers import emotion_network, expression_codes
from training.emotion_scores import corpora, describe_scores, extract, picture, score_as_is

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "emotion.py"
RNG = np.random.default_rng(0)
STEMS = ("train", "dev")


def shade(label: int) -> int:
    """The grey level that gives a class away."""
    return 30 + 50 * label


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures in the two layouts whose brightness is their class (three of them)."""
    root = tmp_path_factory.mktemp("data")
    for name in ("faces_real", "fer2013"):
        (root / name).mkdir()
    labels = np.repeat(np.arange(3), 12).astype(np.int8)
    marks = np.zeros((36, 478, 3), np.int16)
    marks[:, :, :2] = 16 * (20 + 40 * RNG.random((478, 2)))
    for split in STEMS:
        ids = np.array([f"{split}_{k}" for k in range(36)])
        colours = [np.full((80, 80, 3), shade(c), np.uint8) for c in labels]
        parts = [cv2.imencode(".jpg", image)[1] for image in colours]
        np.savez(
            root / f"faces_real/mux_{split}_jpeg.npz",
            id=ids, jpeg=np.concatenate(parts), offset=np.cumsum([0, *map(len, parts)]), label=labels,
            landmarks_x16=marks,
        )  # fmt: skip
        greys = np.stack([np.full((48, 48), shade(c), np.uint8) for c in labels])
        np.savez(root / f"fer2013/fer_{split}.npz", id=ids, image=greys, label=labels)
        shapes = np.eye(3)[labels] + 0.01 * RNG.standard_normal((36, 3))
        np.savez(root / f"faces_real/mux_{split}_blendshapes_pose.npz", id=ids, blendshapes=shapes)
        shapes[:6] = np.nan
        np.savez(root / f"fer2013/fer_{split}_blendshapes.npz", id=ids, blendshapes=shapes)
    return root


def brightness(images: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(images, (1, 2))


def test_a_telling_description_is_read_and_a_blind_one_is_not(folder: Path) -> None:
    sets = corpora(folder)
    assert [c.name for c in sets] == ["mux", "fer"]
    for one in describe_scores(brightness, sets):
        assert one.uar == 1
        assert np.isnan(one.recall["anger"])
        assert (one.missing, one.pictures) == (0, 36)
    blind = describe_scores(lambda images: tf.zeros([tf.shape(images)[0], 2]) + images[:, 0, 0, :2] * 0, sets[:1])
    assert blind[0].uar < 0.5


def test_classes_of_a_network_are_measured_as_they_are(folder: Path) -> None:
    corpus = corpora(folder)[0]
    truth = {name: np.eye(8)[k] for name, k in zip(corpus.dev.ids, corpus.dev.labels.expression, strict=True)}
    assert score_as_is(corpus, truth).accuracy == 1
    lost = dict(list(truth.items())[9:])
    found = score_as_is(corpus, lost)
    assert (found.missing, found.accuracy) == (9, 27 / 36)
    scorn = {name: row + 5 * np.eye(8)[7] for name, row in truth.items()}
    assert score_as_is(corpus, scorn).accuracy == 1  # contempt is left out


def test_pictures_are_the_encoders_crops(folder: Path) -> None:
    for corpus in corpora(folder):
        assert picture(corpus.dev, 0).shape == (224, 224, 3)
        assert abs(int(picture(corpus.dev, 30)[100:120, 100:120].mean()) - shade(2)) <= 2


def test_training_pictures_can_be_fewer(folder: Path) -> None:
    sets = corpora(folder, train_limit=9)
    assert [len(c.train) for c in sets] == [9, 9]
    assert set(sets[0].train.labels.expression) == set(corpora(folder)[0].train.labels.expression)
    with pytest.raises(UserError, match="neither"):
        corpora(folder / "nowhere")


def test_codes_are_expression_and_jaw_of_the_expression_encoder(tmp_path: Path, folder: Path) -> None:
    head = HeadModel.load()
    model = expression_encoder(keras, head.n_exp)
    np.savez(tmp_path / "w.npz", **{f"expression_encoder.{k}": v for k, v in to_state(model).items()})
    describe = expression_codes(str(tmp_path / "w.npz"))
    images = tf.random.stateless_uniform([2, 224, 224, 3], [0, 1])
    out = model(images)
    np.testing.assert_allclose(describe(images)[:, : head.n_exp], out["exp"], atol=1e-4)
    np.testing.assert_allclose(describe(images)[:, head.n_exp : head.n_exp + 3], out["jaw"], atol=1e-4)
    rows = extract(describe, corpora(folder)[0].dev, "codes", batch=16)
    assert len(rows) == 36
    with pytest.raises(UserError, match="no weights there"):
        expression_codes(str(tmp_path / "nothing"))


def test_an_emotion_network_must_be_named() -> None:
    assert emotion_network("default").features(tf.zeros([1, 224, 224, 3])).shape == (1, 256)
    with pytest.raises(UserError, match="no emotion network"):
        emotion_network("none")


@pytest.fixture
def benchmark():
    spec = importlib.util.spec_from_file_location("benchmark_emotion", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_benchmark_writes_a_table(folder: Path, tmp_path: Path, benchmark, capsys) -> None:
    out, kept = tmp_path / "t.md", tmp_path / "kept"
    arguments = ["--data", str(folder), "--blendshapes", "--readout", "logreg", "--out", str(out), "--save", str(kept)]
    assert run(benchmark.command, "emotion", arguments) == 0
    lines = out.read_text().splitlines()
    assert lines == [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len(lines) == 4
    assert "| mux | logreg |" in lines[2]
    assert lines[2].endswith("| 0 of 36 |")
    assert lines[3].endswith("| 6 of 36 |")
    assert len(list(kept.glob("*.npz"))) == 4


def test_without_data_the_benchmark_says_so(benchmark, capsys, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv(benchmark.DATA, raising=False)
    assert run(benchmark.command, "emotion", ["--blendshapes"]) == 0
    assert "nothing measured: no --data given" in capsys.readouterr().out
    assert run(benchmark.command, "emotion", ["--data", str(tmp_path / "gone")]) == 0
    assert "does not exist" in capsys.readouterr().out
