"""Landmark tables: MediaPipe's points found on painted renders of the head, laid back on its surface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numba
import numpy as np
from trimesh.triangles import closest_point, points_to_barycentric

from emoca_tf.errors import UserError
from emoca_tf.faces.mediapipe_points import FLIP_478, LIP_PAIRS
from emoca_tf.flame.head import LandmarkTable

SIZE, FINE = 512, 4096
SCALE = 1500.0  # pixels per metre
# iBUG-68 points by MediaPipe index (the widely used correspondence).
JAW = (127, 234, 93, 132, 58, 136, 150, 176, 152, 400, 379, 365, 288, 361, 323, 454, 356)
INNER = (
    *(70, 63, 105, 66, 107, 336, 296, 334, 293, 300),
    *(168, 197, 5, 4, 75, 97, 2, 326, 305),
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),
    *(78, 82, 13, 312, 308, 317, 14, 87),
)
UPPER_LIP, LOWER_LIP = zip(*LIP_PAIRS[9:], strict=True)
"""Inner contours but for the corners; on a closed mouth the detector cannot tell one lip from the other."""
IRISES = (468, 473)
"""Middle of the right and the left iris; the four points after each lie on its border."""
IRIS = 0.90
"""Cosine of the angle from an eyeball's axis at which its iris ends."""


@numba.njit
def rasterise(points: np.ndarray, faces: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Nearest triangle and its weights at each pixel centre; larger z is nearer."""
    depth = np.full((size, size), -1e9)
    ids = np.full((size, size), -1, np.int64)
    weights = np.zeros((size, size, 3))
    for k in range(len(faces)):
        a, b, c = points[faces[k, 0]], points[faces[k, 1]], points[faces[k, 2]]
        area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        if abs(area) < 1e-12:
            continue
        for py in range(max(int(min(a[1], b[1], c[1])), 0), min(int(max(a[1], b[1], c[1])) + 2, size)):
            for px in range(max(int(min(a[0], b[0], c[0])), 0), min(int(max(a[0], b[0], c[0])) + 2, size)):
                u = ((b[0] - px) * (c[1] - py) - (b[1] - py) * (c[0] - px)) / area
                v = ((c[0] - px) * (a[1] - py) - (c[1] - py) * (a[0] - px)) / area
                w = 1.0 - u - v
                if u >= 0 and v >= 0 and w >= 0:
                    z = u * a[2] + v * b[2] + w * c[2]
                    if z > depth[py, px]:
                        depth[py, px] = z
                        ids[py, px] = k
                        weights[py, px, 0], weights[py, px, 1], weights[py, px, 2] = u, v, w
    return ids, weights


def paint(vertices: np.ndarray, masks: Mapping[str, np.ndarray]) -> np.ndarray:
    """Plain per-vertex colours ``[V, 3]`` that make a face detector see a face."""
    colour = np.tile([0.80, 0.60, 0.50], (len(vertices), 1))
    for name, value in {
        "lips": (0.66, 0.34, 0.34),
        "brows": (0.28, 0.19, 0.14),
        "teeth": (0.9, 0.9, 0.86),
        "tongue": (0.6, 0.3, 0.3),
    }.items():
        colour[masks[name]] = value
    for side in ("left_eyeball", "right_eyeball"):
        rows = masks[side]
        eye = vertices[rows] - vertices[rows].mean(0)
        eye /= np.linalg.norm(eye, axis=1, keepdims=True)
        colour[rows] = np.where(eye[:, 2:] > IRIS, (0.13, 0.09, 0.07), (0.93, 0.92, 0.9))
    return colour


def _pixels(points: np.ndarray, size: int) -> np.ndarray:
    """Points ``[..., 3]`` seen from the front, in pixels of a picture of so many."""
    return points * [1, -1, 1] * SCALE * size / SIZE + [size / 2, size * 0.48, 0]


def render(
    vertices: np.ndarray, f: np.ndarray, colour: np.ndarray, yaw: float = 0.0, pitch: float = 0.0, size: int = SIZE
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A shaded picture ``[size, size, 3]`` uint8 with triangle ids, weights and projected points (pixels)."""
    c, s, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    turn = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]]) @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    v = vertices @ turn.T
    points = _pixels(v, size)
    face_normal = np.cross(v[f[:, 1]] - v[f[:, 0]], v[f[:, 2]] - v[f[:, 0]])
    normal = np.zeros_like(v)
    for k in range(3):
        np.add.at(normal, f[:, k], face_normal)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    light = np.array([0.25, 0.45, 0.85])
    shade = 0.35 + 0.75 * np.clip(normal @ (light / np.linalg.norm(light)), 0, 1)
    ids, weights = rasterise(points, f, size)
    value = ((colour * shade[:, None])[f[ids]] * weights[..., None]).sum(2)
    value[ids < 0] = (0.55, 0.6, 0.65)
    return (np.clip(value, 0, 1) * 255).astype(np.uint8), ids, weights, points


