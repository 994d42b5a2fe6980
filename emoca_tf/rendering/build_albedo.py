"""Paint the default albedo: region masks and smooth fields of the default head, laid out in its texture coordinates.

Run ``python -m emoca_tf.rendering.build_albedo``; the result depends on the head alone.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree
from skimage.measure import points_in_poly

from emoca_tf.flame.head import HeadModel
from emoca_tf.rendering.albedo import COMPONENTS, DEFAULT_FILE, AlbedoModel
from emoca_tf.rendering.uv_space import uv_table

SKIN = (0.70, 0.51, 0.42)
# Outlines in MediaPipe's numbering: lower then upper edge of the brows, outer border of the lips.
RIGHT_BROW = (46, 53, 52, 65, 55, 107, 66, 105, 63, 70)
LEFT_BROW = (276, 283, 282, 295, 285, 336, 296, 334, 293, 300)
LIPS = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
Fields = dict[str, np.ndarray]


def _bump(points: np.ndarray, centre: np.ndarray, radius: float) -> np.ndarray:
    """Gaussian of the distance to a point (metres), mirrored to the other side of the face."""
    mirrored = np.abs(points[:, :1]) if abs(centre[0]) > 0.005 else points[:, :1]
    offset = np.concatenate([mirrored, points[:, 1:]], 1) - np.concatenate([[abs(centre[0])], centre[1:]])
    return np.exp(-((offset / radius) ** 2).sum(1) / 2)


def _outline(head: HeadModel, numbers: tuple[int, ...]) -> np.ndarray:
    """``[N, 3]`` surface points of MediaPipe landmarks on the mean head (metres)."""
    assert head.mediapipe_indices is not None
    table = head.landmarks["mediapipe"]
    rows = [int(np.flatnonzero(head.mediapipe_indices == number)[0]) for number in numbers]
    corners = np.asarray(head.v_template, np.float64)[head.f[table.faces_idx[rows]]]
    return (corners * np.asarray(table.bary_coords, np.float64)[rows, :, None]).sum(1)


def _inside_outline(points: np.ndarray, outline: np.ndarray, softness: float) -> np.ndarray:
    """1 inside, 0 outside a closed curve seen from the front, with a soft border (metres); only near its depth."""
    flat, start, end = points[:, None, :2], outline[None, :, :2], np.roll(outline, -1, 0)[None, :, :2]
    edge = end - start
    along = np.clip(((flat - start) * edge).sum(2) / (edge**2).sum(2), 0, 1)
    distance = np.linalg.norm(flat - start - along[..., None] * edge, axis=2).min(1)
    signed = np.where(points_in_poly(points[:, :2], outline[:, :2]), distance, -distance)
    front = points[:, 2] > outline[:, 2].min() - 0.012
    return front / (1 + np.exp(-signed / softness))


def fields(head: HeadModel, points: np.ndarray) -> Fields:
    """Weights in 0..1 of every painted region at surface points ``[N, 3]`` (metres): name -> ``[N]``."""
    vertices = np.asarray(head.v_template, np.float64)
    triangles = np.asarray(head.f)[head.landmarks["full"].faces_idx]
    marks = (vertices[triangles] * np.asarray(head.landmarks["full"].bary_coords)[..., None]).sum(1)

    def near(name: str, reach: float) -> np.ndarray:
        distance = cKDTree(vertices[head.masks[name]]).query(points)[0]
        return np.exp(-((distance / reach) ** 2) / 2)

    eye, mouth, chin = marks[42:48].mean(0), marks[48:60].mean(0), marks[8]
    cheek = np.array([eye[0] * 1.15, (eye[1] + mouth[1]) / 2, eye[2]])
    forehead = np.array([0.0, 2 * eye[1] - marks[33][1] + 0.01, marks[27][2]])
    return {
        "lips": _inside_outline(points, _outline(head, LIPS), 0.0006),
        "brows": _inside_outline(points, _outline(head, RIGHT_BROW), 0.0011)
        + _inside_outline(points, _outline(head, LEFT_BROW), 0.0011),
        "scalp": near("scalp", 0.006),
        "cheeks": _bump(points, cheek, 0.016),
        "nose": _bump(points, marks[30], 0.011),
        "forehead": _bump(points, forehead, 0.025),
        "chin": _bump(points, chin, 0.014),
        "sockets": _bump(points, eye - np.array([0, 0.008, 0]), 0.010),
        "lids": _bump(points, eye + np.array([0, 0.008, 0]), 0.009),
        "beard": np.maximum(_bump(points, chin, 0.024), _bump(points, marks[33] - np.array([0, 0.009, 0]), 0.011)),
        "ears": np.exp(-(((np.abs(points[:, 0]) - np.abs(vertices[:, 0]).max()) / 0.008) ** 2) / 2),
        "lashes": np.exp(-((cKDTree(marks[36:48]).query(points)[0] / 0.0016) ** 2) / 2),
    }


def eye_angle(head: HeadModel, side: str, points: np.ndarray) -> np.ndarray:
    """Angle (radians) between the gaze at rest and the ray from the eyeball's centre to each point."""
    ball = np.asarray(head.v_template)[head.masks[f"{side}_eyeball"]]
    ray = points - (ball.min(0) + ball.max(0)) / 2
    return np.arccos(np.clip(ray[:, 2] / np.maximum(np.linalg.norm(ray, axis=1), 1e-9), -1, 1))


