"""Landmarks of 48 x 48 pictures lie where those of the large picture lie, and do not move the crop."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from emoca_tf.faces.detect import detect_faces
from emoca_tf.io.images import read_image
from training.datasets.augment import NONE
from training.datasets.crops import finish
from training.datasets.mosaic_landmarks import N_FACE, main
from training.datasets.packed import Mosaics


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """One face as FER2013 shows it and one picture of nothing, with their landmarks; the points of the large face."""
    photo = read_image("sample:astronaut")
    face = detect_faces(photo)[0]
    left, top, right, bottom = face.box
    side = max(right - left, bottom - top)
    corner = np.array([(left + right) / 2, (top + bottom) / 2]) - side / 2
    zoom = 48 / side
    matrix = np.array([[zoom, 0, -zoom * corner[0]], [0, zoom, -zoom * corner[1]]])
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    crop = cv2.warpAffine(cv2.GaussianBlur(grey, (0, 0), 0.4 / zoom), matrix, (48, 48))
    folder = tmp_path_factory.mktemp("small")
    pictures = np.stack([crop, np.full_like(crop, 90)])
    np.savez(folder / "fer.npz", image=pictures, id=np.array(["a", "b"]), label=np.array([1, 0]))
    done = CliRunner().invoke(main, [str(folder / "fer.npz")], catch_exceptions=False)
    assert done.exit_code == 0
    assert "1 of 2 pictures have landmarks" in done.output
    return folder / "fer.npz", (face.landmarks[:, :2] - corner) * zoom


def test_points_lie_where_the_large_picture_has_them(small) -> None:
    path, true = small
    example = Mosaics(path, border=5).example(0, np.random.default_rng(0))
    gap = np.linalg.norm(example["landmarks"][:N_FACE, :2] - 5 - true[:N_FACE], axis=1)
    assert gap.mean() < 1.0  # pixels of 48
    assert not example["landmarks"][N_FACE:, 2].any()


def test_a_picture_without_a_face_has_none(small) -> None:
    assert not Mosaics(small[0]).example(1, np.random.default_rng(0))["landmarks"][:, 2].any()


def test_the_picture_stays_the_crop(small) -> None:
    source, rng = Mosaics(small[0], border=5), np.random.default_rng(0)
    row = finish(source.example(0, rng), NONE, rng)
    without = source.example(0, rng)
    del without["landmarks"]
    np.testing.assert_array_equal(row["image"], finish(without, NONE, rng)["image"])
    points = row["landmarks_mp"][:N_FACE, :2] * 112 + 112
    np.testing.assert_allclose(points, source.example(0, rng)["landmarks"][:N_FACE, :2] * 223 / 57, atol=1e-2)