def on_surface(points: np.ndarray, vertices: np.ndarray, f: np.ndarray, rows: np.ndarray) -> LandmarkTable:
    """The nearest place of the triangles ``rows`` to each point."""
    corners = vertices[f[rows]]
    centres = corners.mean(1)
    faces, bary = [], []
    for p in points:
        near = np.argsort(((centres - p) ** 2).sum(1), kind="stable")[:80]
        q = closest_point(corners[near], np.tile(p, (len(near), 1)))
        best = int(np.argmin(((q - p) ** 2).sum(1)))
        faces.append(rows[near[best]])
        b = np.clip(points_to_barycentric(corners[near[best]][None], q[best][None])[0], 0, 1)
        bary.append(b / b.sum())
    return LandmarkTable(np.array(faces, np.int32), np.array(bary, np.float32))


def _samples(mean: np.ndarray, f: np.ndarray, masks: Mapping[str, np.ndarray], basis: np.ndarray) -> np.ndarray:
    """Template positions ``[K, 478, 3]`` of MediaPipe's points over views and identities, NaN where off the head."""
    import mediapipe as mp

    found = []
    rng = np.random.default_rng(3)
    colour = paint(mean, masks)
    mesh = mp.solutions.face_mesh.FaceMesh(static_image_mode=True, refine_landmarks=True, min_detection_confidence=0.2)
    with mesh:
        for k in range(10):
            head = mean if k == 0 else mean + basis[:, :, :100] @ rng.normal(0, 0.8, 100)
            for yaw, pitch in ((0, 0), (0.3, 0), (-0.3, 0), (0, 0.2), (0, -0.2)):
                picture, ids, weights, _ = render(head, f, colour, yaw, pitch)
                faces = mesh.process(picture).multi_face_landmarks
                if not faces:
                    continue
                at = np.array([[p.x, p.y] for p in faces[0].landmark]) * SIZE  # from the picture's edge
                px, py = np.clip(np.floor(at).astype(int), 0, SIZE - 1).T
                tri = ids[py, px]
                places = (mean[f[tri]] * weights[py, px][:, :, None]).sum(1)
                places[tri < 0] = np.nan
                found.append(places)
    if len(found) < 10:
        raise UserError(f"the face detector saw only {len(found)} of 50 renders of the head; the head is not face-like")
    return np.array(found)


def _symmetric(place: np.ndarray) -> np.ndarray:
    """Every point ``[478, 3]`` in the middle between its place and its partner's, mirrored: the detector leans.

    Which points are partners is known by their numbers. The nearest to a mirrored point can be another: in a mouth's
    corner they lie closer together than the detector leans.
    """
    return np.nanmean([place, place[FLIP_478] * [-1, 1, 1]], axis=0)


def tables(
    mean: np.ndarray, f: np.ndarray, masks: Mapping[str, np.ndarray], basis: np.ndarray, jaw: np.ndarray
) -> tuple[dict[str, LandmarkTable], np.ndarray]:
    """All landmark tables of the head and the MediaPipe index of each row of ``mediapipe``.

    Args:
        mean: ``[V, 3]`` the head at rest, its mouth closed.
        f: ``[F, 3]`` triangles.
        masks: regions by name.
        basis: ``[V, 3, K]`` identities first.
        jaw: ``[V]`` how far each vertex goes with the jaw, 0..1.
    """
    samples = _samples(mean, f, masks, basis)
    place = _symmetric(np.nanmedian(samples, axis=0))
    eyes = np.isin(f[:, 0], masks["eyeballs"])
    inside = np.isin(f[:, 0], np.concatenate([masks["teeth"], masks["tongue"]]))
    normal = np.cross(mean[f[:, 1]] - mean[f[:, 0]], mean[f[:, 2]] - mean[f[:, 0]])
    skin = np.flatnonzero(~eyes & ~inside & (normal[:, 2] > -0.3 * np.linalg.norm(normal, axis=1)))
    known = np.flatnonzero(np.isfinite(place).all(1))
    table = on_surface(place[known], mean, f, skin)
    row = {int(k): n for n, k in enumerate(known)}

    def replace(numbers: Sequence[int], points: np.ndarray, rows: np.ndarray) -> None:
        at = [row[number] for number in numbers]
        better = on_surface(points, mean, f, rows)
        table.faces_idx[at], table.bary_coords[at] = better.faces_idx, better.bary_coords

    for first, side in zip(IRISES, ("right_eyeball", "left_eyeball"), strict=True):
        iris = range(first, first + 5)
        replace(iris, iris_points(place[list(iris)], mean[masks[side]]), np.flatnonzero(eyes))
    lips = np.isin(f, masks["lips"]).all(1)
    seen = rasterise(_pixels(mean, FINE), f, FINE)
    for contour, rows, end in (
        (UPPER_LIP, lips & (jaw[f] < 0.5).all(1), -1),
        (LOWER_LIP, lips & (jaw[f] > 0.5).all(1), 0),
    ):
        replace(contour, edge(mean, f, seen, rows, place[list(contour)], end), np.flatnonzero(rows))

    def pick(indices: tuple[int, ...]) -> LandmarkTable:
        rows = [row[i] for i in indices]
        return LandmarkTable(table.faces_idx[rows], table.bary_coords[rows])

    out = {"static": pick(INNER), "full": pick(JAW + INNER), "mediapipe": table}
    out["dynamic"] = _contour(mean, f, masks, pick(JAW))
    return out, known.astype(np.int32)