def paint(head: HeadModel, size: int = 256) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Mean ``[S, S, 3]``, basis ``[S, S, 3, 50]`` and the names of the components."""
    table = uv_table(head, size)
    covered = table.triangles >= 0
    ids, weights = table.vertex_ids[covered], table.weights[covered]
    points = (np.asarray(head.v_template, np.float64)[ids] * weights[..., None]).sum(1)
    region = fields(head, points)

    def inside(name: str) -> np.ndarray:
        flags = np.zeros(head.n_vertices, bool)
        flags[head.masks[name]] = True
        return flags[ids].all(1)

    eyes, teeth, tongue = inside("eyeballs"), inside("teeth"), inside("tongue")
    skin = ~(eyes | teeth | tongue)
    colour = np.tile(np.array(SKIN), (len(points), 1))

    def tint(name: str, rgb: tuple[float, float, float]) -> None:
        colour[:] += region[name][:, None] * np.array(rgb)

    tint("cheeks", (0.04, -0.03, -0.02))
    tint("nose", (0.03, -0.03, -0.02))
    tint("ears", (0.04, -0.03, -0.02))
    tint("forehead", (0.03, 0.03, 0.02))
    tint("sockets", (-0.06, -0.06, -0.04))
    for name, target, amount in (
        ("lips", (0.64, 0.36, 0.33), 0.75),
        ("brows", (0.26, 0.18, 0.14), 0.75),
        ("lashes", (0.16, 0.11, 0.10), 0.7),
    ):
        colour += amount * region[name][:, None] * (np.array(target) - colour)
    colour[teeth], colour[tongue] = (0.82, 0.79, 0.72), (0.62, 0.32, 0.31)
    angle = np.where(points[:, 0] > 0, eye_angle(head, "left", points), eye_angle(head, "right", points))
    iris = eyes / (1 + np.exp((angle - 0.50) / 0.03))
    pupil = eyes / (1 + np.exp((angle - 0.20) / 0.02))
    limbus = eyes * np.exp(-(((angle - 0.50) / 0.05) ** 2))
    colour[eyes] = (0.84, 0.81, 0.79)
    colour += iris[:, None] * (np.array((0.34, 0.23, 0.15)) - colour)
    colour *= 1 - 0.6 * limbus[:, None]
    colour += pupil[:, None] * (np.array((0.03, 0.03, 0.03)) - colour)
    region |= {"skin": skin * 1.0, "iris": iris * (1 - pupil), "teeth": teeth * 1.0, "sclera": eyes * (1 - iris)}
    names, parts = components(points, region)
    image = np.zeros((size, size, 3 + 3 * COMPONENTS))
    image[covered] = np.concatenate([colour, parts.reshape(len(points), -1)], 1)
    rows, columns = distance_transform_edt(~covered, return_distances=False, return_indices=True)
    image = image[rows, columns]
    return image[..., :3], image[..., 3:].reshape(size, size, 3, COMPONENTS), names


def components(points: np.ndarray, region: Fields) -> tuple[list[str], np.ndarray]:
    """Names and colours ``[N, 3, 50]`` of the components, each for a coefficient of one."""
    table: list[tuple[str, str, tuple[float, float, float]]] = [
        ("melanin", "skin", (-0.13, -0.12, -0.11)),
        ("haemoglobin", "skin", (0.02, -0.03, -0.02)),
        ("yellowness", "skin", (0.01, 0.005, -0.03)),
        ("lip colour", "lips", (0.05, -0.04, -0.03)),
        ("lip darkness", "lips", (-0.06, -0.05, -0.05)),
        ("brow darkness", "brows", (-0.08, -0.07, -0.06)),
        ("iris blue", "iris", (-0.03, 0.05, 0.15)),
        ("iris green", "iris", (-0.02, 0.08, 0.0)),
        ("iris lightness", "iris", (0.07, 0.07, 0.07)),
        ("blush", "cheeks", (0.03, -0.04, -0.03)),
        ("beard", "beard", (-0.08, -0.07, -0.06)),
        ("dark circles", "sockets", (-0.06, -0.06, -0.04)),
        ("eye shadow", "lids", (-0.05, -0.06, -0.04)),
        ("scalp darkness", "scalp", (-0.12, -0.1, -0.08)),
        ("scalp redness", "scalp", (0.05, -0.01, -0.03)),
        ("nose redness", "nose", (0.03, -0.03, -0.02)),
        ("ear redness", "ears", (0.03, -0.03, -0.02)),
        ("forehead shade", "forehead", (-0.04, -0.04, -0.04)),
        ("chin shade", "chin", (-0.04, -0.04, -0.04)),
        ("teeth brightness", "teeth", (0.05, 0.05, 0.06)),
        ("sclera brightness", "sclera", (0.04, 0.04, 0.04)),
        ("lash darkness", "lashes", (-0.03, -0.03, -0.03)),
    ]
    names = [row[0] for row in table]
    parts = [region[field][:, None] * np.array(rgb) for _, field, rgb in table]
    x, y, z = (points / 0.08).T
    while len(parts) < COMPONENTS:
        k = len(parts) - len(table)
        order, red, odd = 1 + k // 4, k % 2, k >= COMPONENTS - len(table) - 6
        across = np.sin(order / 3 * x) if odd else np.cos(order * x / 2)
        wave = across * np.cos(order * (y if k % 4 < 2 else y + z) / 2 + k)
        rgb = np.array((0.012, -0.015, -0.012) if red else (0.02, 0.02, 0.02))
        parts.append((wave * region["skin"])[:, None] * rgb)
        names.append(f"{'asymmetric' if odd else 'symmetric'} {'redness' if red else 'shade'} {k}")
    return names, np.stack(parts, -1)


def main() -> None:
    """Paint and write the package's albedo."""
    head = HeadModel.load("default")
    mean, basis, names = paint(head)
    model = AlbedoModel(
        "emoca-tf default albedo",
        mean.clip(0, 1).astype(np.float32),
        basis.astype(np.float32),
        tuple(names),
        licence="CC0-1.0",
        source="painted by emoca_tf.rendering.build_albedo over the default head",
    )
    model.save(Path(__file__).parent / "data" / DEFAULT_FILE, basis_size=128)


if __name__ == "__main__":
    main()
