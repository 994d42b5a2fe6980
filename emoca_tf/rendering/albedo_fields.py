"""Painted regions of the default head: a weight in 0..1 for every region at any point of its surface."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from emoca_tf.flame.default.landmarks import rasterise
from emoca_tf.flame.default.outlines import LEFT_BROW, LIPS, RIGHT_BROW, above_hairline, depth_inside, outline
from emoca_tf.flame.head import HeadModel

# MediaPipe's numbering; eyes run along the lower lid, then back along the upper one.
RIGHT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
LEFT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
MOUTH_LINE = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
RIGHT_FOLD, LEFT_FOLD = (129, 203, 206, 216), (358, 423, 426, 436)  # nose wing to beside the mouth's corner
IRIS_RADIUS, PUPIL_RADIUS = 0.0064, 0.0024  # metres
Fields = dict[str, np.ndarray]


def step(value: np.ndarray, width: float) -> np.ndarray:
    """Smooth rise from 0 to 1 around 0."""
    return 1 / (1 + np.exp(-np.clip(value / width, -50, 50)))


def noise(points: np.ndarray, wavelength: float | tuple[float, float, float], seed: int, waves: int = 40) -> np.ndarray:
    """Smooth noise of variance 1 at ``points [N, 3]``; the wavelength (metres) may differ by axis."""
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(3, waves))
    directions /= np.linalg.norm(directions, axis=0)
    directions *= 2 * np.pi * rng.uniform(0.6, 1.6, waves) / np.reshape(wavelength, (-1, 1))
    return np.sin(points @ directions + rng.uniform(0, 2 * np.pi, waves)).sum(1) * np.sqrt(2 / waves)


def occlusion(vertices: np.ndarray, f: np.ndarray, count: int = 96, size: int = 400) -> np.ndarray:
    """Share ``[V]`` of the sky that every vertex sees, weighted by the cosine: 1 open, 0 hidden."""
    normal = np.zeros_like(vertices)
    face_normal = np.cross(vertices[f[:, 1]] - vertices[f[:, 0]], vertices[f[:, 2]] - vertices[f[:, 0]])
    for k in range(3):
        np.add.at(normal, f[:, k], face_normal)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    seen, sky = np.zeros(len(vertices)), np.full(len(vertices), 1e-9)
    centre, scale = vertices.mean(0), 0.45 * size / np.linalg.norm(vertices - vertices.mean(0), axis=1).max()
    for k in range(count):  # directions spread over the sphere along a spiral
        z, turn = 1 - (2 * k + 1) / count, np.pi * (3 - np.sqrt(5)) * k
        toward = np.array([np.sqrt(1 - z * z) * np.cos(turn), np.sqrt(1 - z * z) * np.sin(turn), z])
        right = np.cross(toward, np.eye(3)[np.argmin(np.abs(toward))])
        right /= np.linalg.norm(right)
        axes = np.stack([right, np.cross(toward, right), toward], 1)
        points = (vertices - centre) @ axes * scale + [size / 2, size / 2, 0]
        ids, weights = rasterise(points, f, size)
        depth = np.where(ids < 0, -1e9, (points[f[ids], 2] * weights).sum(2))
        x, y = np.rint(points[:, :2]).astype(int).T
        facing = np.maximum(normal @ toward, 0)
        sky += facing
        seen += facing * (points[:, 2] > depth[y, x] - 0.003 * scale)
    return seen / sky


def eye_angles(head: HeadModel, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Angle from the gaze at rest and angle around it (radians) of points of the eyeballs, and a ball's radius."""
    angle, around = np.zeros(len(points)), np.zeros(len(points))
    radius = 0.0
    for side, rows in (("left", points[:, 0] > 0), ("right", points[:, 0] <= 0)):
        ball = np.asarray(head.v_template, np.float64)[head.masks[f"{side}_eyeball"]]
        ray = points[rows] - (ball.min(0) + ball.max(0)) / 2
        radius = float(np.ptp(ball[:, 0]) / 2)
        angle[rows] = np.arctan2(np.linalg.norm(ray[:, :2], axis=1), ray[:, 2])
        around[rows] = np.arctan2(ray[:, 1], ray[:, 0])
    return angle, around, radius


def _bump(points: np.ndarray, centre: np.ndarray, radius: float | tuple[float, float, float]) -> np.ndarray:
    """Gaussian around a place, mirrored to the other side of the face (metres)."""
    mirrored = np.abs(points[:, :1]) if abs(centre[0]) > 0.005 else points[:, :1]
    offset = np.concatenate([mirrored, points[:, 1:]], 1) - np.concatenate([[abs(centre[0])], centre[1:]])
    return np.exp(-((offset / radius) ** 2).sum(1) / 2)


def _line(points: np.ndarray, curve: np.ndarray, reach: float, samples: int = 12) -> np.ndarray:
    """Gaussian of the distance to an open polyline ``[K, 3]``."""
    share = np.linspace(0, 1, samples, endpoint=False)[:, None, None]
    dense = ((1 - share) * curve[None, :-1] + share * curve[None, 1:]).reshape(-1, 3)
    distance = cKDTree(np.concatenate([dense, curve[-1:]])).query(points)[0]
    return np.exp(-((distance / reach) ** 2) / 2)


