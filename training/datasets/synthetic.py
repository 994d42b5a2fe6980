"""Endless faces with known truth: renders of a head with drawn identity, emotion, pose, light, hair and surroundings.

Image ``i`` is a pure function of (seed, i). Cropping, turning and zooming are part of the drawing, so that every truth
code stays exact; the pipeline only adds pixel-wise augmentation.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import tensorflow as tf
from scipy.spatial import cKDTree

from emoca_tf.faces.crop import CROP_SIZE
from emoca_tf.flame.head import HeadModel
from emoca_tf.flame.layer import Flame, FlameOutput
from emoca_tf.rendering.albedo import AlbedoModel
from emoca_tf.rendering.deferred import draw
from emoca_tf.rendering.normals import vertex_normals
from emoca_tf.rendering.rasterizer import Fragments, triangle_ids
from emoca_tf.rendering.shading import BAND_FACTORS
from emoca_tf.rendering.uv_space import MASK_REGIONS, corner_grid, face_mask, uv_table
from training.datasets import scenery
from training.datasets.emotions import Performer, sample_labels
from training.datasets.landmarks import N_MEDIAPIPE
from training.datasets.source import Labels

_LABELS, _PERSON, _IMAGE, _FREE = 0, 1, 2, 3  # independent random streams of one seed
_HAIR_SLOPE = 0.03  # metres over which hair rises from the hairline
_EXPOSURE = (0.38, 0.75)  # brightness of skin that faces the camera
_DEPTH_TOLERANCE = 0.006  # metres a landmark may lie behind the surface seen at its pixel
_KEPT = 256  # pictures of a source that is no larger are drawn once and kept, about 0.2 MB each


class Names(Sequence[str]):
    """``synthetic-SEED-INDEX`` without a list of them."""

    def __init__(self, seed: int, count: int) -> None:
        self.seed, self.length = seed, count

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self.length))]
        if not -self.length <= index < self.length:
            raise IndexError(index)
        return f"synthetic-{self.seed}-{int(index) % self.length:07d}"


class Synthetic:
    """A :class:`~training.datasets.source.Source` of rendered faces.

    Args:
        size: number of different images (they cost nothing until they are asked for).
        seed: another seed gives other people and pictures.
        images_per_person: so many consecutive images share identity and albedo (rings of one person).
        head: head model; the default head if None. Of a head without ARKit's axis names no emotion is known.
        albedo: albedo model; the default one if None.
        clutter: hair, clothes, backgrounds, things in front of the face and camera faults; without it the face is
            rendered on black.
        max_yaw: largest turn of the head, degrees.
        free: share of the pictures without a class: winks, lopsided mouths, anything that axes can do.
    """

    def __init__(
        self,
        size: int = 1_000_000,
        seed: int = 0,
        *,
        images_per_person: int = 1,
        head: HeadModel | None = None,
        albedo: AlbedoModel | None = None,
        clutter: bool = True,
        max_yaw: float = 60.0,
        free: float = 0.0,
    ) -> None:
        if size < 1 or images_per_person < 1:
            raise ValueError(f"size {size} and images_per_person {images_per_person} must be positive")
        self.seed, self.clutter, self.max_yaw = seed, clutter, max_yaw
        self.images_per_person = images_per_person
        self.head = HeadModel.load() if head is None else head
        self.albedo = AlbedoModel.load() if albedo is None else albedo
        self.performer = Performer(self.head.expression_names)
        labels, self.strength = sample_labels(size, (seed, _LABELS))
        if free:
            without = np.random.default_rng((seed, _FREE)).random(size) < free
            labels = labels.without(without)
        self.labels = labels if self.performer.knows_emotions else Labels.unknown(size)
        self.ids: Sequence[str] = Names(seed, size)
        self.persons: np.ndarray | None = np.arange(size) // images_per_person
        self._stage = _Stage(self.head, self.albedo)
        self._drawn: dict[int, dict[str, np.ndarray]] | None = {} if size <= _KEPT else None

    def __len__(self) -> int:
        return len(self.ids)

    def _person(self, index: int) -> int:
        return index // self.images_per_person

    def codes(self, index: int) -> dict[str, np.ndarray]:
        """Truth of one image: every code but ``cam``, which depends on where the landmarks come to lie."""
        person = np.random.default_rng((self.seed, _PERSON, self._person(index)))
        rng = np.random.default_rng((self.seed, _IMAGE, index))
        shape = person.normal(0, 0.85, self.head.n_shape).clip(-2.5, 2.5)
        tex = person.normal(0, 1, self.albedo.basis.shape[-1]).clip(-2, 2) * 0.7
        exp, jaw = self.performer.perform(int(self.labels.expression[index]), float(self.strength[index]), rng)
        yaw = np.clip(rng.normal(0, 20), -self.max_yaw, self.max_yaw)
        turn = np.radians([rng.normal(0, 9), yaw, rng.normal(0, 7)])
        neck = np.radians(rng.normal(0, [4, 6, 3]))
        look = np.radians(rng.normal(0, [5, 9]).clip(-18, 18))
        eyes = np.concatenate([[look[0], look[1] + converge, 0] for converge in (-0.02, 0.02)])
        values = {
            "shape": shape,
            "tex": tex,
            "exp": exp,
            "pose": [*_axis_angle(turn), jaw, rng.normal(0, 0.01), 0],
            "light": exposed(random_light(rng), self._stage.tone(np.asarray(tex, np.float32))),
            "neck_pose": neck,
            "eye_pose": eyes,
        }
        return {name: np.asarray(value, np.float32) for name, value in values.items()}

    def example(self, index: int, rng: np.random.Generator | None = None) -> dict[str, np.ndarray]:
        """One finished crop with its truth; ``rng`` is not used: the image depends on the index alone.

        Arrays of a source that keeps its pictures cannot be written to.
        """
        if self._drawn is None:
            return self._made(index)
        if index not in self._drawn:  # two threads may draw the same picture: both are equal
            made = self._made(index)
            for array in made.values():
                array.flags.writeable = False
            self._drawn[index] = made
        return dict(self._drawn[index])

    def _made(self, index: int) -> dict[str, np.ndarray]:
        codes = self.codes(index)
        rng = np.random.default_rng((self.seed, _IMAGE, index, 1))
        person = np.random.default_rng((self.seed, _PERSON, self._person(index), 1))
        hair = _Hair(person) if self.clutter else None
        framing = np.array([rng.uniform(1.1, 1.5), *rng.uniform(-0.06, 0.06, 2)], np.float32)
        shot = self._stage.shoot(codes, framing, hair)
        picture = _developed(shot, self.clutter, hair, rng)
        covered = picture.pop("covered")
        marks = np.zeros((N_MEDIAPIPE, 3), np.float32)
        if shot.marks is not None:
            marks[self._stage.mp_rows] = _seen(shot.marks, shot, covered)
        truth = codes | {"cam": shot.cam}
        return picture | truth | {"landmarks_mp": marks, "landmarks68": _seen(shot.marks68, shot, covered)}


class _Hair:
    """One person's hair: colour, length on the scalp, whether it falls behind the face."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.colour = scenery.hair_colour(rng)
        self.volume = float(rng.choice([0.0, 0.002, 0.006, 0.014, 0.024], p=[0.1, 0.2, 0.3, 0.25, 0.15]))
        self.long = self.volume > 0.004 and rng.random() < 0.4
        self.cover = float(rng.uniform(0.75, 1.0))
        self.hairline = float(rng.uniform(-0.006, 0.014))  # metres that it lies below the scalp's border
        self.texture_seed = int(rng.integers(2**31))

    def cover_at(self, depth: np.ndarray) -> np.ndarray:
        """How much of the skin hair hides, 0..1, by the depth in the scalp (metres)."""
        return np.clip((depth + np.float32(self.hairline)) * np.float32(200), 0, 1) * np.float32(self.cover)


