"""How far a reconstructed head is from the truth, in millimetres; and predictions in the NoW challenge's layout.

Plain: distance of corresponding vertices in head space, nothing moved. NoW-style: the prediction is placed by its
seven landmarks (rotation, translation, scale), then by iterated closest points, and the distance from each point of
the scan to the surface counts (the protocol of soubhiksanyal/now_evaluation; spec section 6.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emoca_tf.errors import UserError
from emoca_tf.flame.head import HeadModel

NOW_LANDMARKS = (19, 22, 25, 28, 16, 31, 37)
"""Entries of the 51 inner landmarks: eye corners, nose bottom, mouth corners."""
MILLIMETRES = 1000.0
ICP_STEPS = 30
ICP_TOLERANCE = 1e-4  # relative change of the mean distance
MESHES = (".obj", ".ply")


@dataclass(frozen=True)
class Prediction:
    """One predicted head: ``vertices [V, 3]``, ``faces [F, 3]``, ``landmarks [7, 3]`` in one unit."""

    name: str
    vertices: np.ndarray
    faces: np.ndarray
    landmarks: np.ndarray


def read_now_predictions(folder: Path) -> list[Prediction]:
    """Every mesh below ``folder`` with its landmarks beside it (``name.obj`` or ``.ply``, ``name.npy`` or ``.txt``).

    Raises:
        UserError: nothing there, or a mesh without seven landmarks.
    """
    meshes = sorted(path for path in folder.rglob("*") if path.suffix.lower() in MESHES)
    if not meshes:
        raise UserError(f"{folder}: no .obj or .ply below it; NoW predictions lie in SUBJECT/CHALLENGE/IMAGE.obj")
    return [_read_prediction(path, folder) for path in meshes]


def _read_prediction(path: Path, folder: Path) -> Prediction:
    import trimesh

    beside = [path.with_suffix(suffix) for suffix in (".npy", ".txt") if path.with_suffix(suffix).exists()]
    if not beside:
        raise UserError(f"{path}: its landmarks {path.stem}.npy (or .txt) are missing")
    try:
        mesh: Any = trimesh.load(path, process=False, force="mesh")
        binary = beside[0].suffix == ".npy"
        landmarks = np.load(beside[0], allow_pickle=False) if binary else np.loadtxt(beside[0])
    except (ValueError, OSError, IndexError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    if landmarks.shape != (len(NOW_LANDMARKS), 3):
        raise UserError(f"{beside[0]}: seven landmarks [7, 3] expected, found {landmarks.shape}")
    name = str(path.relative_to(folder).with_suffix(""))
    return Prediction(name, np.asarray(mesh.vertices), np.asarray(mesh.faces), landmarks.astype(np.float64))


def similarity(source: np.ndarray, target: np.ndarray, scaled: bool = True) -> np.ndarray:
    """The 4 x 4 similarity (rigid if not ``scaled``) that moves points best onto points, by least squares (Umeyama)."""
    a, b = source - source.mean(0), target - target.mean(0)
    u, values, vt = np.linalg.svd(b.T @ a)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = u @ np.diag(sign) @ vt
    scale = float((values * sign).sum() / (a**2).sum()) if scaled else 1.0
    matrix = np.eye(4)
    matrix[:3, :3] = scale * rotation
    matrix[:3, 3] = target.mean(0) - matrix[:3, :3] @ source.mean(0)
    return matrix


def moved(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """``[N, 3]`` points through a 4 x 4 matrix."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def scan_to_mesh(
    scan: np.ndarray, scan_landmarks: np.ndarray, prediction: Prediction, scaled: bool = True
) -> np.ndarray:
    """``[N]`` distances of the scan's points to the aligned prediction, in the scan's unit.

    Args:
        scan: ``[N, 3]`` points of the scanned face (without neck and ears, as NoW crops them).
        scan_landmarks: ``[7, 3]``.
        prediction: in any unit if ``scaled``.
        scaled: non-metric evaluation: also the scale is fitted.
    """
    import trimesh

    vertices = moved(prediction.vertices, similarity(prediction.landmarks, scan_landmarks, scaled))
    distance, before = np.zeros(len(scan)), np.inf
    for _ in range(ICP_STEPS):
        mesh = trimesh.Trimesh(vertices, prediction.faces, process=False)
        nearest, distance, _ = trimesh.proximity.closest_point(mesh, scan)
        if before - distance.mean() <= ICP_TOLERANCE * distance.mean():
            break
        before = float(distance.mean())
        vertices = moved(vertices, similarity(nearest, scan, scaled))
    return distance


def vertex_errors(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """``[B, V]`` distances of corresponding vertices (metres in), millimetres."""
    return np.linalg.norm(predicted - true, axis=-1) * MILLIMETRES


def summary(distances: np.ndarray) -> dict[str, float]:
    """Median, mean and deviation, as NoW lists them."""
    return {"median": float(np.median(distances)), "mean": float(distances.mean()), "std": float(distances.std())}


def pixels_per_metre(head: HeadModel) -> float:
    """Scale of the mean face in a 224 crop as :mod:`emoca_tf.faces.crop` makes it."""
    points = head.v_template[head.masks["face"], :2]
    return 112 * 2 / (1.1 * 1.25 * float((points.max(0) - points.min(0)).mean()))


def axis_signals(head: HeadModel, expressions: np.ndarray, visible: float) -> tuple[np.ndarray, np.ndarray]:
    """How far each expression axis moves the mean face in the picture, and which axes that shows.

    Args:
        head: the head.
        expressions: ``[B, E]`` codes of the faces that are looked at.
        visible: pixels of the 224 crop from which an axis counts as visible.

    Returns:
        ``[E]`` pixels: the codes' standard deviation, times the 99th percentile over the face's vertices of a unit
        axis's motion, seen from the front; and ``[E]`` which of them reach ``visible``.

    Raises:
        UserError: none does.
    """
    directions = head.shapedirs[np.unique(head.masks["face"])][:, :2, head.n_shape :]
    motion = pixels_per_metre(head) * np.percentile(np.linalg.norm(directions, axis=1), 99, axis=0)
    signals = expressions.std(0) * motion
    seen = signals >= visible
    if not seen.any():
        raise UserError(
            f"no axis moves these faces by {visible:g} pixels (the largest: {signals.max():.2f}); lower --visible"
        )
    return signals, seen
