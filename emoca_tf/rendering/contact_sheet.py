"""Contact sheet of a head: its named expressions, identities and albedos, from the front and from 45 degrees."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import tensorflow as tf

from emoca_tf.flame.expressions import EXPRESSIONS, expression_codes
from emoca_tf.flame.head import HeadModel
from emoca_tf.flame.layer import Flame
from emoca_tf.rendering.albedo import Albedo, AlbedoModel
from emoca_tf.rendering.renderer import Renderer
from emoca_tf.rendering.shading import BAND_FACTORS

N_IDENTITIES, N_ALBEDOS = 8, 6
VIEWS = (0.0, np.pi / 4)  # yaw, radians
BACKGROUND = 0.93
LABEL_HEIGHT = 22
_OVERSAMPLING = 2
_SCALE = 6.9  # of the camera: the whole head with its neck
_LAMPS = (((-0.35, 0.45, 0.85), 0.66), ((0.75, 0.1, 0.5), 0.2))  # key and fill: direction, strength
_AMBIENT = 0.42
# Six people: component -> coefficient, the rest drawn.
ALBEDOS: tuple[dict[str, float], ...] = (
    {
        "melanin": -1.4,
        "haemoglobin": 0.8,
        "hair lightness": 2.0,
        "hair redness": 1.5,
        "iris blue": 2.0,
        "freckles": 1.5,
    },
    {"melanin": -0.8, "beard": 1.5, "moustache": 1.2, "goatee": 1.2, "iris green": 1.5, "iris lightness": 1.0},
    {"melanin": -0.3, "yellowness": 1.0, "iris lightness": -1.0, "brow density": 1.0},
    {"melanin": 0.5, "lip redness": 0.8, "eye shadow": 1.5, "eyeliner": 1.5, "blush": 0.6, "hair density": -2.5},
    {
        "melanin": 1.3,
        "beard": 1.0,
        "moustache": 1.0,
        "goatee": 1.0,
        "iris lightness": -1.5,
        "blush": -0.5,
        "hair density": 1.0,
    },
    {"melanin": 2.3, "iris lightness": -2.0, "iris amber": -1.0, "hair density": 1.0, "sclera brightness": -1.0},
)


def studio_light() -> np.ndarray:
    """``[1, 9, 3]`` key and fill light as a Lambertian surface receives them (Ramamoorthi and Hanrahan 2001)."""
    light = np.zeros(9)
    light[0] = _AMBIENT
    for direction, strength in _LAMPS:
        x, y, z = np.array(direction) / np.linalg.norm(direction)
        quadratic = (6 * x * y, 6 * x * z, 6 * y * z, 1.5 * (x * x - y * y), 0.5 * (3 * z * z - 1))
        light += strength * np.array([0.25, x / 2, y / 2, z / 2, *(5 / 32 * q for q in quadratic)])
    return np.tile((light / np.array(BAND_FACTORS))[None, :, None], (1, 1, 3)).astype(np.float32)


class Portraits:
    """Draws one head model with one albedo model."""

    def __init__(self, head: HeadModel, albedo: AlbedoModel, size: int) -> None:
        self.head, self.albedo, self.size = head, albedo, size
        self._flame, self._texture = Flame(head), Albedo(albedo)
        self._renderer = Renderer(head, size=size * _OVERSAMPLING)
        self._light = tf.constant(studio_light())

    def draw(
        self, shape: np.ndarray | None = None, tex: np.ndarray | None = None, name: str = "neutral", yaw: float = 0.0
    ) -> np.ndarray:
        """One portrait ``[size, size, 3]`` float32 in 0..1; codes are single rows without a batch axis."""
        codes = expression_codes(self.head, name)
        codes["pose"][:, 1] = yaw
        identity = np.zeros(self.head.n_shape) if shape is None else shape
        colours = np.zeros(self.albedo.basis.shape[-1]) if tex is None else tex
        posed = self._flame(tf.constant(identity[None], tf.float32), **{k: tf.constant(v) for k, v in codes.items()})
        texture = tf.clip_by_value(self._texture(tf.constant(colours[None], tf.float32)), 0.0, 1.0)
        vertices = posed.vertices
        middle = (tf.reduce_min(vertices, 1) + tf.reduce_max(vertices, 1)) / 2
        cam = tf.concat([tf.fill([1, 1], _SCALE), -middle[:, :2]], 1)
        drawn = self._renderer(vertices, cam, texture, self._light)
        picture = drawn.image + (1 - drawn.alpha) * BACKGROUND
        return tf.image.resize(picture[0], [self.size, self.size], method="area").numpy().clip(0, 1)


def named_albedo(model: AlbedoModel, wanted: dict[str, float], rng: np.random.Generator) -> np.ndarray:
    """``[K]`` drawn coefficients with the named ones set; names the model lacks are left out."""
    code = rng.normal(0, 0.35, model.basis.shape[-1])
    for name, value in wanted.items():
        if name in model.component_names:
            code[model.component_names.index(name)] = value
    return code


def identities(head: HeadModel) -> list[np.ndarray]:
    """Codes ``[S]`` of the sheet's identities, the same at every call."""
    rng = np.random.default_rng(11)
    return [rng.normal(0, 0.9, head.n_shape).clip(-2.2, 2.2) for _ in range(N_IDENTITIES)]


def rows(portraits: Portraits) -> Iterator[tuple[list[str], list[np.ndarray]]]:
    """Labels and pictures of the sheet, row after row."""
    rng = np.random.default_rng(5)
    albedos = [named_albedo(portraits.albedo, wanted, rng) for wanted in ALBEDOS]
    people = identities(portraits.head)
    for yaw in VIEWS:
        yield list(EXPRESSIONS), [portraits.draw(name=name, yaw=yaw) for name in EXPRESSIONS]
    for yaw in VIEWS:
        yield (
            [f"identity {k + 1}" for k in range(len(people))],
            [portraits.draw(shape, albedos[k % len(albedos)], yaw=yaw) for k, shape in enumerate(people)],
        )
    for yaw in VIEWS:
        yield (
            [f"albedo {k + 1}" for k in range(len(albedos))],
            [portraits.draw(tex=code, yaw=yaw) for code in albedos],
        )


def contact_sheet(head: HeadModel, albedo: AlbedoModel, size: int = 256) -> np.ndarray:
    """The sheet as ``[H, W, 3]`` uint8 RGB; ``size`` is the edge of one portrait in pixels.

    Raises:
        UserError: for a head without ARKit's axis names or without texture coordinates.
    """
    drawn = list(rows(Portraits(head, albedo, size)))
    width = max(len(pictures) for _, pictures in drawn) * size
    strips = []
    for labels, pictures in drawn:
        strip = np.full((size + LABEL_HEIGHT, width, 3), round(BACKGROUND * 255), np.uint8)
        for k, (label, picture) in enumerate(zip(labels, pictures, strict=True)):
            strip[:size, k * size : (k + 1) * size] = np.round(picture * 255).astype(np.uint8)
            place = (k * size + 8, size + LABEL_HEIGHT - 7)
            cv2.putText(strip, label, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (40, 40, 40), 1, cv2.LINE_AA)
        strips.append(strip)
    return np.concatenate(strips)
