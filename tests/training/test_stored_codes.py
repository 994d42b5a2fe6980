"""Stored codes as a source, and the small read-out that learns from them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from emoca_tf.emotion.default import default_network
from emoca_tf.encoders.mobile import mobile_config
from emoca_tf.encoders.mobilenet_v3 import expression_encoder, pose_encoder, shape_encoder
from emoca_tf.errors import UserError
from emoca_tf.flame.head import HeadModel
from emoca_tf.weights.torch_layout import to_state
from training import evaluate, inputs, stages
from training.checkpoint import Progress
from training.config import load_recipe
from training.datasets.codes import StoredCodes
from training.loop import Trainer
from training.trained import load_mobile

RNG = np.random.default_rng(0)


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """Two files of codes whose first three expression axes tell the class; some rows without a face."""
    for name in ("mux", "fer"):
        expression = np.arange(120) % 3
        feat = RNG.normal(0, 0.3, (120, 53)).astype(np.float32)
        feat[np.arange(120), expression] += 1
        feat[:4] = np.nan
        ids = np.array([f"{name}_{k}" for k in range(120)])
        np.savez(tmp_path / f"{name}.npz", id=ids, feat=feat, expression=expression)
    return tmp_path


def test_stored_codes_come_back_as_they_were(stored: Path) -> None:
    source = StoredCodes(stored / "mux.npz")
    assert len(source) == 116
    row = source.example(0, RNG)
    with np.load(stored / "mux.npz") as arrays:
        np.testing.assert_array_equal(np.concatenate([row["exp"], row["pose"][3:]]), arrays["feat"][4])
        assert source.labels.expression[0] == arrays["expression"][4]
    np.savez(stored / "bare.npz", id=np.array(["a"]), feat=np.zeros((1, 53)))
    with pytest.raises(UserError, match="no expression"):
        StoredCodes(stored / "bare.npz")


def test_the_small_readout_learns_from_stored_codes_and_joins_the_mobile_weights(
    stored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, _ = load_recipe("readout_mobile")
    data = f"1*codes:{stored / 'mux.npz'}+2*codes:{stored / 'fer.npz'}"
    config = replace(recipe, data=data, batch_size=32, steps=60, learning_rate=3e-3)
    sources = inputs.open_sources(config)
    stage = stages.build(config)
    stage.prepare(sources.training.labels)
    trainer = Trainer(stage, config, tf.distribute.get_strategy())
    right = []
    for step, batch in zip(range(60), inputs.batches(sources, config, (0, 1), 0, True), strict=False):
        right.append(float(trainer.train_step(batch, tf.constant(step, tf.int64))["accuracy"]))
    assert np.mean(right[-10:]) > 0.9 > np.mean(right[:3])
    run = stored / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "config.json").write_text(config.to_json())
    trainer.state().save(run / "checkpoints" / "best.npz", Progress())
    assert evaluate.main(["--dataset", f"codes:{stored / 'mux.npz'}", "--readout", str(run)]) == 0
    accuracy = next(line for line in capsys.readouterr().out.splitlines() if "accuracy" in line)
    assert float(accuracy.split("|")[3]) > 0.9

    head = HeadModel.load()
    parts = {
        "pose_encoder": pose_encoder(keras), "shape_encoder": shape_encoder(keras, head.n_shape),
        "expression_encoder": expression_encoder(keras, head.n_exp), "emotion": default_network(keras),
        "readout": stage.networks["readout"],
    }  # fmt: skip
    named = {f"{name}.{key}": value for name, model in parts.items() for key, value in to_state(model).items()}
    expected = stage.networks["readout"](np.ones((2, 53), np.float32), training=False)
    np.savez(stored / "whole.npz", **named)
    np.savez(stored / "encoders.npz", **{k: v for k, v in named.items() if "_encoder." in k})
    for sources_of in ([str(stored / "whole.npz")], [str(stored / "encoders.npz"), str(run)]):
        mobile = load_mobile(sources_of, head).mobile
        got = mobile.networks["readout"](np.ones((2, 53), np.float32), training=False)
        for key in ("expression", "valence", "arousal"):
            np.testing.assert_allclose(got[key], expected[key], atol=1e-4)
        assert ("emotion" in mobile.networks) == (len(sources_of) == 1)
    assert mobile_config({k: v.shape for k, v in named.items()})["emotion"] == "default"
