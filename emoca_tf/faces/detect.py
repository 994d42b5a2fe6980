"""Faces and their 478 MediaPipe landmarks, from the models inside the pinned mediapipe wheel."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from emoca_tf.errors import UserError

LONGEST_SIDE = 1280
SEARCH_SIDE = 3200
_PADDINGS = (0.0, 0.35, 1.0)  # a face that fills the picture is found once there is room around it
_TILES = (1280, 640, 400)  # px; MediaPipe's full-range model finds faces down to a twelfth of what it looks at
_TILE_CONFIDENCE = 0.7  # smooth blobs reach 0.64, faces 40 px high 0.77
_TILE_STEP = 0.75  # neighbouring tiles share a quarter, so that every small face lies whole in one of them
_CLOSE_UP, _CLOSE_UP_SIDE = 2.4, 512  # side of the second look in units of the box, and in pixels


@dataclass(frozen=True)
class Face:
    """One face.

    Attributes:
        landmarks: ``[478, 3]`` float64 pixels of the picture; z in the same unit, smaller is nearer.
    """

    landmarks: np.ndarray

    @property
    def box(self) -> tuple[float, float, float, float]:
        """left, top, right, bottom of the landmarks, pixels."""
        low, high = self.landmarks[:, :2].min(0), self.landmarks[:, :2].max(0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    @property
    def area(self) -> float:
        left, top, right, bottom = self.box
        return (right - left) * (bottom - top)


def detect_faces(image: np.ndarray, max_faces: int = 10) -> list[Face]:
    """Find faces, largest first.

    Pictures are scaled down to 1280 pixels; where none is found, the picture is searched again with a border around it,
    then in ever smaller overlapping tiles of at most 3200 pixels of it (faces from about a hundredth of the picture's
    longer side), and the landmarks are looked for in an enlarged cut-out of each face.

    Args:
        image: ``[H, W, 3]`` uint8 RGB.
        max_faces: how many at most.

    Returns:
        The faces; empty when there is none.

    Raises:
        UserError: if OpenCV cannot be loaded (it names the mend).
    """
    with _libgl_hint():
        import cv2

    height, width = image.shape[:2]
    zoom = min(1.0, LONGEST_SIDE / max(height, width))
    small = cv2.resize(image, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA) if zoom < 1 else image
    for padding in _PADDINGS:
        border = int(padding * max(small.shape[:2]))
        framed = cv2.copyMakeBorder(small, border, border, border, border, cv2.BORDER_REPLICATE)
        faces = [Face((points - [border, border, 0]) / zoom) for points in _face_mesh(framed, max_faces)]
        if faces:
            return sorted(faces, key=lambda face: -face.area)
    return sorted(_small_faces(image, max_faces), key=lambda face: -face.area)


def _small_faces(image: np.ndarray, max_faces: int) -> list[Face]:
    """Faces of the coarsest tiling that shows any, each confirmed by its landmarks."""
    import cv2

    zoom = min(1.0, SEARCH_SIDE / max(image.shape[:2]))
    searched = cv2.resize(image, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA) if zoom < 1 else image
    for tile in _TILES:
        if tile >= max(searched.shape[:2]) * (1 + _TILE_STEP) / 2:
            continue  # hardly smaller than the whole picture, which has been searched
        faces: list[Face] = []
        for x, y, side in _boxes_in_tiles(searched, tile):
            if len(faces) == max_faces:
                break
            if not any(_inside(face.box, x / zoom, y / zoom) for face in faces):
                faces += _close_up(image, x / zoom, y / zoom, side / zoom)
        if faces:
            return faces
    return []


def _boxes_in_tiles(image: np.ndarray, tile: int) -> list[tuple[float, float, float]]:
    """Centre x, y and side of what may be faces, the surest first."""
    found = []
    height, width = image.shape[:2]
    tops, lefts = (
        np.unique(np.linspace(0, max(0, n - tile), 1 + max(0, int(np.ceil((n - tile) / (tile * _TILE_STEP))))).round())
        for n in (height, width)
    )
    face_detection = _load_solution("face_detection")
    with (
        quiet_stderr(),
        face_detection.FaceDetection(model_selection=1, min_detection_confidence=_TILE_CONFIDENCE) as detector,
    ):
        for top in tops.astype(int):
            for left in lefts.astype(int):
                window = np.ascontiguousarray(image[top : top + tile, left : left + tile])
                for one in detector.process(window).detections or []:
                    box = one.location_data.relative_bounding_box
                    h, w = window.shape[:2]
                    centre = left + (box.xmin + box.width / 2) * w, top + (box.ymin + box.height / 2) * h
                    found.append((one.score[0], (*centre, (box.width * w + box.height * h) / 2)))
    return [box for _, box in sorted(found, reverse=True)]


def _close_up(image: np.ndarray, x: float, y: float, side: float) -> list[Face]:
    """The face whose box is centred on ``x, y``, by its landmarks in a cut-out; none if they are not found there."""
    import cv2

    half = max(side * _CLOSE_UP / 2, 8.0)
    low = np.floor([max(0.0, x - half), max(0.0, y - half)]).astype(int)
    high = np.ceil([x + half, y + half]).astype(int)
    cut = np.ascontiguousarray(image[low[1] : high[1], low[0] : high[0]])
    zoom = _CLOSE_UP_SIDE / max(cut.shape[:2])
    method = cv2.INTER_CUBIC if zoom > 1 else cv2.INTER_AREA
    enlarged = cv2.resize(cut, None, fx=zoom, fy=zoom, interpolation=method)
    zooms = np.array([enlarged.shape[1] / cut.shape[1], enlarged.shape[0] / cut.shape[0], zoom])
    faces = [Face(points / zooms + [*low, 0]) for points in _face_mesh(enlarged, 4)]
    return [face for face in faces if _inside(face.box, x, y)][:1]


def _inside(box: tuple[float, float, float, float], x: float, y: float) -> bool:
    left, top, right, bottom = box
    return left <= x <= right and top <= y <= bottom


def select_faces(faces: list[Face], which: str) -> list[Face]:
    """The faces a user asked for.

    Args:
        faces: largest first.
        which: ``largest``, ``all``, or a number counted from 0 in order of size.

    Raises:
        UserError: if there is no face, or not that one.
    """
    if not faces:
        raise UserError(
            "no face found; use a sharper, more frontal picture in which the face is at least 64 pixels high "
            "and not much smaller than a hundredth of the picture"
        )
    if which == "largest":
        return faces[:1]
    if which == "all":
        return faces
    if not which.isdecimal():
        raise UserError(f"--face takes largest, all or a number; received '{which}'")
    if int(which) >= len(faces):
        raise UserError(f"face {which} was asked for, but {len(faces)} found (counted from 0, largest first)")
    return [faces[int(which)]]


def _face_mesh(image: np.ndarray, max_faces: int) -> list[np.ndarray]:
    face_mesh = _load_solution("face_mesh")
    height, width = image.shape[:2]
    with (
        quiet_stderr(),
        face_mesh.FaceMesh(static_image_mode=True, refine_landmarks=True, max_num_faces=max_faces) as mesh,
    ):
        found = mesh.process(np.ascontiguousarray(image)).multi_face_landmarks or []
    scale = [width, height, width]  # MediaPipe gives z in units of the picture's width
    return [np.array([[p.x, p.y, p.z] for p in face.landmark]) * scale for face in found]


def _load_solution(name: str) -> Any:
    os.environ.setdefault("GLOG_minloglevel", "3")
    with _libgl_hint():
        return import_module(f"mediapipe.python.solutions.{name}")


@contextmanager
def _libgl_hint() -> Iterator[None]:
    """Turn the failure of a windowed OpenCV build on a machine without libGL into its mend."""
    try:
        yield
    except ImportError as error:
        if "libGL" not in str(error):
            raise
        raise UserError(
            "the installed OpenCV needs libGL; replace it with: "
            "pip install --force-reinstall --no-deps opencv-python-headless==4.11.0.86"
        ) from None


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Silence native log lines that ignore every log level (file descriptor 2); Python errors still propagate."""
    sink = os.open(os.devnull, os.O_WRONLY)
    saved = os.dup(2)
    os.dup2(sink, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(sink)
