"""What a capture writes: every file, the morph targets, and nothing at all when the disk refuses."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from helpers_capture import made_up_capture
from helpers_flame import golden_head

from emoca_tf.capture.morphs import JAW_OPEN, morph_targets
from emoca_tf.errors import UserError
from emoca_tf.flame.head import HeadModel
from emoca_tf.flame.layer import Flame
from emoca_tf.io.gltf import read_glb

NAMES = ["capture.json", "head.glb", "head.mtl", "head.obj", "head.png", "overlay.png"]


@pytest.fixture(scope="module")
def head() -> HeadModel:
    return HeadModel.load()


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_glb_holds_every_expression_axis_and_opens_as_captured(tmp_path: Path, head: HeadModel) -> None:
    one = made_up_capture(head)
    one.save(tmp_path)
    assert names_in(tmp_path) == NAMES
    content = (tmp_path / "head.glb").read_bytes()
    assert len(content) < 6e6
    mesh = read_glb(content)[0]["meshes"][0]
    assert mesh["extras"]["targetNames"] == [*head.expression_names, "jawOpen"]
    np.testing.assert_allclose(mesh["weights"][:-1], one.codes.exp[0], atol=1e-7)
    assert mesh["weights"][-1] == pytest.approx(0.12 / JAW_OPEN, abs=1e-6)
    assert len(mesh["primitives"][0]["targets"]) == head.n_exp + 1


def test_targets_add_up_to_another_expression_exactly(head: HeadModel) -> None:
    one = made_up_capture(head)
    targets, weights = morph_targets(head, one.codes)
    base = one.vertices - sum(w * t for w, t in zip(weights, targets.values(), strict=True))
    other = np.random.default_rng(1).uniform(0, 1, head.n_exp).astype(np.float32)
    c = one.codes
    wanted = Flame(head)(c.shape, other[None], c.pose, c.neck_pose, c.eye_pose).vertices.numpy()[0]
    built = base + sum(w * targets[n] for n, w in zip(head.expression_names, other, strict=True))
    built += weights[-1] * targets["jawOpen"]
    np.testing.assert_allclose(built, wanted, atol=2e-6)
    shut = c.pose.copy()
    shut[:, 3:] = 0
    neutral = Flame(head)(c.shape, 0 * c.exp, shut, c.neck_pose, c.eye_pose).vertices.numpy()[0]
    assert np.linalg.norm(base - neutral, axis=1).max() < 2e-3  # the jaw's swing is an arc, its target the chord
    rows = Flame(head)(c.shape, 0 * c.exp, shut + np.array([[0, 0, 0, 0.3, 0, 0]], np.float32), c.neck_pose, c.eye_pose)
    np.testing.assert_allclose(neutral + targets["jawOpen"], rows.vertices.numpy()[0], atol=2e-6)


def test_a_head_without_texture_is_written_as_a_plain_mesh(tmp_path: Path) -> None:
    head = golden_head()
    one = made_up_capture(head)
    one.save(tmp_path)
    assert names_in(tmp_path) == ["capture.json", "head.glb", "head.obj", "overlay.png"]
    for name in ("head.glb", "head.obj"):
        mesh = trimesh.load(tmp_path / name, force="mesh", process=False)
        assert len(mesh.vertices) == head.n_vertices
        np.testing.assert_array_equal(mesh.faces, head.f)
    assert "mtllib" not in (tmp_path / "head.obj").read_text()


def test_the_json_says_what_everything_is(tmp_path: Path, head: HeadModel) -> None:
    one = made_up_capture(head)
    one.save(tmp_path, morphs=False)
    told = json.loads((tmp_path / "capture.json").read_text())
    assert told["codes"].keys() == one.codes.to_dict().keys()
    for name, group in told["codes"].items():
        values = getattr(one.codes, name)[0]
        assert group["unit"]
        assert np.array(group["values"]).shape == values.shape == tuple(group["shape"])
        assert len(group["axes"]) == len(values)
        assert len(set(group["axes"])) == len(group["axes"])
    assert told["codes"]["exp"]["axes"] == list(head.expression_names)
    assert told["codes"]["pose"]["axes"][3] == "jaw_x"
    model = told["head_model"]
    assert (model["name"], model["licence"]) == (head.name, head.licence)
    assert model["sha256"] == head.sha256()
    assert told["versions"].keys() >= {"emoca-tf", "python", "numpy", "mediapipe", "tensorflow", "keras"}
    corner = np.array(told["crop"]["crop_to_photo"]) @ [0, 0, 1]
    np.testing.assert_allclose(np.array(told["crop"]["photo_to_crop"]) @ corner, [0, 0, 1], atol=1e-9)


def test_an_unknown_landmark_error_is_null_in_the_json(head: HeadModel) -> None:
    told = json.dumps(replace(made_up_capture(head), landmark_error=float("nan")).to_json(), allow_nan=False)
    assert json.loads(told)["landmark_error_px"] is None


def test_the_heads_hash_is_of_its_arrays(head: HeadModel, tmp_path: Path) -> None:
    head.save(tmp_path / "same.npz")
    assert HeadModel.load(tmp_path / "same.npz").sha256() == head.sha256()
    assert head.truncated(10, 10).sha256() != head.sha256()


def test_a_full_disk_leaves_nothing_half_written(
    tmp_path: Path, head: HeadModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    one = made_up_capture(head)
    one.save(out, morphs=False)
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def full(self: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        one.save(out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert names_in(tmp_path) == ["out"]


def test_a_file_in_the_way_is_refused(tmp_path: Path, head: HeadModel) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UserError, match="is a file"):
        made_up_capture(head).save(tmp_path / "out")
