"""Faces of every size, and pictures without any."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest

from emoca_tf.errors import UserError
from emoca_tf.faces.detect import detect_faces, select_faces
from emoca_tf.io.images import read_image


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    return read_image("sample:astronaut")


def smooth_background(height: int, width: int) -> np.ndarray:
    coarse = np.random.default_rng(0).integers(60, 200, (20, 30, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("face_height", [40, 80])
def test_a_small_face_in_a_big_picture_is_found_where_it_is(astronaut: np.ndarray, face_height: int) -> None:
    known = detect_faces(astronaut)[0]
    zoom = face_height / (known.box[3] - known.box[1])
    small = cv2.resize(astronaut, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)
    picture, corner = smooth_background(2000, 3000), np.array([2100, 1300])
    picture[corner[1] : corner[1] + small.shape[0], corner[0] : corner[0] + small.shape[1]] = small
    found = detect_faces(picture)
    assert len(found) == 1
    wanted = known.landmarks[:, :2] * zoom + corner
    errors = np.linalg.norm(found[0].landmarks[:, :2] - wanted, axis=1)
    assert errors.mean() < 0.03 * face_height
    assert errors.max() < 0.1 * face_height


def test_a_picture_without_faces_says_so_in_reasonable_time() -> None:
    start = time.perf_counter()
    with pytest.raises(UserError, match="no face found"):
        select_faces(detect_faces(smooth_background(2000, 3000)), "largest")
    assert time.perf_counter() - start < 60  # about 2 s; a search that grows with the picture would take minutes


def test_the_number_of_faces_is_limited(astronaut: np.ndarray) -> None:
    assert len(detect_faces(np.hstack([astronaut, astronaut]), max_faces=1)) == 1


def test_which_face_is_chosen_is_checked(astronaut: np.ndarray) -> None:
    faces = detect_faces(astronaut)
    assert select_faces(faces, "largest") == select_faces(faces, "0") == faces[:1]
    for which, message in [("1", "1 found"), ("smallest", "largest, all or a number")]:
        with pytest.raises(UserError, match=message):
            select_faces(faces, which)


@pytest.mark.parametrize("name", ["coffee", "chelsea"])
def test_a_photo_without_people_has_no_face_however_large(name: str) -> None:
    """A cup, and a cat close up."""
    from skimage import data

    photo = getattr(data, name)()
    for zoom in (1, 4):
        assert detect_faces(cv2.resize(photo, None, fx=zoom, fy=zoom)) == []
