"""Official checkpoints: told apart, every tensor accounted for, refused when wrong; and end to end to golden codes."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import seeded
from helpers_checkpoints import CHECKPOINTS, MANIFEST, Lazy, emoca_state, manifest, write_checkpoint
from helpers_networks import golden
from PIL import Image

from emoca_tf.cli import group, run
from emoca_tf.emotion.readout import readout_mlp
from emoca_tf.errors import UserError
from emoca_tf.weights import official
from emoca_tf.weights.kinds import KINDS, identify
from emoca_tf.weights.load import load_model
from emoca_tf.weights.official import import_weights
from emoca_tf.weights.torch_layout import expected_shapes

VALUES = golden()
with np.load(CHECKPOINTS.parent / "imports.npz") as stored:
    EXPECTED = {name: stored[name] for name in stored.files}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "faces"
    folder.mkdir()
    for number, image in enumerate(VALUES["images_u8"]):
        Image.fromarray(image).save(folder / f"{number}.png")
    return folder


def cli(*arguments: object) -> int:
    return run(group, "emoca-tf", [str(a) for a in arguments])


def smirk_state() -> Lazy:
    """SMIRK's three encoders at full size (names and shapes are those of the golden state, which our layers bear)."""
    kind = KINDS["smirk"]
    networks = kind.networks(kind.build(n_shape=300))
    entries = [
        (f"smirk_encoder.{network}.{key}", shape)
        for network, model in networks.items()
        for key, shape in expected_shapes(model).items()
        if not key.startswith(("tex_layers", "light_layers"))
    ]
    return Lazy(entries)


MANIFESTS = {
    "deca": [
        (f"{network}.{name}", tuple(shape))
        for network, entries in MANIFEST["deca_model.tar"]["networks"].items()
        for name, shape, _ in entries
    ],
    "emoca": [
        *manifest("emoca.ckpt", "state_dict_networks"),
        *manifest("emoca.ckpt", "state_dict_to_ignore"),
        *manifest("emoca.ckpt", "state_dict_to_ignore_v2_extra"),
    ],
    "emotion": manifest("emotion_resnet50.ckpt", "state_dict"),
    "emodeca": [*manifest("emodeca.ckpt", "state_dict_mlp"), ("deca.deca.E_flame.layers.2.bias", (236,))],
}


@pytest.mark.parametrize("kind_name", MANIFESTS)
def test_every_name_of_the_real_checkpoints_maps(kind_name: str) -> None:
    state = {name: SimpleNamespace(shape=shape) for name, shape in MANIFESTS[kind_name]}
    kind = identify(list(state), "x")
    assert kind.name == kind_name
    model = kind.build(**kind.config({name: t.shape for name, t in state.items()}))
    expected = {name: expected_shapes(network) for name, network in kind.networks(model).items()}
    reports = official._accounted(kind, expected, state, Path("x"), strict=True)
    assert not any(report.missing or report.unused or report.mismatched for report in reports.values())
    wanted = {name for name in state if not official.is_counter(name) and not official.matches(name, kind.ignore)}
    assert sum(len(report.loaded) for report in reports.values()) == len(wanted)


def test_emoca_checkpoint_to_codes_of_the_official_network(tmp_path: Path, pictures: Path, capsys) -> None:
    """File -> import-weights -> encode --no-detect -> the numbers of the official code, through the command line."""
    state = emoca_state(("E_flame", "E_expression"), foreign=True)
    source = write_checkpoint(tmp_path / "emoca.ckpt", {"epoch": 3, "state_dict": state, "hyper_parameters": {"a": 1}})
    weights, codes = tmp_path / "emoca.npz", tmp_path / "codes.npz"
    assert cli("import-weights", source, "-o", weights) == 0
    told = capsys.readouterr().out
    assert "25,848,108" in told
    assert "25,657,458" in told
    assert "non-commercial" in told
    assert cli("encode", pictures, "--no-detect", "--weights", weights, "--batch", 2, "-o", codes) == 0
    with np.load(codes) as rows:
        vector = VALUES["E_flame/out"]
        np.testing.assert_allclose(rows["exp"], VALUES["E_expression/out"], atol=1e-4)
        np.testing.assert_allclose(rows["shape"], vector[:, :100], atol=1e-4)
        np.testing.assert_allclose(rows["tex"], vector[:, 100:150], atol=1e-4)
        np.testing.assert_allclose(rows["pose"], vector[:, 200:206], atol=1e-4)
        np.testing.assert_allclose(rows["cam"], vector[:, 206:209], atol=1e-4)
        np.testing.assert_allclose(rows["light"].reshape(-1, 27), vector[:, 209:], atol=1e-4)
        assert rows["id"].tolist() == ["0", "1"]
        assert rows["found"].all()
        assert set(rows.files) == {"id", "found", "shape", "tex", "exp", "pose", "cam", "light"}
    card = json.loads(load_card(weights))
    assert card["source_sha256"] == official.sha256_of(source)
    assert card["kind"] == "emoca"
    assert "SHA-256" in (tmp_path / "emoca.npz.card.md").read_text()


