"""Readers on small folders of the exact official layouts; the pictures are drawn, the data sets are not here."""

from __future__ import annotations

import csv
import json
from itertools import islice

import cv2
import numpy as np
import pytest
from PIL import Image

from emoca_tf.errors import UserError
from training.datasets.afew_va import afew_va, split_rows
from training.datasets.affectnet import COLUMNS, affectnet
from training.datasets.catalog import open_source
from training.datasets.folder import class_index, labelled, unlabelled
from training.datasets.packed import Mosaics, Packed, map_npz
from training.datasets.pipeline import InputReport, batches
from training.datasets.source import EXPRESSIONS, Source

POINTS = np.stack([60 + 30 * np.cos(np.arange(68)), 70 + 35 * np.sin(np.arange(68))], 1)
RNG = np.random.default_rng(0)


def draw(path, value=128):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((140, 120, 3), value, np.uint8)).save(path)


def affectnet_row(name, expression, valence, arousal, points=POINTS):
    text = ";".join(f"{v:.2f}" for v in np.ravel(points))
    return [name, "30", "35", "60", "70", text, str(expression), str(valence), str(arousal)]


@pytest.fixture
def affectnet_2017(tmp_path):
    rows = [affectnet_row(f"{100 + k}/p{k}.jpg", k, 0.1 * k - 0.3, 0.05 * k) for k in range(8)]
    rows += [affectnet_row("9/none.jpg", 8, -2, -2), affectnet_row("9/nonface.jpg", 10, -2, -2)]
    rows += [affectnet_row("9/uncertain.jpg", 9, -2, -2), affectnet_row("9/invalid.jpg", 1, -2, -2)]
    rows += [affectnet_row("9/nolandmarks.jpg", 3, 0.5, 0.5, points=[])]
    for row in rows:
        draw(tmp_path / "Manually_Annotated_Images" / row[0])
    for name, header in (("training.csv", True), ("validation.csv", False)):
        with (tmp_path / name).open("w", newline="") as stream:
            csv.writer(stream).writerows([list(COLUMNS)] * header + rows)
    return tmp_path


@pytest.mark.parametrize("split", ["training", "validation"])
def test_affectnet_2017_keeps_the_usable_pictures_of_eight_classes(affectnet_2017, split):
    source = affectnet(affectnet_2017, split)
    assert isinstance(source, Source)
    assert source.labels.expression.tolist() == [*range(8), 3]
    np.testing.assert_allclose(source.labels.valence[:8], 0.1 * np.arange(8) - 0.3, atol=1e-6)
    example = source.example(2, RNG)
    np.testing.assert_allclose(example["landmarks68"][:, :2], POINTS, atol=0.01)
    assert example["image"].shape == (140, 120, 3)
    np.testing.assert_array_equal(source.example(8, RNG)["box"], [30, 35, 90, 105])


def test_affectnet_with_seven_classes_has_no_contempt(affectnet_2017):
    assert affectnet(affectnet_2017, classes=7).labels.expression.max() == 6


def test_affectnet_gives_batches_with_unknown_478_points_and_known_68(affectnet_2017):
    batch = next(iter(batches(affectnet(affectnet_2017), batch_size=4, seed=0, balanced=True)))
    assert not batch["landmarks_mp"].numpy()[..., 2].any()
    assert batch["landmarks68"].numpy()[0, :, 2].all() or not batch["landmarks68"].numpy()[0].any()
    assert 0.05 < batch["mask"].numpy().mean() <= 1


def test_affectnets_automatic_list_and_a_cleaned_list_are_read_by_name(affectnet_2017):
    with pytest.raises(UserError, match=r"neither automatically_annotated\.csv"):
        affectnet(affectnet_2017, "automatic")
    (affectnet_2017 / "lists").mkdir()
    (affectnet_2017 / "training.csv").rename(affectnet_2017 / "lists" / "automatically_annotated.csv")
    assert len(affectnet(affectnet_2017, "automatic")) == 9
    assert len(affectnet(affectnet_2017, "lists/automatically_annotated.csv")) == 9


def test_affectnet_2021_reads_annotations_stored_as_text(tmp_path):
    folder = tmp_path / "train_set"
    (folder / "annotations").mkdir(parents=True)
    for k, (expression, valence) in enumerate([("0", "0.1"), ("7", "-0.5"), ("3", "-2")]):
        draw(folder / "images" / f"{k}.jpg")
        for key, value in (("exp", expression), ("val", valence), ("aro", "0.25")):
            np.save(folder / "annotations" / f"{k}_{key}.npy", np.array(value))
        np.save(folder / "annotations" / f"{k}_lnd.npy", POINTS.ravel())
    source = affectnet(tmp_path)
    assert list(source.ids) == ["0", "1"]
    assert source.labels.expression.tolist() == [0, 7]
    np.testing.assert_allclose(source.example(1, RNG)["landmarks68"][:, :2], POINTS, atol=1e-3)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a,b,c", "columns instead of 9"),
        ("1/a.jpg,1,1,9,9,1;2,happy,0,0", "column expression holds something that is no number"),
    ],
)
def test_a_broken_affectnet_table_is_one_clear_line(tmp_path, line, message):
    (tmp_path / "training.csv").write_text(",".join(COLUMNS) + "\n" + line + "\n")
    with pytest.raises(UserError, match=message):
        affectnet(tmp_path)


