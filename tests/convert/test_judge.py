"""The judge can fail a file, and says why; the command keeps what failed only as ``.rejected``."""

import json
from pathlib import Path

import cv2
import helpers_convert as helpers
import keras
import numpy as np
import pytest

from convert import benchmark, parity
from convert.__main__ import command
from convert.geometry import EmotionReader, Geometry
from convert.jobs import REJECTED, Result, choose, write
from convert.networks import load_source, optional_networks
from emoca_tf.capture.tflite import TFLiteModel
from emoca_tf.cli import run
from emoca_tf.emotion.default import load_default
from emoca_tf.emotion.readout import small_readout
from emoca_tf.errors import UserError
from emoca_tf.flame.layer import Flame
from emoca_tf.io.npz import write_npz
from emoca_tf.weights.torch_layout import to_state


@pytest.fixture(scope="module")
def geometry():
    return Geometry(helpers.head())


@pytest.fixture(scope="module")
def reference():
    rng = np.random.default_rng(1)
    return {
        "exp": rng.random((32, 50), np.float32),
        "jaw": rng.random((32, 3), np.float32) * 0.1,
        "eyelid": rng.random((32, 2), np.float32),
    }


def noisy(reference, size, seed=2):
    rng = np.random.default_rng(seed)
    return {name: value + rng.normal(0, size, value.shape).astype(np.float32) for name, value in reference.items()}


def test_an_equal_file_passes(reference, geometry):
    verdict = parity.judge(helpers.tiny_network(), "int8", reference, dict(reference), geometry)
    assert verdict.failures == []
    assert verdict.vertices["max"] == 0
    assert verdict.groups["exp"]["correlation"] == pytest.approx(1)


@pytest.mark.parametrize(("size", "gate"), [(0.2, "correlation"), (0.3, "mm")])
def test_a_noisy_file_fails_with_numbers(reference, geometry, size, gate):
    verdict = parity.judge(helpers.tiny_network(), "int8", reference, noisy(reference, size), geometry)
    assert any(gate in line for line in verdict.failures), verdict.failures


def test_the_worst_outputs_of_a_failed_file_are_named(reference, geometry):
    found = {name: value.copy() for name, value in reference.items()}
    axis = helpers.head().expression_names[7]
    found["exp"][:, 7] += 2
    found["jaw"][:, 1] += 0.02
    verdict = parity.judge(helpers.tiny_network(), "int8", reference, found, geometry)
    first, second = verdict.notes[0].split(": ", 1)[1].split(", ")[:2]
    assert first.startswith(f"exp {axis} ")
    assert second.startswith("jaw y ")


def test_a_constant_offset_is_not_hidden_by_correlation(reference):
    shifted = {name: value + 0.5 for name, value in reference.items()}
    groups = parity.compare(reference, shifted)
    assert groups["exp"]["correlation"] < 0.8  # np.corrcoef would say 1
    assert groups["exp"]["error"] == pytest.approx(0.25 / reference["exp"].var(0).mean(), rel=1e-3)


def test_float32_has_its_own_gate(reference, geometry):
    found = {name: value + np.float32(2e-4) for name, value in reference.items()}
    assert parity.judge(helpers.tiny_network(), "int8", reference, found, geometry).failures == []
    lines = parity.judge(helpers.tiny_network(), "float32", reference, found, geometry).failures
    assert any("largest difference" in line for line in lines)


def test_not_a_number_fails(reference, geometry):
    found = dict(reference) | {"exp": np.full_like(reference["exp"], np.nan)}
    assert parity.judge(helpers.tiny_network(), "int8", reference, found, geometry).failures


