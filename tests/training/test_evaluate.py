"""The evaluation command: from features, from a run's codes, geometry, NoW's layout; and what it says to mistakes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emoca_tf.io.npz import read_npz
from training import stages
from training.checkpoint import Progress, State
from training.config import Config, Weights
from training.evaluate import main
from training.published import beside_emotion

TINY = Config(family="mobilenet_v3", data="synthetic", weights=Weights(emotion=0.0), emotion_network="none")


def finished(folder: Path, config: Config) -> Path:
    """A run directory as training leaves it, untrained."""
    networks = stages.build(config).networks
    State({f"network/{k}": m.variables for k, m in networks.items()}).save(folder / "checkpoints/last.npz", Progress(1))
    (folder / "config.json").write_text(config.to_json())
    return folder


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished(tmp_path_factory.mktemp("encoders"), replace(TINY, stage="coarse_pretrain"))


def pictures(folder: Path, count: int = 30) -> Path:
    """A labelled folder whose classes its features tell."""
    import cv2

    folder.mkdir(parents=True)
    rows = ["image,expression,valence,arousal"]
    for k in range(count):
        cv2.imwrite(str(folder / f"{k}.png"), np.full((64, 64, 3), 90, np.uint8))
        rows.append(f"{k}.png,{k % 3},{(k % 3) / 2 - 0.5},0.1")
    (folder / "labels.csv").write_text("\n".join(rows))
    return folder


def features(path: Path, count: int = 30) -> Path:
    values = np.random.default_rng(0).normal(0, 0.1, (count, 4))
    values[np.arange(count), np.arange(count) % 3] += 2
    np.savez(path, id=np.array([str(k) for k in range(count)]), feat=values)
    return path


def test_any_feature_file_is_measured_by_the_same_probe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, feat = f"folder:{pictures(tmp_path / 'faces')}", str(features(tmp_path / "f.npz"))
    arguments = ["--dataset", data, "--features", feat, "--train", data, "--train-features", feat]
    assert main([*arguments, "--out", str(tmp_path / "table.md")]) == 0
    table = (tmp_path / "table.md").read_text()
    assert "| expression | UAR | 1.000 | 1.000 .. 1.000 |" in table
    assert "| valence | CCC |" in table
    assert table.strip() in capsys.readouterr().out


def test_codes_of_a_run_become_features(tmp_path: Path, encoders: Path) -> None:
    target = tmp_path / "codes.npz"
    assert main(["--dataset", "synthetic:plain", "--limit", "5", "--run", str(encoders), "--extract", str(target)]) == 0
    arrays = read_npz(target)
    assert arrays["feat"].shape == (5, 53)
    assert len(set(arrays["id"].tolist())) == 5


def test_a_readout_makes_the_papers_table(tmp_path: Path, encoders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    readout = finished(tmp_path / "readout", replace(TINY, stage="readout", coarse_codes="truth"))
    arguments = ["--dataset", "synthetic:plain", "--limit", "20", "--run", str(encoders), "--readout", str(readout)]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    for name in ("accuracy", "PCC", "CCC", "RMSE", "SAGR"):
        assert f"| {name} |" in printed


def test_geometry_is_printed_in_millimetres(encoders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--dataset", "synthetic:plain", "--limit", "2", "--run", str(encoders), "--geometry"]) == 0
    rows = {line.split("|")[1].strip(): line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")}
    plain = [float(cell) for cell in rows["plain"].split("|")[2:5]]
    aligned = [float(cell) for cell in rows["NoW-style"].split("|")[2:5]]
    assert 1 < aligned[1] < plain[1] < 100  # an untrained network says the mean head


def test_published_figures_stand_beside_the_measured_ones() -> None:
    rows = [("valence", "CCC", 0.5, (0.4, 0.6)), ("expression", "accuracy", 0.625, (0.6, 0.7))]
    text = beside_emotion("affectnet", rows, "affectnet:A,split=validation, 8 classes")
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    assert len({len(row) for row in table}) == 1
    by_method = {row[0]: dict(zip(table[0], row, strict=True)) for row in table[2:]}
    assert by_method["EMOCA"]["V CCC"] == "0.77"
    assert by_method["EMOCA"]["E accuracy"] == "0.68"
    mine = by_method["measured here: affectnet:A,split=validation, 8 classes"]
    assert (mine["V CCC"], mine["E accuracy"], mine["A PCC"]) == ("0.50", "0.62", "–")
    assert "cleaned" in text
    assert beside_emotion("folder", rows, "folder:F") == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", "folder:x"], "no such file or folder"),
        (["--dataset", "affectnt:x"], "did you mean affectnet"),
        (["--extract", "x.npz"], "need --run"),
        (["--run", "nowhere"], "no config.json"),
        (["--now", "nowhere"], "no .obj or .ply"),
    ],
)
def test_mistakes_get_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
