"""Bundles: complete, equal to their golden vectors, run without TensorFlow, refused when damaged."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import helpers_convert as helpers
import numpy as np
import pytest
import trimesh

from convert.bundle import chosen, write_bundle
from convert.jobs import Result, Settings, Workshop
from emoca_tf.capture.bundle import Bundle, capture_with_bundle, digest
from emoca_tf.codes import Codes
from emoca_tf.errors import UserError
from emoca_tf.faces import blazeface
from emoca_tf.faces.crop import CropTransform, crop_from_landmarks
from emoca_tf.faces.detect import detect_faces
from emoca_tf.flame.layer import Flame
from emoca_tf.io.images import read_image

FUZZED = 60


@pytest.fixture
def copy(bundle_folder, tmp_path) -> Path:
    return Path(shutil.copytree(bundle_folder, tmp_path / "copy"))


def test_every_stage_repeats_its_golden_output(bundle_folder):
    bundle = Bundle(bundle_folder)
    seen = set()
    for record in bundle.manifest["golden"]:
        stage = record["stage"]
        seen.add(stage)
        inputs = {name: bundle.array(key) for name, key in record["inputs"].items()}
        wanted = {name: bundle.array(key) for name, key in record["outputs"].items()}
        if stage == "prepare":
            found = {"input": blazeface.prepare(inputs["photo"])[0]}
        elif stage == "detection":
            photo = bundle.array("golden/photo")
            face = blazeface.decode(
                inputs["regressors"], inputs["classificators"], float(max(photo.shape[:2])), (0, 0)
            )[0]
            found = {"box": np.array(face.box), "keypoints": face.keypoints, "score": np.array([face.score])}
        elif stage == "crop":
            face = blazeface.Detection(1.0, tuple(inputs["box"]), np.zeros((6, 2)))
            cut = face.crop().apply(inputs["photo"])
            found = {"thumb": cut[:: len(cut) // len(wanted["thumb"]), :: len(cut) // len(wanted["thumb"])]}
        else:
            model = bundle.model(stage)
            found = model({name: value.reshape(model.inputs[name][0]) for name, value in inputs.items()})
        assert found.keys() == wanted.keys()
        for name, value in wanted.items():
            assert np.abs(value).max() > 0
            np.testing.assert_allclose(found[name], value, atol=record["tolerance"], err_msg=f"{stage} {name}")
    assert seen == {"prepare", "detection", "crop", *bundle.manifest["stages"]}
    assert seen >= {"detector", "pose_shape", "expression", "head", "head_small", "emotion", "readout"}


def test_a_bundle_gives_the_head_that_keras_gives(bundle_folder):
    source = helpers.tiny_source()
    image = helpers.face_images()[0]
    bundle = Bundle(bundle_folder)
    codes = bundle.encode(image)
    encoders = [n.model for n in source.networks.values() if n.kind == "encoder"]
    out = {k: np.asarray(v) for model in encoders for k, v in model(image[None], training=False).items()}
    expected = Codes(
        shape=out["shape"], tex=out["tex"], exp=out["exp"], pose=np.concatenate([out["global"], out["jaw"]], 1),
        cam=out["cam"], light=out["light"].reshape(-1, 9, 3), eyelid=out["eyelid"],
    )  # fmt: skip
    for name, value in expected.to_dict().items():
        np.testing.assert_allclose(getattr(codes, name), value, atol=1e-4, err_msg=name)
    posed = Flame(source.head)(expected.shape, expected.exp, expected.pose)
    found = bundle.decode(codes)
    np.testing.assert_allclose(found["vertices"], posed.vertices, atol=1e-5)
    np.testing.assert_allclose(found["landmarks"], posed.landmarks2d, atol=1e-5)


def test_pose_and_shape_may_be_networks_of_their_own(copy):
    image = helpers.face_images()[0]
    expected = Bundle(copy).encode(image)
    manifest = json.loads((copy / "manifest.json").read_text())
    file = manifest["stages"].pop("pose_shape")
    manifest["stages"] |= {"pose": file, "shape": file}
    (copy / "manifest.json").write_text(json.dumps(manifest | {"digest": digest(manifest)}))
    for name, value in expected.to_dict().items():
        np.testing.assert_array_equal(getattr(Bundle(copy).encode(image), name), value, err_msg=name)


def test_a_bundle_holds_what_an_app_runs_or_what_was_asked_for():
    networks = dict.fromkeys(("pose_shape", "expression", "head", "head_small", "emotion", "readout"))
    assert chosen(networks, []) == ["pose_shape", "expression", "head", "readout"]
    assert chosen(networks, ["head", "emotion"]) == list(networks)
    del networks["readout"]
    assert chosen(networks, ["all"]) == ["pose_shape", "expression", "head", "emotion"]


def test_whole_numbers_and_levels_come_back(bundle_folder):
    bundle = Bundle(bundle_folder)
    np.testing.assert_array_equal(bundle.array("triangles"), helpers.head().f)
    photo, image = bundle.array("golden/photo"), bundle.array("golden/image")
    assert (photo.dtype, image.dtype) == (np.uint8, np.float32)
    np.testing.assert_allclose(image, photo / 255, atol=1e-7)
    np.testing.assert_allclose(bundle.array("golden/input"), blazeface.prepare(photo)[0], atol=1e-6)


def test_emotion_is_read_off_the_codes(bundle_folder):
    bundle = Bundle(bundle_folder)
    image = helpers.face_images()[0]
    codes = bundle.encode(image)
    read = bundle.read_emotion(codes, image)
    mlp = helpers.tiny_readout().model
    np.testing.assert_allclose(
        read["expression"], mlp([codes.exp, codes.pose], training=False)["expression"][0], atol=1e-4
    )
    from_picture = bundle.model("emotion")({"image": image[None]})["expression"][0]
    assert np.abs(read["expression"] - from_picture).max() > 0.1


def test_a_file_that_phones_cannot_run_gives_no_bundle(tmp_path):
    source = helpers.tiny_source()
    workshop = Workshop(source, Settings(judge_count=4))
    kept = {name: Result(name, "dynamic", obstacles=["TFLite 2.16.1 does not know X"])
            for name in ("expression", "pose_shape", "head")}  # fmt: skip
    with pytest.raises(UserError, match="does not know X"):
        write_bundle(tmp_path / "bundle", workshop, kept, {})
    assert not (tmp_path / "bundle").exists()


def test_small_mesh_is_whole_and_its_vertices_are_the_head_s(bundle_folder):
    bundle = Bundle(bundle_folder)
    vertices, triangles = bundle.array("small_vertices"), bundle.array("small_triangles")
    assert 300 < len(vertices) < bundle.model("head").outputs["vertices"][0][1]
    assert (np.diff(vertices.astype(int)) > 0).all()
    assert set(triangles.ravel()) == set(range(len(vertices)))
    template = helpers.head().v_template
    whole = trimesh.Trimesh(template, bundle.array("triangles"), process=False)
    small = trimesh.Trimesh(template[vertices], triangles, process=False)
    np.testing.assert_allclose(small.bounds, whole.bounds, atol=5e-3)
    assert small.area == pytest.approx(whole.area, rel=0.05)


def test_capture_needs_no_tensorflow(bundle_folder, tmp_path):
    code = (
        "import sys; from emoca_tf.cli import run, group\n"
        f"rc = run(group, 'emoca-tf', ['capture', '--bundle', {str(bundle_folder)!r}, 'sample:astronaut', '-o', "
        f"{str(tmp_path / 'out')!r}])\n"
        "heavy = {'tensorflow', 'keras', 'mediapipe', 'convert', 'training'} & set(sys.modules)\n"
        "sys.exit(rc or (f'imported {sorted(heavy)}' if heavy else 0))"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "capture.json",
        "head.glb",
        "head.obj",
        "overlay.png",
    ]
    facts = json.loads((tmp_path / "out" / "capture.json").read_text())
    assert facts["method"] == "bundle"
    assert set(facts["emotion"]) == {"expression", "valence", "arousal"}
    assert np.isclose(sum(facts["emotion"]["expression"].values()), 1)


def test_no_face_is_one_line(bundle_folder):
    with pytest.raises(UserError, match="no face found"):
        capture_with_bundle(np.full((200, 200, 3), 128, np.uint8), bundle_folder)


@pytest.mark.parametrize("name", ["models/expression.tflite", "models/face_detector.tflite", "head/triangles.u16"])
def test_cut_changed_and_missing_files_are_refused(copy, name):
    path = copy / name
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match="bytes instead of"):
        Bundle(copy)
    path.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    with pytest.raises(UserError, match="SHA-256"):
        Bundle(copy)
    path.unlink()
    with pytest.raises(UserError, match="is missing"):
        Bundle(copy)


def test_a_manifest_cannot_name_files_outside(copy):
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["files"]["models/../../secret"] = {"bytes": 1, "sha256": "0", "licence": ""}
    (copy / "manifest.json").write_text(json.dumps(manifest | {"digest": digest(manifest)}))
    with pytest.raises(UserError, match="cannot have"):
        Bundle(copy)


def test_no_bundle_is_one_line(tmp_path):
    with pytest.raises(UserError, match="not a bundle"):
        Bundle(tmp_path)


def _mutated(content: bytes, rng: np.random.Generator) -> bytes:
    kind, at = rng.integers(4), int(rng.integers(len(content)))
    if kind == 0:
        return content[:at]
    if kind == 1:
        return content[:at] + bytes([content[at] ^ (1 << int(rng.integers(8)))]) + content[at + 1 :]
    if kind == 2:
        return content[:at] + rng.bytes(int(rng.integers(1, 64))) + content[at:]
    end = min(len(content), at + int(rng.integers(1, 256)))
    return content[:at] + content[end:]


def _fuzz(folder: Path, count: int, seed: int) -> None:
    """Every mutation of any file is refused with one line; nothing crashes (a crash would end this process)."""
    rng = np.random.default_rng(seed)
    paths = sorted(p for p in folder.rglob("*") if p.is_file())
    for _ in range(count):
        path = paths[int(rng.integers(len(paths)))]
        content = path.read_bytes()
        changed = _mutated(content, rng)
        if changed == content:
            continue
        path.write_bytes(changed)
        with pytest.raises(UserError) as refused:
            Bundle(folder)
        assert "\n" not in str(refused.value)
        path.write_bytes(content)
    Bundle(folder)


def test_mutated_files_are_refused(copy):
    _fuzz(copy, FUZZED, 1)


@pytest.mark.slow
def test_ten_thousand_mutated_files_are_refused(copy):
    _fuzz(copy, 10_000, 2)


def test_blazeface_finds_the_crop_that_landmarks_give(bundle_folder):
    photo = read_image("sample:astronaut")
    face = Bundle(bundle_folder).detect(photo)[0]
    wanted: CropTransform = crop_from_landmarks(detect_faces(photo)[0].landmarks)
    corners = np.array([[0, 0], [223, 223.0]])
    shift = np.abs(face.crop().points_to_source(corners) - wanted.points_to_source(corners)).max()
    side = 223 / wanted.matrix[0, 0]
    assert shift < 0.12 * side


def test_blazeface_on_wide_and_tall_pictures(bundle_folder):
    bundle, photo = Bundle(bundle_folder), read_image("sample:astronaut")
    square = np.array(bundle.detect(photo)[0].box)
    for pad, offset in ((((0, 0), (300, 100), (0, 0)), (300, 0)), (((50, 200), (0, 0), (0, 0)), (0, 50))):
        box = np.array(bundle.detect(np.pad(photo, pad))[0].box) - np.tile(offset, 2)
        assert np.abs(box - square).max() < 0.2 * (square[2] - square[0])
