"""Weights files of ours: loaded by one door, refused when changed or when they could run code."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from helpers_checkpoints import CHECKPOINTS

from emoca_tf.errors import UserError
from emoca_tf.io.files import sha256_of
from emoca_tf.io.npz import read_npz, write_npz
from emoca_tf.model import Emoca
from emoca_tf.weights import load, presets
from emoca_tf.weights.card import Card
from emoca_tf.weights.keras_file import CARD_ENTRY, load_keras, save_keras
from emoca_tf.weights.kinds import KINDS
from emoca_tf.weights.load import load_model
from emoca_tf.weights.torch_layout import META, to_state

CARD = Card("emodeca", {"inputs": 153}, {"readout": 1})


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    return {**to_state(KINDS["emodeca"].build(inputs=153)), META: CARD.to_array()}


def test_an_npz_of_ours_gives_its_weights_back(arrays: dict[str, np.ndarray], tmp_path: Path) -> None:
    write_npz(tmp_path / "w.npz", arrays, compress=False)
    loaded = load_model(tmp_path / "w.npz")
    assert loaded.card == CARD
    assert loaded.sha256 == sha256_of(tmp_path / "w.npz")
    np.testing.assert_array_equal(to_state(loaded.model)["model.0.weight"], arrays["model.0.weight"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({META: None}, "no card inside"),
        ({META: np.frombuffer(b"{}", np.uint8)}, "description of the weights is damaged"),
        ({META: Card("magic", {}, {}).to_array()}, "kind 'magic'"),
        ({META: Card("emodeca", {"inputs": 10**9}, {}).to_array()}, "absurd size"),
        *(
            ({META: Card("emodeca", {"exp_limits": limits}, {}).to_array()}, "are no range of numbers")
            for limits in (
                "0 1",
                1.0,
                [0.0],
                [0, 1, 2],
                [1, 0],
                [0, 0],
                [False, True],
                {"0": 1},
                [[0], [1]],
                [0, float("nan")],
                [float("-inf"), 1],
                [0, 10**400],
            )
        ),
        ({META: Card("emodeca", {"inputz": 3}, {}).to_array()}, "do not fit together"),
        ({META: Card("emodeca", {"inputs": 281}, {}).to_array()}, r"\(2048, 153\) in the file, but \(2048, 281\)"),
        ({"model.0.bias": None}, r"1 missing \(model.0.bias\)"),
        ({"extra": np.zeros(1)}, r"1 unused \(extra\)"),
    ],
)
def test_an_npz_that_does_not_fit_its_card_is_refused(
    change: dict[str, np.ndarray | None], reason: str, arrays: dict[str, np.ndarray], tmp_path: Path
) -> None:
    changed = {name: value for name, value in (arrays | change).items() if value is not None}
    write_npz(tmp_path / "w.npz", changed, compress=False)
    with pytest.raises(UserError, match=reason):
        load_model(tmp_path / "w.npz")


def test_official_files_are_sent_to_import_weights_and_unknown_names_listed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="convert it first: emoca-tf import-weights"):
        load_model(CHECKPOINTS / "emoca_small.ckpt")
    with pytest.raises(UserError, match="no weights called 'nonesuch'"):
        load_model("nonesuch")
    with pytest.raises(UserError, match="no such file"):
        load_model(tmp_path / "gone.npz")
    with pytest.raises(UserError, match="no such file"):
        load_model(tmp_path / "gone.keras")


def test_a_keras_file_carries_its_card_and_gives_its_weights_back(tmp_path: Path) -> None:
    model = Emoca(stages=((4, 1),), hidden=8, with_detail=False, layout="none")
    card = Card("deca", {"layout": "none", "with_detail": False}, {})
    save_keras(tmp_path / "w.keras", model, card)
    loaded = load_model(tmp_path / "w.keras")
    assert loaded.card == card
    assert loaded.model.networks.keys() == {"E_flame"}
    image = np.random.default_rng(0).random((1, 224, 224, 3), np.float32)
    np.testing.assert_array_equal(loaded.model.encode(image).exp, model.E_flame(image)[:, 150:200])


def rewritten(path: Path, change: object) -> Path:
    with zipfile.ZipFile(path) as old:
        entries = {e.filename: old.read(e) for e in old.infolist()}
    config = json.loads(entries["config.json"])
    entries["config.json"] = json.dumps(change(config)).encode()  # type: ignore[operator]
    with zipfile.ZipFile(path, "w") as new:
        for name, content in entries.items():
            new.writestr(name, content)
    return path


def test_lambda_layers_and_foreign_classes_are_refused_before_keras_sees_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keras.saving, "load_model", lambda *a, **k: pytest.fail("Keras was asked"))
    inputs = keras.Input((3,))
    hostile = keras.Model(inputs, keras.layers.Lambda(lambda x: x + 1)(inputs))
    hostile.save(tmp_path / "lambda.keras")
    with pytest.raises(UserError, match="Lambda, which none of our models has"):
        load_keras(tmp_path / "lambda.keras")
    plain = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    for module, name, registered in [
        ("os", "system", None), ("keras.layers", "TFSMLayer", None), ("builtins", "eval", "eval"),
        ("subprocess", "Dense", None), ("keras.layers", "Dense", "evil>Dense"), ("os", "Emoca", "emoca_tf>Emoca"),
    ]:  # fmt: skip
        plain.save(tmp_path / "x.keras")
        hostile_layer = {"module": module, "class_name": name, "config": {}, "registered_name": registered}
        path = rewritten(tmp_path / "x.keras", lambda c, layer=hostile_layer: c | {"extra": [{"deep": layer}]})
        with pytest.raises(UserError, match="which none of our models has"):
            load_keras(path)


def test_damaged_keras_files_say_so_in_one_line(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    functional = keras.Model(model.inputs, model.outputs)
    save_keras(tmp_path / "w.keras", functional, CARD)
    data = (tmp_path / "w.keras").read_bytes()
    for broken in (data[:-100], data[: len(data) // 2], b"PK", b""):
        (tmp_path / "broken.keras").write_bytes(broken)
        with pytest.raises(UserError) as refused:
            load_model(tmp_path / "broken.keras")
        assert "\n" not in str(refused.value)
    functional.save(tmp_path / "foreign.keras")
    with pytest.raises(UserError, match=f"has no {CARD_ENTRY}"):
        load_model(tmp_path / "foreign.keras")


def test_presets_are_checked_by_size_and_hash(
    arrays: dict[str, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_npz(tmp_path / "small.npz", arrays, compress=False)
    size = (tmp_path / "small.npz").stat().st_size
    entry = {"name": "small", "file": "small.npz", "bytes": size, "licence": "Apache-2.0", "summary": "test"}
    entry["sha256"] = sha256_of(tmp_path / "small.npz")
    (tmp_path / presets.REGISTRY).write_text(json.dumps([entry]))
    monkeypatch.setattr(load, "preset_file", lambda name: presets.preset_file(name, tmp_path))
    assert load_model("default").card == CARD
    assert load_model("small").card == CARD
    changed = read_npz(tmp_path / "small.npz")
    changed["model.0.bias"] = changed["model.0.bias"] + 1
    write_npz(tmp_path / "small.npz", changed, compress=False)
    with pytest.raises(UserError, match="damaged or were changed"):
        load_model("small")
    (tmp_path / "small.npz").unlink()
    with pytest.raises(UserError, match="are missing"):
        load_model("small")


def test_every_preset_that_ships_is_whole() -> None:
    for name in presets.presets():
        assert presets.preset_file(name).is_file()
