from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from skimage import data

from emoca_tf.errors import UserError
from emoca_tf.faces.detect import detect_faces
from training.datasets import prepare
from training.datasets.folder import unlabelled
from training.datasets.pipeline import batches
from training.datasets.prepare import NO_FACE, Settings
from training.datasets.shards import Index, Shards, check

ROOT = Path(prepare.__file__).parents[2]


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Three readable faces, one plain picture, one broken file."""
    folder = tmp_path_factory.mktemp("raw")
    photo = Image.fromarray(data.astronaut())
    (folder / "happy").mkdir()
    photo.save(folder / "happy" / "a.jpg", quality=95)
    photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "happy" / "b.png")
    (folder / "sad").mkdir()
    photo.crop((100, 0, 380, 280)).save(folder / "sad" / "c.jpg", quality=95)
    Image.new("RGB", (200, 200), (90, 120, 150)).save(folder / "sad" / "d.jpg")
    (folder / "sad" / "e.jpg").write_bytes((folder / "happy" / "a.jpg").read_bytes()[:3000])
    return folder


def run(raw, output, *extra):
    arguments = [str(raw), "-o", str(output), "--layout", "folder", "--workers", "1", "--shard-size", "2", *extra]
    return CliRunner().invoke(prepare.main, arguments)


@pytest.fixture(scope="module")
def made(raw, tmp_path_factory):
    output = tmp_path_factory.mktemp("shards") / "out"
    result = run(raw, output)
    assert result.exit_code == 0, result.output
    assert "3 of 5 pictures" in result.output
    return output


def test_faces_become_crops_with_landmarks_masks_and_labels(made):
    source = Shards(made)
    assert list(source.ids) == ["happy/a", "happy/b", "sad/c"]
    assert source.labels.expression.tolist() == [1, 1, 2]
    example = source.example(0, np.random.default_rng(0))
    assert example["image"].shape[0] == example["image"].shape[1] <= 384
    assert example["mask"].shape == example["image"].shape[:2]
    again = detect_faces(example["image"])[0].landmarks[:, :2]
    error = np.linalg.norm(again - example["landmarks"][:, :2], axis=1) / np.ptp(again[:, 0])
    assert error.mean() < 0.03


def test_skipped_pictures_are_listed_with_the_reason(made):
    with (made / "skipped.csv").open() as stream:
        reasons = {row["id"]: row["reason"] for row in csv.DictReader(stream)}
    assert reasons["sad/d"] == NO_FACE
    assert "damaged" in reasons["sad/e"]
    assert len(reasons) == 2


def test_the_crop_at_training_time_equals_the_crop_of_the_photograph(raw, made):
    """Cropping the shard's picture again is cropping the photograph, up to resampling."""
    from emoca_tf.faces.crop import crop_from_landmarks

    photo = np.asarray(Image.open(raw / "happy" / "b.png"))
    direct = crop_from_landmarks(detect_faces(photo)[0].landmarks).apply(photo)
    batch = next(iter(batches(Shards(made), batch_size=3, seed=0, training=False)))
    assert np.abs(batch["image"].numpy()[1] - direct).mean() < 0.03
    assert 0.2 < batch["mask"].numpy()[1].mean() < 0.7


def test_the_same_command_again_changes_nothing_and_another_is_refused(raw, made):
    before = {p.name: p.stat().st_mtime_ns for p in made.glob("*.npz")}
    assert run(raw, made).exit_code == 0
    assert {p.name: p.stat().st_mtime_ns for p in made.glob("*.npz")} == before
    result = run(raw, made, "--scale", "1.5")
    assert result.exit_code == 2
    assert "made with other settings (scale)" in result.output


def test_a_stopped_run_goes_on_and_ends_with_the_same_shards(raw, made, tmp_path, monkeypatch):
    output = tmp_path / "out"
    calls = 0
    real = prepare.make_crop

    def stopping(job):
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return real(job)

    monkeypatch.setattr(prepare, "make_crop", stopping)
    result = run(raw, output)
    assert result.exit_code == 130
    assert "the same command goes on" in result.output
    assert Index.load(output).seen == 2
    result = run(raw, output)
    assert result.exit_code == 0
    assert calls == 4 + 3  # the finished shard of two pictures was not made again
    assert [s.sha256 for s in Index.load(output).shards] == [s.sha256 for s in Index.load(made).shards]


