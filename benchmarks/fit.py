"""How well fitting recovers known heads: synthetic photos of the default head, found and fitted as any photo.

Run: ``python benchmarks/fit.py`` (50 faces; ``--landmarks truth`` leaves MediaPipe's detector out of the account).

For each stage (landmarks alone, then with pixels) it prints, as mean over the faces:

* landmarks: distance of the head's projected points from the given ones, pixels of the 224 crop;
* vertices, plain: distance of the face's vertices in head space (global and neck pose left out), nothing moved;
* vertices, aligned: after the similarity that moves the face's vertices best (as NoW aligns before it measures);
* expression: the same with the true identity given, which leaves the deformation by expression and jaw;
* axes: Pearson correlation over the faces, mean over the axes that occur, and pooled over all values.

The first row is the mean head at rest: what knowing nothing costs.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict

import numpy as np

from emoca_tf.capture.fit import FitOptions, fit_landmarks
from emoca_tf.capture.refine import fit_pixels
from emoca_tf.codes import Codes
from emoca_tf.errors import UserError
from emoca_tf.faces.crop import crop_from_landmarks
from emoca_tf.faces.detect import detect_faces, select_faces
from emoca_tf.flame.head import HeadModel
from emoca_tf.flame.layer import Flame
from emoca_tf.rendering.camera import project
from training.datasets.synthetic import Synthetic
from training.geometry import moved, similarity

OCCURS = 0.05  # standard deviation of an axis over the faces


def in_crop(example: dict[str, np.ndarray], source: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Landmarks ``[478, 3]`` in crop pixels and the crop ``[224, 224, 3]``; None where the detector finds no face."""
    picture = example["image"]  # uint8
    if source == "truth":
        marks = example["landmarks_mp"].copy()
        marks[:, 2] = 0
        return (marks + np.array([1, 1, 0])) * 112, picture / np.float32(255)
    try:
        face = select_faces(detect_faces(picture), "largest")[0]
    except UserError:
        return None
    crop = crop_from_landmarks(face.landmarks)
    scale = crop.matrix[0, 0]
    points = np.concatenate([crop.points_to_crop(face.landmarks[:, :2]), face.landmarks[:, 2:] * scale], 1)
    return points, crop.apply(picture)


class Judge:
    """Compares codes with the truth of the same faces."""

    def __init__(self, head: HeadModel) -> None:
        self.head, self.flame, self.face = head, Flame(head), head.masks["face"]
        self.rows: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        self.exp: dict[str, list[np.ndarray]] = defaultdict(list)

    def vertices(self, codes: Codes, shape: np.ndarray | None = None) -> np.ndarray:
        """``[face vertices, 3]`` millimetres, head space."""
        pose = np.array(codes.pose, np.float32)
        pose[:, :3] = 0
        posed = self.flame(codes.shape if shape is None else shape, codes.exp, pose)
        return posed.vertices.numpy()[0, self.face] * 1e3

    def add(self, stage: str, found: Codes, truth: Codes, landmarks: np.ndarray | None) -> None:
        row, true = self.rows[stage], self.vertices(truth)
        got = self.vertices(found)
        row["plain mm"].append(np.linalg.norm(got - true, axis=1).mean())
        aligned = moved(got, similarity(got, true))
        row["aligned mm"].append(np.linalg.norm(aligned - true, axis=1).mean())
        same = self.vertices(found, truth.shape)
        row["expression mm"].append(np.linalg.norm(same - true, axis=1).mean())
        self.exp[stage].append(np.asarray(found.exp)[0])
        if landmarks is not None:
            posed = self.flame(found.shape, found.exp, found.pose, found.neck_pose, found.eye_pose)
            points = (project(posed.landmarks_mp, found.cam).numpy()[0, :, :2] + 1) * 112
            wanted = landmarks[self.head.mediapipe_indices, :2]
            row["landmarks px"].append(np.linalg.norm(points - wanted, axis=1).mean())

    def correlations(self, stage: str, truth: str = "truth") -> tuple[float, float]:
        """Mean over the axes that occur, and pooled."""
        got, true = np.stack(self.exp[stage]), np.stack(self.exp[truth])
        axes = np.flatnonzero((true.std(0) > OCCURS) & (got.std(0) > 0))
        each = [np.corrcoef(got[:, a], true[:, a])[0, 1] for a in axes]
        pooled = np.corrcoef(got.ravel(), true.ravel())[0, 1] if got.std() > 0 else float("nan")
        return (float(np.mean(each)) if each else float("nan")), float(pooled)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=50)
    parser.add_argument("--seed", type=int, default=4242)
    parser.add_argument("--landmarks", choices=("detected", "truth"), default="detected")
    parser.add_argument("--clutter", action="store_true", help="hair, backgrounds, hands, noise: hard for the detector")
    given = parser.parse_args()
    head = HeadModel.load()
    source, judge = Synthetic(given.faces, given.seed, max_yaw=35, clutter=given.clutter), Judge(head)
    lost, seconds = 0, []
    for index in range(given.faces):
        example = source.example(index)
        groups = ("shape", "tex", "exp", "pose", "cam", "light", "neck_pose", "eye_pose")
        truth = Codes(**{name: example[name][None] for name in groups})
        seen = in_crop(example, given.landmarks)
        if seen is None:
            lost += 1
            continue
        landmarks, photo = seen
        start = time.perf_counter()
        options = FitOptions(depth=0.0) if given.landmarks == "truth" else FitOptions()
        first = fit_landmarks(head, landmarks, options)
        second, _ = fit_pixels(head, landmarks, photo, first, options)
        seconds.append(time.perf_counter() - start)
        rest = Codes(**{name: np.zeros_like(getattr(truth, name)) for name in groups})
        judge.add("rest", rest, truth, None)
        judge.add("truth", truth, truth, None)
        judge.add("landmarks", first, truth, landmarks)
        judge.add("with pixels", second, truth, landmarks)
        print(f"\r{index + 1}/{given.faces}", end="", flush=True)
    print(f"\r{given.faces - lost} of {given.faces} faces found, {np.median(seconds):.1f} s a face (median)")
    columns = ("landmarks px", "plain mm", "aligned mm", "expression mm")
    print(f"{'stage':12s}" + "".join(f"{name:>15s}" for name in (*columns, "axes", "pooled")))
    for stage in ("rest", "landmarks", "with pixels"):
        row = judge.rows[stage]
        numbers = [np.mean(row[name]) if row[name] else np.nan for name in columns]
        print(f"{stage:12s}" + "".join(f"{value:15.3f}" for value in (*numbers, *judge.correlations(stage))))


if __name__ == "__main__":
    main()