def test_vertices_are_measured_in_millimetres_on_the_head(reference, geometry):
    found = noisy(reference, 0.05)
    verdict = parity.judge(helpers.tiny_network(), "int8", reference, found, geometry)
    flame = Flame(helpers.head())
    zero = np.zeros((32, 100), np.float32)
    sides = [flame(zero, o["exp"], np.concatenate([np.zeros((32, 3), np.float32), o["jaw"]], 1)).vertices.numpy()
             for o in (reference, found)]  # fmt: skip
    distance = 1e3 * np.linalg.norm(sides[0] - sides[1], axis=-1)
    assert verdict.vertices["mean_all"] == pytest.approx(distance.mean(), rel=1e-4)
    face = distance[:, helpers.head().masks["face"]]
    assert verdict.vertices["mean"] == pytest.approx(face.mean(), rel=1e-4)
    assert verdict.vertices["p95"] == pytest.approx(np.percentile(face, 95), rel=1e-4)
    assert verdict.worst[0] == int(face.mean(1).argmax())


def test_emotion_is_read_off_the_heads(reference, geometry):
    few = {name: value[:6] for name, value in reference.items()}
    other = {name: value[::-1].copy() for name, value in few.items()}
    same = parity.judge(helpers.tiny_network(), "int8", few, dict(few), geometry, EmotionReader())
    changed = parity.judge(helpers.tiny_network(), "int8", few, other, geometry, EmotionReader())
    assert same.emotion == {"valence_mae": 0, "arousal_mae": 0, "flips": 0, "clear_flips": 0}
    assert changed.emotion["valence_mae"] > 0


def judged(recipe, ms, size, passed=True):
    verdict = parity.Verdict({}, failures=[] if passed else ["too bad"])
    times = {"1": {"min": ms, "median": ms}}
    return Result("expression", recipe, b"x" * size, {}, verdict, latency=times)


def test_every_set_of_faces_must_reach_the_gates(reference, geometry):
    rows = len(reference["exp"])
    found = {name: value.copy() for name, value in reference.items()}
    found["exp"][rows - 1] += 0.2
    parts = {"drawn": slice(0, rows - 1), "photos": slice(rows - 1, rows)}
    verdict = parity.judge(helpers.tiny_network(), "int8", reference, found, geometry, parts=parts)
    assert verdict.parts["drawn"]["vertices"]["max"] == 0
    assert verdict.parts["photos"]["vertices"]["mean"] > 1
    assert verdict.vertices["mean"] == pytest.approx(verdict.parts["photos"]["vertices"]["mean"] / rows)
    assert [line for line in verdict.failures if line.startswith("photos: vertices: mean")]
    assert not [line for line in verdict.failures if line.startswith("drawn")]
    one = parity.judge(helpers.tiny_network(), "int8", reference, found, geometry, parts={"drawn": slice(0, rows)})
    assert one.parts == {}


def test_slow_files_are_timed_fewer_times(monkeypatch):
    runs = dict.fromkeys(("quick", "slow"), 0)

    class Timed:
        def __init__(self, content, threads, delegates):
            self.name, self.inputs = content.decode(), {"x": ((1,), np.float32)}

    def run(model, values):
        runs[model.name] += 1
        return {"quick": 10.0, "slow": 1500.0}[model.name]

    monkeypatch.setattr(benchmark, "TFLiteModel", Timed)
    monkeypatch.setattr(benchmark, "_run", run)
    table = benchmark.latency({name: name.encode() for name in runs})
    assert runs == {"quick": 45, "slow": 4}  # one and three
    assert table["slow"] == {"min": 1500.0, "median": 1500.0}


def test_auto_takes_the_fastest_that_passed():
    results = [judged("float32", 5, 600), judged("int8", 2, 180, passed=False), judged("mixed", 3, 170)]
    assert choose(results).recipe == "mixed"
    assert choose([judged("float32", 3.05, 600), judged("float16", 3.0, 300)]).recipe == "float16"
    assert choose([judged("float32", 3.0, 600), judged("float16", 3.1, 300)]).recipe == "float16"
    assert choose([judged("int8", 2, 180, passed=False), Result("expression", "int16x8", refused="aborts")]) is None