def load_card(weights: Path) -> bytes:
    with np.load(weights) as arrays:
        return arrays["meta"].tobytes()


@pytest.mark.parametrize("suffix", ["npz", "keras"])
def test_smirk_checkpoint_to_codes_of_the_official_network(suffix: str, tmp_path: Path, pictures: Path) -> None:
    state = {**smirk_state(), "smirk_generator.conv.weight": np.zeros((1, 1, 1, 1), np.float32)}
    source, weights = write_checkpoint(tmp_path / "SMIRK_em1.pt", state), tmp_path / f"smirk.{suffix}"
    assert cli("import-weights", source, "-o", weights) == 0
    assert cli("encode", pictures, "--no-detect", "--weights", weights, "-o", tmp_path / "codes.npz") == 0
    with np.load(tmp_path / "codes.npz") as rows:
        for name, official_name in (
            ("exp", "expression_params"),
            ("shape", "shape_params"),
            ("eyelid", "eyelid_params"),
        ):
            np.testing.assert_allclose(rows[name], VALUES[f"mobile/out/{official_name}"], atol=1e-4)
        pose = np.concatenate([VALUES["mobile/out/pose_params"], VALUES["mobile/out/jaw_params"]], 1)
        np.testing.assert_allclose(rows["pose"], pose, atol=1e-4)
        np.testing.assert_allclose(rows["cam"], VALUES["mobile/out/cam"], atol=1e-4, rtol=1e-4)
    assert load_model(weights).card.crop_scale == pytest.approx(1.4 / 1.1)


def test_vggface2_pickle_of_python_2_loads_into_the_identity_network(tmp_path: Path) -> None:
    from emoca_tf.emotion.identity import load_identity

    kind = KINDS["identity"]
    shapes = expected_shapes(kind.build())
    state = {name: seeded.tensor(f"idnet.{name}", shape) for name, shape in shapes.items()}
    state["fc.weight"] = np.zeros((8631, 4), np.float32)
    source, weights = tmp_path / "resnet50_ft_weight.pkl", tmp_path / "identity.npz"
    source.write_bytes(pickle.dumps(state, 2))
    assert import_weights(source, weights).card.ignored == 1
    import keras

    model = load_identity(keras, weights)
    np.testing.assert_array_equal(model.get_layer("conv1").kernel, state["conv1.weight"].transpose(2, 3, 1, 0))


REFUSED = {
    "deca_model_small_legacy.tar": r"encoder.conv1.weight has shape \(2, 3, 7, 7\) in the file, but \(64, 3, 7, 7\)",
    "wrong_shapes.tar": r"E_flame.encoder.conv1.weight has .*; E_flame.layers.2.weight has shape \(235, .* \(236,",
    "missing_keys.tar": r"missing \(",
    "head_53_only.ckpt": r"E_expression \(53 outputs\): \d+ missing",
    "head_56_only.ckpt": r"E_expression \(56 outputs\): \d+ missing",
    "html_page.tar": "web page",
    "truncated.tar": "cut off",
    "short_storage.tar": "claims 944 bytes",
    "evil_system.tar": "posix.system",
    "evil_exec.ckpt": "__builtin__.exec",
    "evil_exec_legacy.ckpt": "__builtin__.exec",
    "empty.ckpt": "is empty",
    "odd_tensors.pt": "none of the known checkpoints",
    "generic_model_small.pkl": "none of the known checkpoints",
    "landmark_embedding_small.npy": "NumPy array",
}


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_and_hostile_files_are_refused_in_one_line_and_nothing_is_written(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    import re

    monkeypatch.chdir(tmp_path)
    assert cli("import-weights", CHECKPOINTS / name, "-o", tmp_path / "out.npz") == 2
    told = capfd.readouterr().err.strip().splitlines()[-1]
    assert told.startswith("emoca-tf: ")
    assert re.search(REFUSED[name], told), told
    assert list(tmp_path.iterdir()) == []


def test_strict_refuses_and_no_strict_lists_what_does_not_fit(tmp_path: Path, capsys) -> None:
    state = dict(smirk_state())
    del state["smirk_encoder.pose_encoder.encoder.bn1.bias"]
    state["smirk_encoder.pose_encoder.stranger"] = state["unheard.of"] = np.zeros(3, np.float32)
    source = write_checkpoint(tmp_path / "SMIRK_em1.pt", state)
    with pytest.raises(UserError, match=r"1 missing \(encoder.bn1.bias\); 1 unused \(stranger\).*unheard.of.*--no-s"):
        import_weights(source, tmp_path / "out.npz")
    assert not (tmp_path / "out.npz").exists()
    assert cli("import-weights", source, "-o", tmp_path / "out.npz", "--no-strict") == 0
    told = capsys.readouterr().out
    assert "pose_encoder.encoder.bn1.bias" in told
    assert "2 unused (smirk_encoder.pose_encoder.stranger, unheard.of)" in told
    loaded = load_model(tmp_path / "out.npz")
    assert "pose_encoder.encoder.bn1.bias" in loaded.card.missing
    assert loaded.card.unused == ["smirk_encoder.pose_encoder.stranger", "unheard.of"]


@pytest.mark.parametrize("output", ["weights.h5", "weights"])
def test_outputs_of_another_suffix_are_refused(output: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"\.npz or \.keras"):
        import_weights(CHECKPOINTS / "emoca_small.ckpt", tmp_path / output)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["npz", "keras"])