def test_a_table_without_its_pictures_says_where_it_looked(tmp_path):
    (tmp_path / "training.csv").write_text(",".join(affectnet_row("1/a.jpg", 0, 0, 0)) + "\n")
    with pytest.raises(UserError, match=r"1/a\.jpg.*give their folder with images="):
        affectnet(tmp_path)


@pytest.fixture
def afew(tmp_path):
    for clip in range(1, 11):
        name = f"{clip:03d}"
        frames = {}
        for frame in range(3):
            draw(tmp_path / name / f"{frame:05d}.png", 20 * clip)
            frames[f"{frame:05d}"] = {"landmarks": POINTS.tolist(), "valence": clip - 5, "arousal": -frame}
        text = json.dumps({"video_id": name, "actor": "somebody", "frames": frames})
        (tmp_path / name / f"{name}.json").write_text(text)
    return tmp_path


def test_afew_va_scales_to_one_and_splits_by_clip(afew):
    parts = [afew_va(afew, split) for split in ("training", "validation", "test")]
    assert [len(part) for part in parts] == [18, 6, 6]
    clips = [set(part.persons.tolist()) for part in parts]
    assert set.union(*clips) == set(range(1, 11))
    whole = afew_va(afew, "all")
    assert whole.ids[4] == "002/00001"
    assert whole.labels.valence[4] == pytest.approx(-0.3)
    assert whole.labels.arousal[4] == pytest.approx(-0.1)
    assert (whole.labels.expression == -1).all()
    assert "landmarks68" in whole.example(0, RNG)


def test_afew_vas_split_is_the_releases_shuffle():
    # The first test clips of 600 under NumPy's legacy seed 0, which every NumPy version keeps.
    order = np.arange(600)
    np.random.RandomState(0).shuffle(order)
    np.testing.assert_array_equal(split_rows(600, "test"), np.sort(order[480:]))


def test_a_folder_that_is_not_afew_va_is_refused(tmp_path):
    with pytest.raises(UserError, match="no AFEW-VA clip"):
        afew_va(tmp_path)
    (tmp_path / "001").mkdir()
    (tmp_path / "001" / "001.json").write_text('{"frames": {"00000": {"valence": 3}}}')
    with pytest.raises(UserError, match="not an AFEW-VA annotation"):
        afew_va(tmp_path, "all")


def test_a_folder_a_class(tmp_path):
    for name in ("Happiness", "anger", "4"):
        draw(tmp_path / name / "a.jpg")
    source = labelled(tmp_path)
    assert dict(zip(source.ids, source.labels.expression.tolist(), strict=True)) == {
        "4/a": 4,
        "Happiness/a": 1,
        "anger/a": 6,
    }


def test_a_class_that_is_none_and_a_loose_picture_are_refused(tmp_path):
    draw(tmp_path / "hungry" / "a.jpg")
    with pytest.raises(UserError, match="'hungry' is no expression class"):
        labelled(tmp_path)
    draw(tmp_path / "b.jpg")
    with pytest.raises(UserError, match=r"b\.jpg lies in no class folder"):
        labelled(tmp_path)


def test_labels_from_a_csv_with_persons(tmp_path):
    for name in "abc":
        draw(tmp_path / f"{name}.png")
    (tmp_path / "labels.csv").write_text("path,label,valence,person\na.png,sad,-0.5,x\nb.png,,,y\nc.png,2,0.25,x\n")
    source = labelled(tmp_path)
    assert source.labels.expression.tolist() == [2, -1, 2]
    np.testing.assert_array_equal(source.labels.valence, np.array([-0.5, np.nan, 0.25], np.float32))
    assert source.persons.tolist() == [0, 1, 0]
    (tmp_path / "labels.csv").write_text("picture,label\na.png,sad\n")
    with pytest.raises(UserError, match="no picture column"):
        labelled(tmp_path)


def test_pictures_without_labels_take_their_folders_as_persons(tmp_path):
    for name in ("p/1", "p/2", "q/1"):
        draw(tmp_path / f"{name}.jpg")
    source = unlabelled(tmp_path)
    assert list(source.ids) == ["p/1", "p/2", "q/1"]
    assert source.persons.tolist() == [0, 0, 1]
    batch = next(iter(batches(source, batch_size=2, seed=0, training=False)))
    assert batch["expression"].numpy().tolist() == [-1, -1]
    assert np.isnan(batch["valence"].numpy()).all()


