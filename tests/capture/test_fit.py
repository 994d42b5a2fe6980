"""Fitting a head to landmarks of known truth, and to the sample photo through the real command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import trimesh
from helpers_flame import golden_head
from helpers_gltf import opened

from emoca_tf.capture.fit import fit_landmarks
from emoca_tf.cli import group, run
from emoca_tf.codes import Codes
from emoca_tf.errors import UserError
from emoca_tf.flame.head import HeadModel
from emoca_tf.flame.layer import Flame
from emoca_tf.io.gltf import read_glb
from emoca_tf.rendering.camera import project


@pytest.fixture(scope="module")
def head() -> HeadModel:
    return HeadModel.load()


def landmarks_of(head: HeadModel, codes: Codes) -> np.ndarray:
    out = Flame(head)(codes.shape, codes.exp, codes.pose, codes.neck_pose, codes.eye_pose)
    points = project(out.landmarks_mp, codes.cam).numpy()[0]
    landmarks = np.zeros((478, 3))
    landmarks[head.mediapipe_indices] = (points + np.array([1, 1, 0])) * 112
    return landmarks


def test_a_known_face_is_recovered(head: HeadModel) -> None:
    rng = np.random.default_rng(1)
    exp = np.zeros((1, head.n_exp), np.float32)
    for name in ("mouthSmileLeft", "mouthSmileRight", "browInnerUp"):
        exp[0, head.expression_names.index(name)] = 0.8
    truth = Codes(
        shape=(rng.normal(size=(1, head.n_shape)) * 0.5).astype(np.float32),
        tex=None,
        exp=exp,
        pose=np.array([[0.1, -0.3, 0.05, 0.2, 0, 0]], np.float32),
        cam=np.array([[8.0, 0.01, -0.02]], np.float32),
        light=None,
    )
    landmarks = landmarks_of(head, truth)
    found = fit_landmarks(head, landmarks)
    again = landmarks_of(head, found)
    assert np.linalg.norm((again - landmarks)[:, :2], axis=1).mean() < 0.5  # px of 224
    assert np.abs(found.pose[0, 1] + 0.3) < 0.1
    assert 0.1 < found.pose[0, 3] < 0.3
    smile = [head.expression_names.index(n) for n in ("mouthSmileLeft", "mouthSmileRight")]
    frown = [head.expression_names.index(n) for n in ("mouthFrownLeft", "mouthFrownRight")]
    assert found.exp[0, smile].min() > found.exp[0, frown].max() + 0.2


def test_coefficients_stay_in_the_range_of_the_head(head: HeadModel) -> None:
    rng = np.random.default_rng(0)
    neutral = Codes(
        shape=np.zeros((1, head.n_shape), np.float32),
        tex=None,
        exp=np.zeros((1, head.n_exp), np.float32),
        pose=np.zeros((1, 6), np.float32),
        cam=np.array([[8.0, 0, 0]], np.float32),
        light=None,
    )
    landmarks = landmarks_of(head, neutral) + rng.normal(size=(478, 3)) * 8
    found = fit_landmarks(head, landmarks)
    assert head.exp_range is not None
    assert (found.exp[0] >= head.exp_range[:, 0] - 1e-6).all()
    assert (found.exp[0] <= head.exp_range[:, 1] + 1e-6).all()
    assert all(np.isfinite(values).all() for values in found.to_dict().values())


def test_equal_input_gives_equal_codes(head: HeadModel) -> None:
    landmarks = np.random.default_rng(2).uniform(40, 180, (478, 3))
    first, second = (fit_landmarks(head, landmarks).vector() for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_head_without_mediapipe_points_is_refused() -> None:
    with pytest.raises(UserError, match="no MediaPipe landmarks"):
        fit_landmarks(golden_head(), np.zeros((478, 3)))


def test_the_sample_photo_is_captured_end_to_end(tmp_path: Path, head: HeadModel) -> None:
    out = tmp_path / "astronaut"
    assert run(group, "emoca-tf", ["capture", "sample:astronaut", "-o", str(out), "--fit", "--weights", "none"]) == 0
    assert sorted(p.name for p in out.iterdir()) == [
        "capture.json",
        "head.glb",
        "head.mtl",
        "head.obj",
        "head.png",
        "overlay.png",
    ]
    assert list(tmp_path.iterdir()) == [out]
    told = json.loads((out / "capture.json").read_text())
    assert told["landmark_error_px"] < 2.5
    exp = dict(zip(told["codes"]["exp"]["axes"], told["codes"]["exp"]["values"], strict=True))
    assert min(exp["mouthSmileLeft"], exp["mouthSmileRight"]) > 0.25  # she smiles
    assert max(exp["mouthFrownLeft"], exp["mouthFrownRight"]) < 0.15
    mesh = trimesh.load(out / "head.glb", force="mesh")
    assert len(mesh.faces) == len(head.f)
    assert mesh.visual.uv.shape[1] == 2
    obj = trimesh.load(out / "head.obj", force="mesh", process=False)
    _, shown = opened(*read_glb((out / "head.glb").read_bytes()))
    np.testing.assert_allclose(obj.bounds, [shown.min(0), shown.max(0)], atol=1e-5)


@pytest.mark.parametrize(
    ("photo", "message"),
    [
        ("missing.jpg", "no such file"),
        ("folder", "is a directory"),
        ("text.jpg", "not a picture"),
        ("cut.png", "damaged or cut off"),
        ("noise.png", "no face found"),
        ("sample:moon", "no sample"),
    ],
)
def test_bad_photos_give_one_line_and_leave_nothing(
    photo: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("text.jpg").write_text("hello")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (128, 128, 3), np.uint8)).save("noise.png")
    Path("cut.png").write_bytes(Path("noise.png").read_bytes()[:5000])
    assert run(group, "emoca-tf", ["capture", photo, "-o", "out"]) == 2
    told = [line for line in capfd.readouterr().err.splitlines() if line.startswith("emoca-tf:")]
    assert len(told) == 1
    assert message in told[0]
    assert not Path("out").exists()


def test_an_output_that_is_a_file_is_refused_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").write_text("mine")
    assert run(group, "emoca-tf", ["capture", "sample:astronaut", "-o", str(tmp_path / "out")]) == 2
    assert "is a file" in capsys.readouterr().err
    assert (tmp_path / "out").read_text() == "mine"


def test_appearance_recovers_known_light(head: HeadModel) -> None:
    from emoca_tf.capture.appearance import fit_appearance
    from emoca_tf.rendering.albedo import AlbedoModel
    from emoca_tf.rendering.renderer import Renderer

    model, renderer = AlbedoModel.load("default"), Renderer(head, size=128)
    light = np.zeros((1, 9, 3), np.float32)
    light[0, 0], light[0, 1], light[0, 3] = 2.4, 0.3, 0.4
    codes = Codes(None, np.zeros((1, 50)), None, np.zeros((1, 6)), np.array([[8.0, 0, 0]], np.float32), light)
    rendered = renderer(head.v_template[None], codes.cam, albedo=tf.constant(model.mean[None], tf.float32), light=light)
    found = fit_appearance(codes, rendered, rendered.image.numpy()[0], model)
    again = renderer(
        head.v_template[None],
        codes.cam,
        albedo=tf.constant((model.mean + model.basis @ found.tex[0])[None], tf.float32),
        light=found.light,
    )
    mask = rendered.mask.numpy()[0, ..., 0] > 0.5
    assert np.abs(again.image.numpy() - rendered.image.numpy())[0][mask].mean() < 0.02