class _Stage:
    """Head, albedo and renderer; one image at a time, so that a picture never depends on its neighbours.

    Only what a picture needs is computed; :class:`~emoca_tf.rendering.renderer.Renderer` makes more and takes twice as
    long. A test holds the two together.
    """

    def __init__(self, head: HeadModel, albedo: AlbedoModel) -> None:
        self.head = head
        self.faces = np.ascontiguousarray(head.f, np.int32)
        self.corners = corner_grid(head)
        self.mean = albedo.mean.astype(np.float32)
        self.basis = np.ascontiguousarray(albedo.basis.reshape(-1, albedo.basis.shape[-1]), np.float32)
        skin = face_mask(head, albedo.mean.shape[0])[..., 0] > 0.5
        self.mean_tone = float(self.mean[skin].mean())
        self.tone_basis = self.basis.reshape(*skin.shape, 3, -1)[skin].mean((0, 1))
        self.scalp = _depth_in_scalp(head)
        table = uv_table(head, albedo.mean.shape[0])
        self.scalp_texels = np.einsum("ijk,ijk->ij", self.scalp[table.vertex_ids], table.weights)[..., None]
        self.in_face, self.in_mouth = (_triangles(head, names) for names in (MASK_REGIONS, ("teeth", "tongue")))
        self.mp_rows = np.arange(N_MEDIAPIPE) if head.mediapipe_indices is None else head.mediapipe_indices
        self.flame = Flame(head)
        self._lock = threading.Lock()
        self._traced = False
        self._graph = tf.function(self.flame.call, reduce_retracing=True)

    def pose(self, codes: dict[str, np.ndarray]) -> FlameOutput:
        inputs = [tf.constant(codes[name][None]) for name in ("shape", "exp", "pose", "neck_pose", "eye_pose")]
        if self._traced:
            return self._graph(*inputs)
        with self._lock:  # one thread traces, the others wait
            output = self._graph(*inputs)
            self._traced = True
        return output

    def shoot(self, codes: dict[str, np.ndarray], framing: np.ndarray, hair: _Hair | None) -> _Shot:
        """Render one image.

        Args:
            codes: the truth without ``cam``.
            framing: ``[3]`` crop side over the landmarks' reference size, shift as a fraction of the crop's side.
            hair: or None.
        """
        posed = self.pose(codes)
        assert posed.landmarks2d is not None
        marks68 = posed.landmarks2d.numpy()[0]
        marks = None if posed.landmarks_mp is None else posed.landmarks_mp.numpy()[0]
        cam = _camera(marks68 if marks is None else marks, framing)
        rise, hairy = self._hair(hair)
        vertices = posed.vertices.numpy()
        if hair is not None and hair.volume:
            vertices = vertices + vertex_normals(vertices, self.faces).numpy() * rise[None, :, None]
        points = _projected(vertices, cam)
        ids = triangle_ids(points, self.faces, (CROP_SIZE, CROP_SIZE))
        image = draw(
            tf.constant(points),
            vertex_normals(vertices, self.faces),
            tf.constant(self._texture(codes["tex"], hair)[None]),
            tf.constant(codes["light"][None]),
            Fragments(tf.constant(ids), tf.zeros([0]), self.faces),
            self.corners,
        ).numpy()[0]
        ids = ids[0]
        alpha, seen = ids >= 0, ids.clip(0)
        image[self.in_mouth[seen] & alpha] *= 0.6  # little light falls into a mouth
        face = self.in_face & (hairy[self.faces].mean(1) < 0.5)
        return _Shot(
            image=image,
            alpha=alpha,
            face=face[seen] & alpha,
            depth=np.where(alpha, points[0, :, 2][self.faces].max(1)[seen], np.inf) + _DEPTH_TOLERANCE * cam[0],
            points=points[0],
            cam=cam,
            marks68=_projected(marks68, cam),
            marks=None if marks is None else _projected(marks, cam),
        )

    def tone(self, code: np.ndarray) -> float:
        """Mean albedo of a face, 0..1."""
        return float(self.mean_tone + self.tone_basis @ code)

    def _hair(self, hair: _Hair | None) -> tuple[np.ndarray, np.ndarray]:
        """``[V]`` metres that hair rises above the skin, and ``[V]`` how much of the skin it hides."""
        if hair is None or not hair.volume:
            return np.zeros_like(self.scalp), np.zeros_like(self.scalp)
        above = self.scalp + np.float32(hair.hairline)
        noise = np.random.default_rng(hair.texture_seed).normal(0, 0.12, len(above)).astype(np.float32)
        rise = np.clip(above / _HAIR_SLOPE, 0, 1) * np.float32(hair.volume) * (1 + noise)
        return rise, hair.cover_at(self.scalp)

    def _texture(self, code: np.ndarray, hair: _Hair | None) -> np.ndarray:
        texture = (self.basis @ code).reshape(self.mean.shape)
        texture += self.mean
        np.clip(texture, 0.02, 1, out=texture)
        if hair is not None and hair.volume:
            strands = scenery.strands(len(texture), hair.colour / 255, hair.texture_seed)
            texture += (strands - texture) * hair.cover_at(self.scalp_texels)
        return texture