def edge(
    vertices: np.ndarray,
    f: np.ndarray,
    seen: tuple[np.ndarray, np.ndarray],
    rows: np.ndarray,
    near: np.ndarray,
    end: int,
) -> np.ndarray:
    """Where a surface that is seen from the front ends.

    Args:
        vertices: ``[V, 3]`` of the head.
        f: ``[F, 3]`` triangles.
        seen: what :func:`rasterise` makes of them in a picture of :data:`FINE` pixels.
        rows: ``[F]`` which triangles the surface is.
        near: ``[K, 3]`` places whose x counts.
        end: 0 for the upper end, -1 for the lower one.

    Returns:
        ``[K, 3]``.
    """
    ids, weights = seen
    found = []
    for column in np.rint(_pixels(near, FINE)[:, 0]).astype(int):
        at = np.flatnonzero((ids[:, column] >= 0) & rows[ids[:, column]])[end]
        found.append(weights[at, column] @ vertices[f[ids[at, column]]])
    return np.array(found)


def iris_points(found: np.ndarray, eyeball: np.ndarray) -> np.ndarray:
    """``[5, 3]`` middle and border of an iris that looks ahead: the detector's directions, the painted middle and size.

    Args:
        found: ``[5, 3]`` where the detector sees them, the middle first.
        eyeball: ``[N, 3]`` its vertices.
    """
    middle = eyeball.mean(0)
    radius = float(np.linalg.norm(eyeball - middle, axis=1).max())
    towards = (found[1:] - found[0]) * [1, 1, 0]
    towards *= np.sqrt(1 - IRIS**2) / np.linalg.norm(towards, axis=1, keepdims=True)
    return middle + radius * np.vstack([[0, 0, 1], towards + np.array([0, 0, IRIS])])


def _contour(mean: np.ndarray, f: np.ndarray, masks: Mapping[str, np.ndarray], jaw: LandmarkTable) -> LandmarkTable:
    """``79 x 17``: the near side keeps the jaw line, the far side slides to the silhouette of the face.

    Yaw 0 to 39 degrees, then -1 to -39: the mirror images of the former.
    """
    static = (mean[f[jaw.faces_idx]] * jaw.bary_coords[:, :, None]).sum(1)
    face = np.zeros(len(mean), bool)
    face[masks["face"]] = True
    rows = np.flatnonzero(face[f].all(1))
    centres = mean[f[rows]].mean(1)
    turned = []
    for yaw in np.radians(range(40)):
        points = static.copy()
        for i in range(17):
            far = (i - 8) * yaw > 0
            if not far or 7 <= i <= 9:
                continue
            side = np.sign(i - 8)
            band = np.abs(centres[:, 1] - static[i, 1]) < 0.006
            across = side * (centres[:, 0] * np.cos(yaw) + centres[:, 2] * np.sin(yaw))
            limit = side * (static[i, 0] * np.cos(yaw) + static[i, 2] * np.sin(yaw))
            best = np.where(band, across, -9).argmax()
            if across[best] > limit and band[best]:
                points[i] = centres[best]
        turned.append(points)
    turned += [points[::-1] * [-1, 1, 1] for points in turned[1:]]
    found = [on_surface(points, mean, f, rows) for points in turned]
    return LandmarkTable(np.array([t.faces_idx for t in found]), np.array([t.bary_coords for t in found]))