def test_a_damaged_picture_is_reported_and_passed_over(tmp_path):
    for name in ("a", "b"):
        draw(tmp_path / f"{name}.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "b.png").read_bytes()[:60])
    report = InputReport()
    stream = batches(unlabelled(tmp_path), batch_size=2, seed=0, report=report)
    shown = [b["id"].numpy().tolist() for b in islice(stream, 2)]
    assert shown == [[b"a", b"a"]] * 2
    assert "damaged" in report.bad["b"]


def joined(values):
    parts = [cv2.imencode(".jpg", np.full((80, 80, 3), v, np.uint8))[1] for v in values]
    return np.concatenate(parts), np.cumsum([0, *map(len, parts)])


@pytest.fixture
def packed_files(tmp_path):
    jpeg, offset = joined([10, 100, 200])
    ids = np.array(["x_0", "x_1", "x_2"])
    np.savez(tmp_path / "x_dev_jpeg.npz", id=ids, jpeg=jpeg, offset=offset, label=np.array([2, 6, 7], np.int8))
    marks = np.zeros((3, 478, 3), np.int16)
    marks[:, :, :2] = 16 * 40 + (16 * 20 * RNG.uniform(-1, 1, (478, 2))).astype(np.int16)
    np.savez_compressed(tmp_path / "x_dev_landmarks.npz", id=ids, landmarks_x16=marks)
    (tmp_path / "x_dev.csv").write_text(
        "id,person_group,valid_x0,valid_y0,valid_x1,valid_y1\n"
        + "".join(f"x_{k},g{k % 2},0,0,40,80\n" for k in range(3))
    )
    return tmp_path


def test_packed_pictures_with_their_companions(packed_files):
    source = Packed(packed_files / "x_dev")
    assert [EXPRESSIONS[k] for k in source.labels.expression] == ["surprise", "fear", "contempt"]
    assert source.persons.tolist() == [0, 1, 0]
    example = source.example(1, RNG)
    assert abs(int(example["image"].mean()) - 100) <= 2
    assert 19 < example["landmarks"][:, :2].min() < example["landmarks"][:, :2].max() < 61
    batch = next(iter(batches(source, batch_size=3, seed=0, training=False)))
    mask = batch["mask"].numpy()[0, :, :, 0]
    assert mask[:, :110].any()
    assert not mask[:, 116:].any()  # the right half of the picture was made up


def test_seven_classes_leave_contempt_unlabelled(packed_files):
    labels = Packed(packed_files / "x_dev", classes=7).labels.expression
    assert [EXPRESSIONS[k] for k in labels[:2]] == ["surprise", "fear"]
    assert labels[2] == -1


def test_stored_arrays_are_mapped_not_read(packed_files):
    arrays = map_npz(packed_files / "x_dev_jpeg.npz")
    assert isinstance(arrays["jpeg"], np.memmap)
    np.testing.assert_array_equal(arrays["jpeg"], np.load(packed_files / "x_dev_jpeg.npz")["jpeg"])


def test_a_cut_or_foreign_packed_file_is_refused(packed_files):
    path = packed_files / "x_dev_jpeg.npz"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(UserError, match=r"not a readable \.npz file"):
        Packed(path)
    with pytest.raises(UserError, match="no packed data set"):
        Packed(packed_files / "x_dev_landmarks.npz")
    np.savez(packed_files / "evil.npz", jpeg=np.array([{}], dtype=object))
    with pytest.raises(UserError, match="Python objects"):
        map_npz(packed_files / "evil.npz")


def test_mosaics_are_cut_into_their_pictures(tmp_path):
    values = np.arange(30, dtype=np.uint8) * 8
    tiles = np.zeros((50, 48, 48), np.uint8)
    tiles[:30] = values[:, None, None]
    mosaic = tiles.reshape(2, 25, 48, 48).swapaxes(1, 2).reshape(96, 1200)
    data = cv2.imencode(".jpg", mosaic, [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
    face = np.ones(30, bool)
    face[3] = False
    arrays = {"id": np.array([f"f{k}" for k in range(30)]), "label": np.full(30, 3, np.int8), "face_detected": face}
    np.savez(tmp_path / "m.npz", mosaic=data, offset=np.array([0, len(data)]), count=30, **arrays)
    source = Mosaics(tmp_path / "m.npz")
    assert len(source) == 29
    assert source.ids[3] == "f4"
    assert abs(int(source.example(3, RNG)["image"].mean()) - 32) <= 1
    assert EXPRESSIONS[source.labels.expression[0]] == "sad"


def test_data_sets_are_opened_by_name_and_mistakes_are_explained(tmp_path):
    draw(tmp_path / "a.jpg")
    assert len(open_source("unlabelled", tmp_path)) == 1
    assert len(open_source("synthetic", size=5)) == 5
    with pytest.raises(UserError, match="did you mean affectnet"):
        open_source("afectnet", tmp_path)
    with pytest.raises(UserError, match="unexpected keyword argument 'colour'"):
        open_source("unlabelled", tmp_path, colour=1)
    with pytest.raises(UserError, match="no such file or folder"):
        open_source("shards", tmp_path / "nowhere")


def test_every_class_name_is_understood():
    assert [class_index(name) for name in EXPRESSIONS] == list(range(8))
    assert class_index("Surprised") == 3
    assert class_index("") == -1