def test_full_emoca_with_detail_imports_within_60_s_and_2_gb(suffix: str, tmp_path: Path, pictures: Path) -> None:
    """Processor seconds, not wall time: other work on the machine must not decide."""
    import resource
    import subprocess

    networks = ("E_flame", "E_expression", "E_detail", "D_detail")
    state = {**emoca_state(networks, 56, foreign=True), "deca.flametex.basis": np.zeros((786432, 50), np.float32)}
    source = write_checkpoint(tmp_path / "emoca.ckpt", {"state_dict": state})
    assert source.stat().st_size > 450e6
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "emoca_tf.cli", "import-weights", str(source), "-o", str(tmp_path / f"w.{suffix}")]
    subprocess.run(command, check=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime < 60
    assert used.ru_maxrss < 2 * 2**20
    assert cli("encode", pictures, "--no-detect", "--weights", tmp_path / f"w.{suffix}", "-o", tmp_path / "c.npz") == 0
    with np.load(tmp_path / "c.npz") as rows:
        np.testing.assert_allclose(np.concatenate([rows["exp"], rows["pose"]], 1), EXPECTED["expression_56"], atol=1e-4)


@pytest.mark.slow
def test_emotion_and_emodeca_checkpoints_to_the_official_numbers(tmp_path: Path, pictures: Path) -> None:
    entries = manifest("emotion_resnet50.ckpt", "state_dict")
    emotion = write_checkpoint(tmp_path / "er.ckpt", {"state_dict": Lazy(entries, lambda n: f"emonet.{n}")})
    assert cli("import-weights", emotion, "-o", tmp_path / "er.keras") == 0
    assert cli("encode", pictures, "--no-detect", "--weights", tmp_path / "er.keras", "-o", tmp_path / "c.npz") == 0
    with np.load(tmp_path / "c.npz") as rows:
        out = EXPECTED["emotion_linear_out"]
        np.testing.assert_allclose(rows["valence"], out[:, 8], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(rows["arousal"], out[:, 9], rtol=1e-4, atol=1e-5)
        softmax = np.exp(out[:, :8] - out[:, :8].max(1, keepdims=True))
        np.testing.assert_allclose(
            rows["expression_prob"], softmax / softmax.sum(1, keepdims=True), rtol=1e-4, atol=1e-6
        )
        assert rows["expression_names"].tolist()[:2] == ["neutral", "happy"]
    entries = manifest("emodeca.ckpt", "state_dict_mlp")
    mlp = write_checkpoint(
        tmp_path / "m.ckpt", {"state_dict": Lazy(entries, lambda n: n.replace("mlp.", "mlp153.", 1))}
    )
    assert cli("import-weights", mlp, "-o", tmp_path / "m.npz") == 0
    got = load_model(tmp_path / "m.npz").model(VALUES["mlp153/in"])
    together = np.concatenate([got["expression"], got["valence"], got["arousal"]], 1)
    np.testing.assert_allclose(together, VALUES["mlp153/out"], rtol=1e-4, atol=1e-5)


def test_emodeca_reads_codes_when_given_beside_code_weights(tmp_path: Path) -> None:
    import keras

    from emoca_tf.capture.encoder import CodesEncoder
    from emoca_tf.model import Emoca
    from emoca_tf.weights.card import Card
    from emoca_tf.weights.load import LoadedModel

    small = Emoca(stages=((4, 1),), hidden=8, with_detail=False)
    codes = LoadedModel(small, Card("emoca", {}, {}), "a")
    readout = LoadedModel(readout_mlp(keras, hidden=16), Card("emodeca", {}, {}), "b")
    rows = CodesEncoder([codes, readout])(np.random.default_rng(0).random((2, 224, 224, 3), np.float32))
    expected = np.concatenate([rows["shape"], rows["exp"], rows["pose"][:, 3:]], 1)
    np.testing.assert_allclose(rows["valence"], np.array(readout.model(expected)["valence"])[:, 0], atol=1e-5)
    np.testing.assert_allclose(rows["expression_prob"].sum(1), 1, atol=1e-5)
    for wrong, reason in [
        ([readout], "give the weights of EMOCA"),
        ([codes, codes], "one of each"),
        ([], "one of each"),
    ]:
        with pytest.raises(UserError, match=reason):
            CodesEncoder(wrong)