def test_a_failed_file_has_no_usable_name(tmp_path):
    good = write(judged("int8", 1, 10), tmp_path)
    assert good.name == "expression.int8.tflite"
    bad = write(judged("int8", 1, 10, passed=False), tmp_path)
    assert bad.name == f"expression.int8.tflite{REJECTED}"
    assert sorted(p.name for p in tmp_path.iterdir()) == [bad.name]  # the file of the earlier run is gone


@pytest.fixture
def tiny_file(tmp_path):
    path = tmp_path / "tiny.keras"
    helpers.tiny_network().model.save(path)
    return path


def test_command_converts_judges_and_reports(tiny_file, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["--tflite", str(tiny_file), "--recipe", "float32", "--network", "expression",
                 "--judge-count", "6", "-o", str(out)]  # fmt: skip
    assert run(command, "convert", arguments) == 0
    names = sorted(p.name for p in out.iterdir())
    assert names == ["expression.float32.json", "expression.float32.tflite", "parity.html", "parity.json"]
    facts = json.loads((out / "parity.json").read_text())
    (entry,) = facts["networks"]["expression"]
    assert entry["passed"]
    assert entry["emotion"]["flips"] == 0
    assert entry["bytes"] == (out / "expression.float32.tflite").stat().st_size
    assert set(entry["latency_ms"]) == set(entry["float32_latency_ms"]) == {"1", "2"}
    assert facts["reference_device"].startswith(("CPU (", "GPU ("))
    page = (out / "parity.html").read_text()
    assert "data:image/png;base64" in page
    for said in ("Vertices of the face: 0.000 mm in the mean", "px in the mean", "Emotion: 0.0% of the classes flip"):
        assert said in page
    capsys.readouterr()
    assert run(command, "convert", ["--inspect", str(out / "expression.float32.tflite")]) == 0
    shown = capsys.readouterr().out
    assert "signature expression" in shown
    assert "licence Apache-2.0" in shown
    assert "CONV_2D" in shown
    file = str(out / "expression.float32.tflite")
    assert run(command, "convert", ["--compare", file, file, "--judge-count", "3"]) == 0
    assert "1.000000" in capsys.readouterr().out
    assert run(command, "convert", ["--benchmark", file]) == 0
    assert "not a phone" in capsys.readouterr().out


def test_command_makes_batches_and_integer_inputs_and_judges_by_set(tiny_file, tmp_path, capsys):
    out, photos = tmp_path / "out", tmp_path / "faces_jpeg.npz"
    pictures = [(image * 255).astype(np.uint8) for image in helpers.face_images()[:3]]
    coded = [cv2.imencode(".jpg", picture[..., ::-1])[1] for picture in pictures]
    write_npz(photos, {
        "id": np.array(["a", "b", "c"]), "jpeg": np.concatenate(coded),
        "offset": np.cumsum([0, *map(len, coded)]), "label": np.zeros(3, np.int32),
    })  # fmt: skip
    points = np.repeat(np.linspace(320, 3200, 478)[None, :, None], 3, 0) * np.ones(3)
    write_npz(
        tmp_path / "faces_landmarks.npz", {"id": np.array(["a", "b", "c"]), "landmarks_x16": points.astype(np.int16)}
    )
    arguments = ["--tflite", str(tiny_file), "--network", "expression", "--network", "head", "--batch", "2",
                 "--io", "int8", "--judge-data", "synthetic", "--judge-data", f"packed:{photos}", "--judge-count", "3",
                 "--data-count", "4", "-o", str(out)]  # fmt: skip
    run(command, "convert", arguments)  # a network this small fails its gate in 8 bits
    facts = json.loads((out / "parity.json").read_text())
    assert [faces["count"] for faces in facts["judged_on"]] == [3, 3]
    (entry,) = facts["networks"]["expression"]
    assert set(entry["parts"]) == {"synthetic", f"packed:{photos}"}
    model = TFLiteModel(out / f"expression.int8.tflite{'' if entry['passed'] else REJECTED}")
    assert model.inputs["image"] == ((2, 224, 224, 3), np.dtype(np.int8))
    head = TFLiteModel(out / "head.int8-weights.tflite")
    assert head.inputs["exp"] == ((2, 50), np.dtype(np.float32))
    assert f"on packed:{photos}: " in capsys.readouterr().out


def test_command_fails_when_a_gate_fails(tiny_file, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["--tflite", str(tiny_file), "--recipe", "int8", "--network", "expression",
                 "--judge-count", "4", "--data-count", "6"]  # fmt: skip
    assert run(command, "convert", [*arguments, "-o", str(out)]) == 2
    assert sorted(p.name for p in out.iterdir()) == [f"expression.int8.tflite{REJECTED}", "parity.html", "parity.json"]
    seen = capsys.readouterr()
    assert "not within the gates: expression int8" in seen.err
    assert "vertices: p95" in seen.out  # a network this small loses more than a millimetre by int8
    assert "> 1.0 mm" in seen.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "give one of --tflite"),
        (["--tflite", "--inspect"], "give one of --tflite"),
        (["--tflite", "nowhere"], "nowhere: no weights there"),
        (["--tflite", "nowhere.keras"], "no such file"),
        (["--tflite", "--bundle", "somewhere", "--batch", "2"], "one face at a time"),
        (["--tflite", "--judge-data", "pakced:here"], "did you mean packed"),
        (["--inspect"], "needs a file"),
        (["--inspect", "nowhere.tflite"], "no such file"),
        (["--compare", "one.tflite"], "needs two files"),
    ],
)
def test_mistakes_are_one_line(arguments, says, capsys):
    assert run(command, "convert", arguments) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_a_damaged_file_is_one_line(tmp_path, capsys):
    path = tmp_path / "bad.tflite"
    path.write_bytes(b"TFL3" * 50)
    assert run(command, "convert", ["--inspect", str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.slow
def test_weights_file_gives_the_trio(tmp_path):
    source = load_source(str(helpers.write_weights(tmp_path / "w.npz")), helpers.head())
    assert source.family == "mobilenet_v3"
    assert set(source.networks) == {"expression", "pose", "shape"}
    image = helpers.face_images()[:2]
    a = source.networks["expression"].model(image, training=False)["exp"]
    b = helpers.networks()["expression_encoder"](image, training=False)["exp"]
    np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("depth", [0, 2])
def test_read_out_and_emotion_network_are_recognised_by_their_arrays(depth):
    keras.utils.set_random_seed(3)
    readout, emotion = small_readout(keras, 53, 6, depth), load_default(keras)
    stored = {f"{name}.{key}": value for name, model in (("readout", readout), ("emotion", emotion))
              for key, value in to_state(model).items()}  # fmt: skip
    found = optional_networks(stored, Path("weights.npz"))
    assert found.keys() == {"readout", "emotion"}
    for name, model in (("readout", readout), ("emotion", emotion)):
        assert [w.shape for w in found[name].weights] == [w.shape for w in model.weights]
    with pytest.raises(UserError, match="123 features"):
        optional_networks({"emotion.linear.weight": np.zeros((10, 123))}, Path("weights.npz"))


def test_an_unknown_network_is_named(tmp_path):
    from convert.collection import collect

    with pytest.raises(UserError, match="no network coarse"):
        collect(helpers.tiny_source(), ["coarse"])


def test_a_network_that_always_says_the_same_is_noted(reference, geometry):
    flat = {name: value * np.float32(0.001) for name, value in reference.items()}
    verdict = parity.judge(helpers.tiny_network(), "int8", flat, dict(flat), geometry)
    assert any("nearly the same expression" in note for note in verdict.notes)
    assert parity.judge(helpers.tiny_network(), "int8", reference, dict(reference), geometry).notes == []
