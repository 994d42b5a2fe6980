"""Faces and their 478 MediaPipe landmarks, from the models inside the pinned mediapipe wheel."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from emoca_tf.errors import UserError

LONGEST_SIDE = 1280
_PADDINGS = (0.0, 0.35, 1.0)  # a face that fills the picture is found once there is room around it


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

    Pictures are scaled down to 1280 pixels; where none is found, the picture is searched again with a border around it.

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
    return []


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
            "no face found; use a sharper, more frontal picture in which the face is at least 64 pixels high"
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
    face_mesh = _load_face_mesh()
    height, width = image.shape[:2]
    with (
        quiet_stderr(),
        face_mesh.FaceMesh(static_image_mode=True, refine_landmarks=True, max_num_faces=max_faces) as mesh,
    ):
        found = mesh.process(np.ascontiguousarray(image)).multi_face_landmarks or []
    scale = [width, height, width]  # MediaPipe gives z in units of the picture's width
    return [np.array([[p.x, p.y, p.z] for p in face.landmark]) * scale for face in found]


def _load_face_mesh() -> Any:
    os.environ.setdefault("GLOG_minloglevel", "3")
    with _libgl_hint():
        from mediapipe.python.solutions import face_mesh

    return face_mesh


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