def fields(head: HeadModel, points: np.ndarray) -> Fields:
    """Weights of every painted region of the skin at surface points ``[N, 3]`` (metres): name -> ``[N]``."""
    vertices = np.asarray(head.v_template, np.float64)
    assert head.mediapipe_indices is not None
    table, indices = head.landmarks["mediapipe"], head.mediapipe_indices

    def curve(numbers: tuple[int, ...]) -> np.ndarray:
        return outline(vertices, head.f, table, indices, numbers)

    lids, folds = [curve(RIGHT_EYE), curve(LEFT_EYE)], [curve(RIGHT_FOLD), curve(LEFT_FOLD)]
    ball = vertices[head.masks["eyeballs"]]
    middle = (ball.min(0) + ball.max(0)) / 2
    eye, mouth, chin, tip = lids[1].mean(0), curve(LIPS).mean(0), curve((152,))[0], curve((1,))[0]
    under_nose, bridge = curve((2,))[0], curve((168,))[0]
    ears = np.zeros(len(vertices), bool)
    ears[head.masks["ears"]] = True
    distance, near = cKDTree(vertices).query(points, k=3)
    closeness = 1 / (distance + 1e-5)
    ear = (ears[near] * closeness).sum(1) / closeness.sum(1)
    ragged = 0.0016 * noise(points, 0.006, 1) + 0.0016 * noise(points, 0.02, 2)
    hair = step(above_hairline(points - middle) + ragged - 0.002, 0.0018) * (1 - ear)
    lips = step(depth_inside(points, curve(LIPS)), 0.0006)
    slanted = np.stack(
        [np.abs(points[:, 0]) - 0.8 * points[:, 1], points[:, 1], points[:, 2]], 1
    )  # hairs lean outwards
    strand = 0.5 + 0.5 * np.tanh(noise(slanted, (0.0024, 0.02, 0.02), 3))
    brow = np.maximum(*(depth_inside(points, curve(n)) for n in (RIGHT_BROW, LEFT_BROW)))
    lower = points - [0, mouth[1], 0]
    azimuth = np.degrees(np.arctan2(np.abs(points[:, 0]), points[:, 2] - middle[2] + 0.075))
    cheek_line = np.interp(azimuth, (0, 20, 40, 60, 78), (-0.012, -0.006, 0.006, 0.022, 0.05))
    jaw = step(cheek_line - lower[:, 1] + ragged, 0.004) * step(lower[:, 1] + 0.062 - 0.0006 * azimuth, 0.006)
    jaw *= step(80 - azimuth, 3.0) * (1 - ear) * (points[:, 2] > middle[2] - 0.09)
    philtrum = _bump(points, under_nose + (mouth - under_nose) * 0.4, (0.022, 0.0045, 0.02))
    near_lip = np.exp(-((np.maximum(-depth_inside(points, curve(LIPS)), 0) / 0.003) ** 2))
    return {
        "skin": np.ones(len(points)),
        "lips": lips,
        "mouth line": _line(points, curve(MOUTH_LINE), 0.0011),
        "brows": step(brow + 0.0002, 0.0010) * (0.78 + 0.22 * strand),
        "hair": hair,
        "strands": noise(points, (0.004, 0.012, 0.012), 4) * hair,
        "beard": jaw * (1 - near_lip) * (1 - lips) * (1 - hair),
        "moustache": philtrum * (1 - lips),
        "goatee": _bump(points, chin + np.array((0, 0.006, 0)), (0.014, 0.011, 0.02)) * (1 - lips),
        "lashes": np.maximum(*(_line(points, lid[8:], 0.0012) for lid in lids)),
        "lower lashes": np.maximum(*(_line(points, lid[:9], 0.0010) for lid in lids)),
        "lids": _bump(points, eye + np.array((0, 0.008, 0)), (0.013, 0.005, 0.02)),
        "sockets": _bump(points, eye - np.array((0, 0.012, 0)), (0.012, 0.006, 0.02)),
        "inner eye": _bump(points, lids[1][8], 0.004),
        "cheeks": _bump(
            points, np.array([eye[0] * 1.2, 0.42 * eye[1] + 0.58 * mouth[1], eye[2]]), (0.014, 0.012, 0.03)
        ),
        "cheek hollows": _bump(points, np.array([eye[0] * 1.5, mouth[1] + 0.006, eye[2]]), (0.012, 0.014, 0.03)),
        "nose": _bump(points, tip, (0.011, 0.009, 0.016)),
        "bridge": _bump(points, bridge, (0.006, 0.014, 0.02)),
        "folds": np.maximum(*(_line(points, fold, 0.003) for fold in folds)),
        "forehead": _bump(points, middle + np.array((0, 0.045, 0.03)), (0.03, 0.016, 0.05)),
        "temples": _bump(points, middle + np.array((0.062, 0.025, -0.01)), 0.016),
        "chin": _bump(points, chin + np.array((0, 0.008, 0)), 0.012),
        "under lip": _bump(points, curve((18,))[0], (0.014, 0.003, 0.01)),
        "ears": ear,
        "neck": step(mouth[1] - 0.06 - points[:, 1], 0.01),
    }