class _Shot(NamedTuple):
    """A rendered head without surroundings."""

    image: np.ndarray  # [S, S, 3] float32
    alpha: np.ndarray  # [S, S] bool
    face: np.ndarray  # [S, S] bool, skin of the face that no hair hides
    depth: np.ndarray  # [S, S] z in image space behind which nothing is seen
    points: np.ndarray  # [V, 3] projected vertices
    cam: np.ndarray  # [3]
    marks68: np.ndarray  # [68, 3] projected
    marks: np.ndarray | None  # [N, 3] projected MediaPipe points


def _camera(marks: np.ndarray, framing: np.ndarray) -> np.ndarray:
    """``[3]`` weak-perspective camera that crops around landmarks as :mod:`emoca_tf.faces.crop` does."""
    low, high = marks[:, :2].min(0), marks[:, :2].max(0)
    side = (high - low).mean() * 1.1 * framing[0]
    return np.array([2 / side, *(framing[1:] * side - (low + high) / 2)], np.float32)


def _projected(points: np.ndarray, cam: np.ndarray) -> np.ndarray:
    """:func:`emoca_tf.rendering.camera.project` in NumPy: ``[..., 3]``."""
    shift = np.array([cam[1], cam[2], 0], np.float32)
    return (points + shift) * cam[0] * np.array([1, -1, -1], np.float32)