def test_a_deleted_shard_is_made_again_and_a_changed_one_stops_the_run(raw, made, tmp_path):
    output = tmp_path / "out"
    shutil.copytree(made, output)
    first = output / Index.load(made).shards[0].file
    content = first.read_bytes()
    first.write_bytes(content + b"x")
    result = run(raw, output)
    assert result.exit_code == 2
    assert "delete it and run prepare.py again" in result.output
    first.unlink()
    assert run(raw, output).exit_code == 0
    assert first.read_bytes() == content


@pytest.mark.slow
def test_killed_with_kill_9_it_goes_on(raw, made, tmp_path):
    output = tmp_path / "out"
    command = [sys.executable, str(ROOT / "training/datasets/prepare.py"), str(raw), "-o", str(output)]
    command += ["--layout", "folder", "--workers", "2", "--shard-size", "2"]
    for _ in range(20):
        process = subprocess.Popen(command, start_new_session=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
        started = time.time()
        while time.time() - started < 120 and process.poll() is None:
            if (output / "index.json").exists() and Index.load(output).seen < 5:
                break
            time.sleep(0.05)
        if process.poll() is not None:
            break
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if Index.load(output).seen >= 2:
            break
    assert subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)}).returncode == 0
    assert [s.sha256 for s in Index.load(output).shards] == [s.sha256 for s in Index.load(made).shards]


def test_a_changed_shard_is_refused_in_one_line(made, tmp_path):
    index = Index.load(made)
    for change, message in ((lambda b: b[:-10], "cut off"), (lambda b: b[:-1] + b"x", "SHA-256")):
        folder = tmp_path / message
        folder.mkdir()
        for path in made.iterdir():
            content = path.read_bytes()
            (folder / path.name).write_bytes(change(content) if path.name == index.shards[0].file else content)
        with pytest.raises(UserError, match=message) as caught:
            Shards(folder)
        assert "\n" not in str(caught.value)
    (made.parent / "empty").mkdir(exist_ok=True)
    with pytest.raises(UserError, match=r"holds no index\.json"):
        Shards(made.parent / "empty")
    check(made, index.shards[0])


def test_the_labelled_face_is_taken_where_there_are_several(tmp_path):
    photo = data.astronaut()[:300, 80:380]
    both = np.concatenate([photo, photo[:, ::-1]], 1)
    path = tmp_path / "two.png"
    Image.fromarray(both).save(path)
    left, right = sorted(detect_faces(both), key=lambda face: face.box[0])
    pictures = []
    for face in (left, right):
        crop = prepare.make_crop(prepare.Job("two", path, face.box, None, Settings()))
        assert not isinstance(crop, str)
        pictures.append(cv2.imdecode(np.frombuffer(crop.jpeg, np.uint8), cv2.IMREAD_COLOR).astype(float))
    size = min(len(picture) for picture in pictures)
    first, second = (cv2.resize(picture, (size, size))[50:-50, 50:-50] for picture in pictures)
    assert np.abs(first - second[:, ::-1]).mean() < 0.5 * np.abs(first - second).mean()  # one mirrors the other
    nowhere = prepare.make_crop(prepare.Job("two", path, (250.0, 230.0, 340.0, 299.0), None, Settings()))
    assert isinstance(nowhere, str)


def test_given_masks_take_the_place_of_the_oval(raw, tmp_path):
    masks = tmp_path / "masks" / "happy"
    masks.mkdir(parents=True)
    Image.fromarray(np.full((512, 512), 255, np.uint8)).save(masks / "a.png")
    output = tmp_path / "out"
    index = prepare.prepare(unlabelled(raw), output, shard_size=8, masks=tmp_path / "masks")
    assert sum(shard.images for shard in index.shards) == 3
    source = Shards(output)
    covered = [(source.example(k, np.random.default_rng(0))["mask"] > 0).mean() for k in range(3)]
    assert covered[0] > 0.6 > max(covered[1:])
