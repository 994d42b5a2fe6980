"""Capture by the library's own encoder: the preset that ships, or until one does a seeded stand-in in its place."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers_preset import seeded_mobile, write_weights

from emoca_tf import UserError, capture
from emoca_tf.capture import encoded
from emoca_tf.capture.encoder import CodesEncoder
from emoca_tf.capture.fit import FitOptions
from emoca_tf.cli import group, run
from emoca_tf.emotion.circumplex import CIRCUMPLEX
from emoca_tf.emotion.reading import FROM_CODES, FROM_PICTURE
from emoca_tf.flame.head import HeadModel
from emoca_tf.io.gltf import read_glb
from emoca_tf.weights import presets
from emoca_tf.weights.card import Card
from emoca_tf.weights.load import load_model
from training import export_preset

SHIPS = bool(presets.presets())


@pytest.fixture(scope="module")
def head() -> HeadModel:
    return HeadModel.load()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, head: HeadModel) -> Path:
    """A folder of presets: the package's, or one with a stand-in."""
    if SHIPS:
        return presets.FOLDER
    made = tmp_path_factory.mktemp("preset")
    source = write_weights(seeded_mobile(head), made / "source.npz")
    assert run(export_preset.command, "export_preset", [str(source), "-o", str(made / "mobile.npz")]) == 0
    export_preset.install(
        made / "mobile.npz", "mobile", load_model(made / "mobile.npz").card, "stand-in", made / "data"
    )
    return made / "data"


@pytest.fixture(autouse=True)
def _preset(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presets, "FOLDER", folder)


def test_capture_encodes_by_default_and_every_file_tells_the_emotion(tmp_path: Path, capsys, head: HeadModel) -> None:
    assert run(group, "emoca-tf", ["capture", "sample:astronaut", "-o", str(tmp_path / "out")]) == 0
    told = json.loads((tmp_path / "out" / "capture.json").read_text())
    assert told["method"] == "encoder"
    assert "eyelid" not in told["codes"]  # the default head has no eyelid shapes
    emotion = told["emotion"]
    assert sum(emotion["expression"].values()) == pytest.approx(1, abs=1e-5)
    assert emotion["source"] == FROM_CODES
    expected = sum(p * np.array(CIRCUMPLEX[name]) for name, p in emotion["expression"].items())
    np.testing.assert_allclose([emotion["valence"], emotion["arousal"]], expected, atol=1e-5)
    assert emotion["valence_arousal"] == "derived from the class probabilities"
    label = max(emotion["expression"], key=emotion["expression"].get)
    assert f"emotion: {label}" in capsys.readouterr().out
    assert f"emotion: {label}" in (tmp_path / "out" / "head.obj").read_text().splitlines()[0]
    assert read_glb((tmp_path / "out" / "head.glb").read_bytes())[0]["meshes"][0]["extras"]["emotion"] == emotion
    if SHIPS:
        exp = dict(zip(told["codes"]["exp"]["axes"], told["codes"]["exp"]["values"], strict=True))
        assert min(exp["mouthSmileLeft"], exp["mouthSmileRight"]) > 0.25  # she smiles
        assert max(exp["mouthFrownLeft"], exp["mouthFrownRight"]) < 0.15
        assert told["landmark_error_px"] < 4


def test_fitting_starts_from_the_encoders_codes_and_stays_near_them(head: HeadModel) -> None:
    start = capture("sample:astronaut", head=head)
    options = FitOptions(steps=120, pixel_rounds=0)
    refined = capture("sample:astronaut", head=head, method="fit", options=options)
    assert refined.method == "encoder, then fit"
    assert refined.emotion is not None
    moved = np.linalg.norm(refined.codes.shape - start.codes.shape)
    assert 0 < moved < 0.5 * np.linalg.norm(start.codes.shape)  # from there, not from zero
    assert np.abs(start.codes.shape).max() > 0.2
    inside = np.clip(start.codes.exp, *head.exp_range.T)  # the fit keeps to the head's range
    assert np.abs(refined.codes.exp - inside).max() < 0.3
    for name in ("pose", "cam"):
        assert np.abs(getattr(refined.codes, name) - getattr(start.codes, name)).max() < 0.1
    assert refined.landmark_error < start.landmark_error


def test_a_preset_goes_with_its_head_alone(head: HeadModel) -> None:
    changed = replace(head, v_template=head.v_template * np.float32(1.01))
    with pytest.raises(UserError, match="differs from this"):
        encoded.open_encoder("auto", (), changed)
    assert encoded.open_encoder("auto", (), replace(head, name="mine")) is None
    with pytest.raises(UserError, match="anny-default"):
        encoded.open_encoder(
            "auto", ("mobile",), replace(head, name="mine", f=head.f[:-1], uv_faces=head.uv_faces[:-1])
        )


def test_without_a_read_out_the_picture_tells_the_emotion(head: HeadModel, tmp_path: Path) -> None:
    mobile = seeded_mobile(head, emotion="small")
    del mobile.networks["readout"]
    source = write_weights(mobile, tmp_path / "source.npz")
    assert run(export_preset.command, "export_preset", [str(source), "-o", str(tmp_path / "m.npz")]) == 0
    encoder = CodesEncoder.from_files([tmp_path / "m.npz"])
    image = np.random.default_rng(0).random((2, 224, 224, 3), np.float32)
    seen = encoder.emotion(image, encoder.codes(image))
    assert [one.source for one in seen] == [FROM_PICTURE] * 2
    rows = encoder(image)
    np.testing.assert_allclose([one.valence for one in seen], rows["valence"], atol=1e-5)
    assert "eyelid" not in rows


def test_a_set_of_pictures_is_encoded_with_the_emotion_of_the_codes(head: HeadModel) -> None:
    encoder = CodesEncoder.from_files(["default"])
    image = np.random.default_rng(0).random((2, 224, 224, 3), np.float32)
    rows, codes = encoder(image), encoder.codes(image)
    assert rows.keys() == {*("shape", "tex", "exp", "pose", "cam", "light", "expression_prob", "valence", "arousal")}
    assert encoder.widths == (head.n_shape, head.n_exp)
    np.testing.assert_allclose(rows["exp"], codes.exp, atol=1e-4)
    told = encoder.emotion(image, codes)
    np.testing.assert_allclose(rows["expression_prob"], [list(one.expression.values()) for one in told], atol=1e-4)


def test_the_card_inside_names_the_head() -> None:
    assert isinstance(load_model("default").card, Card)
    assert load_model("default").card.head["name"] == "anny-default"