def _triangles(head: HeadModel, regions: Sequence[str]) -> np.ndarray:
    """``[F]`` whether all corners lie in one of the regions."""
    inside = np.zeros(head.n_vertices, bool)
    for name in regions:
        inside[head.masks.get(name, [])] = True
    return inside[head.f].all(1)


def _developed(shot: _Shot, clutter: bool, hair: _Hair | None, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The picture with its surroundings, mask and landmarks."""
    size = CROP_SIZE
    head = (np.clip(shot.image, 0, 1) * 255 + 0.5).astype(np.uint8)
    points, face = ((marks[:, :2] + 1) * (size / 2) for marks in (shot.points, shot.marks68))
    covered = np.zeros((size, size), np.uint8)
    if clutter and hair is not None:
        picture = scenery.background(size, rng)
        if hair.long:
            scenery.hair_behind(picture, points, hair.colour, rng)
        scenery.blend(picture, head, cv2.GaussianBlur(shot.alpha.astype(np.uint8) * 255, (0, 0), 0.6))
        covered |= scenery.clothes(picture, points, rng)
        if rng.random() < 0.15:
            covered |= scenery.glasses(picture, np.stack([face[36:42].mean(0), face[42:48].mean(0)]), rng)
        if rng.random() < 0.2:
            skin = head[shot.face].mean(0) if shot.face.any() else np.array([180.0, 140, 120])
            covered |= scenery.thing_in_front(picture, face, skin, hair.colour, rng)
        picture = scenery.camera_faults(picture, rng)
    else:
        picture = head
    return {"image": picture, "mask": (shot.face & (covered < 128)).astype(np.uint8) * 255, "covered": covered}


def _seen(marks: np.ndarray, shot: _Shot, covered: np.ndarray) -> np.ndarray:
    """``[N, 3]`` x, y and visibility: inside the picture, no surface of the head and no thing in front."""
    size = len(covered)
    pixel = np.floor((marks[:, :2] + 1) * (size / 2)).astype(int)
    inside = ((pixel >= 0) & (pixel < size)).all(1)
    x, y = pixel.clip(0, size - 1).T
    visible = inside & (marks[:, 2] <= shot.depth[y, x]) & (covered[y, x] < 128)
    return np.concatenate([marks[:, :2], visible[:, None]], 1).astype(np.float32)


def random_light(rng: np.random.Generator) -> np.ndarray:
    """``[9, 3]`` coefficients: ambient light and one or two lamps as a Lambertian surface sees them."""
    light = np.zeros((9, 3))
    light[0] += rng.uniform(0.35, 0.7) * _tint(rng) / BAND_FACTORS[0]
    for strength in (rng.uniform(0.3, 0.85), rng.uniform(0.0, 0.4)):
        direction = rng.normal([0, 0.35, 0.7], [0.7, 0.5, 0.4])
        light += lamp(direction / np.linalg.norm(direction))[:, None] * strength * _tint(rng)
    return light


def exposed(light: np.ndarray, tone: float) -> np.ndarray:
    """Light made so strong or weak that a face of albedo ``tone`` is neither black nor burnt out, as cameras do it."""
    frontal = light.mean(1) @ (np.array(BAND_FACTORS) * [1, 0, 0, 1, 0, 0, 0, 0, 2])
    brightness = max(frontal * tone, 1e-3)
    return light * (np.clip(brightness, *_EXPOSURE) / brightness)


def lamp(direction: np.ndarray) -> np.ndarray:
    """``[9]`` coefficients of ``max(n . d, 0)`` up to the second band: ``1/4 + (n . d)/2 + 5/32 (3 (n . d)^2 - 1)``."""
    x, y, z = direction
    linear = 0.5 * np.array([x, y, z])
    quadratic = 5 / 32 * np.array([6 * x * y, 6 * x * z, 6 * y * z, 1.5 * (x * x - y * y), 0.5 * (3 * z * z - 1)])
    return np.concatenate([[0.25], linear, quadratic]) / np.array(BAND_FACTORS)


def _tint(rng: np.random.Generator) -> np.ndarray:
    """``[3]`` colour of a light, between warm and cold."""
    warmth = rng.normal(0, 0.06)
    return np.array([1 + warmth, 1.0, 1 - warmth]) * (1 + rng.normal(0, 0.015, 3))


def _axis_angle(euler: np.ndarray) -> np.ndarray:
    """Axis-angle of pitch, yaw, roll (radians), applied roll first."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_euler("zxy", [euler[2], euler[0], euler[1]]).as_rotvec()


def _depth_in_scalp(head: HeadModel) -> np.ndarray:
    """``[V]`` metres from the scalp's border, negative outside; far outside for a head without a scalp region."""
    if "scalp" not in head.masks:
        return np.full(head.n_vertices, -1, np.float32)
    scalp = np.zeros(head.n_vertices, bool)
    scalp[head.masks["scalp"]] = True
    depth = np.empty(head.n_vertices, np.float32)
    for inside, sign in ((scalp, 1), (~scalp, -1)):
        depth[inside] = sign * cKDTree(head.v_template[~inside]).query(head.v_template[inside])[0]
    return depth
