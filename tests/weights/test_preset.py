"""From trained networks to the file that ships: exact, the same bytes again, refused when it does not fit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers_preset import seeded_mobile, write_weights

from convert.networks import load_source
from emoca_tf.capture.encoded import open_encoder
from emoca_tf.cli import run
from emoca_tf.encoders.mobile import ENCODERS
from emoca_tf.encoders.mobilenet_v3 import TRUNKS
from emoca_tf.errors import UserError
from emoca_tf.flame.head import HeadModel
from emoca_tf.io.npz import read_npz, write_npz
from emoca_tf.weights import presets
from emoca_tf.weights.card import Card
from emoca_tf.weights.load import load_model
from emoca_tf.weights.torch_layout import META, expected_shapes
from training import average, describers, export_preset
from training.config import Config
from training.trained import load_mobile

PACKAGE = Path(presets.__file__).parents[1]
LIMIT = 20_000_000  # bytes of all data in the package


@pytest.fixture(scope="module")
def head() -> HeadModel:
    return HeadModel.load()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, head: HeadModel) -> Path:
    return write_weights(seeded_mobile(head, emotion="small"), tmp_path_factory.mktemp("weights") / "trained.npz")


@pytest.fixture(scope="module")
def exported(source: Path) -> Path:
    path = source.with_name("mobile.npz")
    assert run(export_preset.command, "export_preset", [str(source), "-o", str(path)]) == 0
    return path


def test_the_file_holds_the_networks_in_half_precision_with_a_card(
    source: Path, exported: Path, head: HeadModel
) -> None:
    before, after = read_npz(source), read_npz(exported)
    card = Card.from_json(after.pop(META).tobytes(), "card")
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert after[name].dtype == (np.float16 if value.ndim > 1 else np.float32)
        np.testing.assert_allclose(after[name], value, rtol=1e-3, atol=1e-4)
    assert card.head == {"name": head.name, "sha256": head.sha256()}
    assert card.config["n_exp"] == head.n_exp
    assert card.config["shrink"] == 2
    assert card.config["exp_limits"] == [0, 1]
    assert card.licence
    assert set(card.networks) == {"pose_encoder", "shape_encoder", "expression_encoder", "emotion", "readout"}
    loaded = load_model(exported)
    for name, model in loaded.model.networks.items():
        assert {f"{name}.{key}" for key in expected_shapes(model)} <= after.keys()
    assert "emotion" not in load_model(exported, complete=False).model.networks


def test_expressions_keep_to_the_heads_range_wherever_weights_come_from(
    source: Path, exported: Path, head: HeadModel
) -> None:
    images = np.random.default_rng(0).uniform(0, 1, (2, 224, 224, 3)).astype(np.float32)
    raw = seeded_mobile(head, emotion="small").encode(images).exp.numpy()
    assert raw.min() < -0.1  # the seeded networks leave the range
    assert raw.max() > 0.1
    describe = describers.expression_codes(str(exported))
    for found in (
        load_mobile([str(source)], head).mobile.encode(images).exp,
        load_model(exported).model.encode(images).exp,
        load_source(str(exported), head).networks["expression"].model(images)["exp"],
        describe(images)[:, : head.n_exp],
    ):
        np.testing.assert_allclose(found, raw.clip(0, 1), atol=2e-3)
        assert np.min(found) == 0


def test_a_card_that_tells_no_range_takes_the_heads_where_a_face_is_captured(
    exported: Path, head: HeadModel, tmp_path: Path
) -> None:
    stored = read_npz(exported)
    card = Card.from_json(stored[META].tobytes(), "card")
    config = {name: value for name, value in card.config.items() if name != "exp_limits"}
    write_npz(tmp_path / "old.npz", stored | {META: replace(card, config=config).to_array()})
    photo = np.random.default_rng(0).uniform(0, 1, (224, 224, 3)).astype(np.float32)
    assert load_model(tmp_path / "old.npz").model.encode(photo[None]).exp.numpy().min() < -0.1
    encoder = open_encoder("encoder", [tmp_path / "old.npz"], head)
    assert encoder is not None
    assert encoder.encode(photo).exp.min() == 0
    with pytest.raises(UserError, match="differ in exp_limits; export both with this version"):
        average.mean([exported, tmp_path / "old.npz"])


def test_exporting_what_was_exported_gives_the_same_bytes(exported: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.npz"
    assert run(export_preset.command, "export_preset", [str(exported), "-o", str(again)]) == 0
    assert again.read_bytes() == exported.read_bytes()


def test_an_installed_preset_is_the_default_and_is_checked(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presets, "FOLDER", tmp_path / "data")
    entries = read_npz(exported)
    card = Card.from_json(entries[META].tobytes(), "card")
    export_preset.install(exported, "other", card, "another one")
    made = export_preset.install(exported, "mobile", card, "one line")
    assert list(presets.presets()) == ["mobile", "other"]
    assert presets.preset_file("default") == tmp_path / "data" / "mobile.npz"
    assert made.head == "anny-default"
    assert made.sizes["n_exp"] == 50
    text = (tmp_path / "data" / made.card).read_text()
    assert "research" in text
    assert "expression_encoder" in text
    whole = presets.preset_file("mobile").read_bytes()
    presets.preset_file("mobile").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(UserError, match="damaged or were changed"):
        load_model("mobile")


def test_a_card_tells_the_recipes_without_the_machines_folders(source: Path, tmp_path: Path) -> None:
    config = Config(data="3*packed:/home/someone/faces/mux_train,teacher=blendshapes+4*mosaics:/data/fer.npz", seed=7)
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.json").write_text(config.to_json())
    told = export_preset._recipes(str(folder))
    assert told == [
        {
            "stage": "coarse", "seed": 7, "steps": config.steps, "batch_size": 32, "learning_rate": 5e-5,
            "data": "3*packed:mux_train,teacher=blendshapes+4*mosaics:fer.npz",
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda a: {k: v for k, v in a.items() if not k.startswith("pose_encoder.")}, "no pose_encoder there"),
        (lambda a: a | {"shape_encoder.shape_layers.0.bias": np.full(100, np.nan)}, "no numbers"),
        (lambda a: a | {"shape_encoder.shape_layers.0.weight": np.zeros((300, 960))}, "300"),
        (lambda a: a | {"readout.model.0.weight": np.zeros((16, 99))}, "read-out takes 99 codes"),
    ],
)
def test_what_does_not_fit_is_not_written(
    change: Callable[[dict], dict], reason: str, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    write_npz(tmp_path / "wrong.npz", change(read_npz(source)), compress=False)
    target = tmp_path / "out.npz"
    assert run(export_preset.command, "export_preset", [str(tmp_path / "wrong.npz"), "-o", str(target)]) == 2
    assert reason in capsys.readouterr().err
    assert not target.exists()


def test_a_later_source_replaces_a_read_out_of_another_size(source: Path, head: HeadModel, tmp_path: Path) -> None:
    weights = {"readout.model.0.weight": np.ones((10, 53)), "readout.model.0.bias": np.zeros(10)}
    write_npz(tmp_path / "readout.npz", weights)
    found = load_mobile([str(source), str(tmp_path / "readout.npz")], head)
    assert found.mobile.networks["readout"].count_params() == 540
    assert sum("readout" in line.partition(":")[0] for line in found.lines) == 1


def test_runs_on_another_head_are_refused(source: Path, head: HeadModel, tmp_path: Path) -> None:
    other = replace(head, name="other", v_template=head.v_template * np.float32(1.1))
    other.save(tmp_path / "other.npz")
    run_folder = tmp_path / "run"
    (run_folder / "checkpoints").mkdir(parents=True)
    shutil.copy(source, run_folder / "checkpoints" / "best.npz")
    made = Config(family="mobilenet_v3", head=str(tmp_path / "other.npz"))
    (run_folder / "config.json").write_text(made.to_json())
    with pytest.raises(UserError, match="trained on head 'other'"):
        load_mobile([str(run_folder)], head)
    (run_folder / "config.json").write_text(Config(family="resnet50").to_json())
    with pytest.raises(UserError, match="family resnet50"):
        load_mobile([str(run_folder)], head)


def test_a_file_that_is_too_large_is_refused(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(export_preset, "MAX_BYTES", 1_000_000)
    assert run(export_preset.command, "export_preset", [str(source), "-o", str(tmp_path / "out.npz")]) == 2
    assert "leave networks out" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_all_data_in_the_package_stay_small_and_are_packed() -> None:
    tomllib = pytest.importorskip("tomllib")
    project = PACKAGE.parent / "pyproject.toml"
    patterns = tomllib.loads(project.read_text())["tool"]["setuptools"]["package-data"]["emoca_tf"]
    data = [path for path in PACKAGE.rglob("data/*") if path.is_file()]
    assert sum(path.stat().st_size for path in data) <= LIMIT
    packed = {path for pattern in patterns for path in PACKAGE.glob(pattern)}
    assert set(data) <= packed


def test_the_preset_that_ships_fits_the_head_that_ships(head: HeadModel) -> None:
    for name, preset in presets.presets().items():
        card = load_model(name).card
        assert card.head["sha256"] == head.sha256()
        assert card.config["exp_limits"] == [0, 1]
        assert preset.head == head.name
        assert preset.sizes == {key: value for key, value in card.config.items() if type(value) is int}
        assert (presets.FOLDER / preset.card).is_file()
        assert json.dumps(card.training).find("/") < 0


def test_networks_are_taken_by_name(head: HeadModel, tmp_path: Path) -> None:
    one, other = (write_weights(seeded_mobile(head, trunk=trunk), tmp_path / f"{trunk}.npz") for trunk in TRUNKS)
    mixed = load_mobile([str(one), f"{other}=pose_encoder,shape_encoder,expression_encoder"], head)
    owners = {line.partition(":")[0]: line.rsplit("/", 1)[-1] for line in mixed.lines}
    assert owners == dict.fromkeys(ENCODERS, other.name) | {"readout": one.name}
    with pytest.raises(UserError, match="no network pose; there are"):
        load_mobile([f"{one}=pose"], head)


def test_a_gain_changes_the_expression_and_not_what_is_read(head: HeadModel) -> None:
    images = np.random.default_rng(0).uniform(0, 1, (2, 224, 224, 3)).astype(np.float32)
    mobile = seeded_mobile(head, trunk="separable")
    codes = mobile.encode(images)
    read = mobile.read(codes)["expression"].numpy()
    export_preset.amplify(mobile.networks["expression_encoder"], mobile.networks["readout"], 1.5)
    louder = mobile.encode(images)
    np.testing.assert_allclose(louder.exp, 1.5 * codes.exp.numpy(), atol=1e-5)
    np.testing.assert_allclose(louder.pose, codes.pose, atol=1e-6)
    np.testing.assert_allclose(mobile.read(louder)["expression"], read, atol=1e-4)
    mobile.keep_in_range((0.0, 0.25))
    assert louder.exp.numpy().max() > 0.25
    np.testing.assert_allclose(mobile.encode(images).exp, louder.exp.numpy().clip(0, 0.25), atol=1e-6)


def flat_channels(name: str, kernel: np.ndarray) -> int:
    return kernel.shape[2 if name.endswith("depthwise") else -1]


def test_kernels_on_the_grid_have_at_most_255_values_a_channel(head: HeadModel) -> None:
    encoder = seeded_mobile(head, trunk="separable").networks["expression_encoder"]
    kernels = {layer.name: layer.get_weights()[0] for layer in encoder.layers if layer.weights}
    export_preset.to_grid(encoder)
    for name, kernel in kernels.items():
        changed = encoder.get_layer(name).get_weights()[0]
        flat, was = (
            np.moveaxis(k, 2 if name.endswith("depthwise") else -1, -1).reshape(-1, flat_channels(name, k))
            for k in (changed, kernel)
        )
        step = np.maximum(np.abs(was).max(0), 1e-9) / 127  # what is added starts at zero
        np.testing.assert_allclose(flat / step, np.round(flat / step), atol=1e-3, err_msg=name)
        assert (np.abs(flat - was) <= step * 0.501).all()


def test_the_mean_of_two_files_is_halfway_and_tells_of_both(exported: Path, tmp_path: Path) -> None:
    stored = read_npz(exported)
    card = Card.from_json(stored[META].tobytes(), "card")
    other, out = tmp_path / "other.npz", tmp_path / "mean.npz"
    moved = {name: (value + 0.25).astype(value.dtype) for name, value in stored.items() if name != META}
    write_npz(other, moved | {META: replace(card, training=[{"stage": "coarse"}]).to_array()})
    assert run(average.command, "average", [str(exported), str(other), "-o", str(out)]) == 0
    found = read_npz(out)
    assert Card.from_json(found.pop(META).tobytes(), "card").training == [*card.training, {"stage": "coarse"}]
    assert found.keys() == moved.keys()
    for name, value in found.items():
        assert value.dtype == stored[name].dtype
        np.testing.assert_allclose(value, stored[name].astype(np.float64) + 0.125, rtol=2e-3, atol=1e-3)
    load_model(out)


def test_files_that_have_no_mean_are_refused(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = read_npz(exported)
    card = Card.from_json(stored[META].tobytes(), "card")
    bare, fewer, elsewhere = (tmp_path / f"{name}.npz" for name in ("bare", "fewer", "elsewhere"))
    write_npz(bare, {name: value for name, value in stored.items() if name != META})
    write_npz(fewer, dict(list(stored.items())[3:]) | {META: stored[META]})
    write_npz(elsewhere, stored | {META: replace(card, head={"name": "other", "sha256": "0"}).to_array()})
    for others, word in (([], "two or more"), ([bare], "no card"), ([fewer], "same networks"), ([elsewhere], "head")):
        sources = [str(exported), *map(str, others)]
        assert run(average.command, "average", [*sources, "-o", str(tmp_path / "mean.npz")]) == 2
        assert word in capsys.readouterr().err
    assert run(average.command, "average", [str(exported), str(exported), "-o", str(tmp_path / "mean.txt")]) == 2
    assert not list(tmp_path.glob("mean*"))
