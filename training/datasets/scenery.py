"""What is around a rendered head: background, hair and clothes, things in front of it, and the camera's faults.

Pictures are ``[S, S, 3]`` uint8 RGB. Everything is drawn from the generator that is handed in.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from training.datasets import augment

HAIR = np.array(
    [[20, 16, 14], [45, 30, 22], [75, 50, 32], [120, 85, 50], [170, 130, 80], [95, 45, 25], [150, 150, 150]]
)
SHIFT = 4  # cv2 draws in 1/16 pixels
_FULL = (255,)


def smooth_noise(size: int, cells: int, rng: np.random.Generator) -> np.ndarray:
    """``[size, size]`` float32 in 0..1 with features of ``size / cells`` pixels."""
    small = rng.random((cells, cells), np.float32)
    return np.clip(cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC), 0, 1)


def ramp(t: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Picture ``[S, S, 3]`` uint8 between two colours (0..255) by ``t`` (0..1)."""
    steps = np.linspace(first, second, 256).astype(np.uint8)[:, None]
    return cv2.applyColorMap((t * 255).astype(np.uint8), steps)


def paint(rng: np.random.Generator) -> np.ndarray:
    """``[3]`` float32 0..255: any brightness, mostly muted colours."""
    grey, hue = rng.uniform(0, 255), rng.uniform(0, 255, 3)
    return (grey + (hue - hue.mean()) * rng.beta(1, 3)).clip(0, 255).astype(np.float32)


def background(size: int, rng: np.random.Generator) -> np.ndarray:
    """Plain, graded, cloudy, or a cluttered room out of focus."""
    kind = rng.random()
    first, second = paint(rng), paint(rng)
    if kind < 0.15:
        return np.tile(first.astype(np.uint8), (size, size, 1))
    if kind < 0.35:
        angle = rng.uniform(0, 2 * np.pi)
        x, y = np.meshgrid(*2 * [np.linspace(-1, 1, size, dtype=np.float32)])
        return ramp(0.5 + 0.5 * (x * np.cos(angle) + y * np.sin(angle)) / 1.42, first, second)
    if kind < 0.55:
        return ramp(smooth_noise(size, int(rng.integers(3, 9)), rng), first, second)
    picture = np.tile(first.astype(np.uint8), (size, size, 1))
    for _ in range(int(rng.integers(4, 14))):
        colour = tuple(int(v) for v in paint(rng))
        a, b = rng.integers(-size // 4, size * 5 // 4, (2, 2))
        if rng.random() < 0.6:
            cv2.rectangle(picture, tuple(map(int, a)), tuple(map(int, b)), colour, -1)
        else:
            cv2.circle(picture, tuple(map(int, a)), int(rng.integers(size // 20, size // 3)), colour, -1)
    picture = augment.blur(picture, float(rng.uniform(1.0, 9.0)))
    return augment.noise(picture, float(rng.uniform(0, 6)), rng)


def hair_colour(rng: np.random.Generator) -> np.ndarray:
    """``[3]`` float32, 0..255."""
    return (HAIR[int(rng.integers(len(HAIR)))] * rng.uniform(0.7, 1.25) + rng.normal(0, 5, 3)).clip(5, 235).astype("f4")


@lru_cache(maxsize=64)
def _streaks(size: int, pattern: int) -> np.ndarray:
    """``[size, size, 1]`` float32 brightness of hair: noise drawn out along one direction."""
    rng = np.random.default_rng(pattern)
    streaks = cv2.resize(rng.random((8, size), np.float32), (size, size), interpolation=cv2.INTER_LINEAR)
    return (0.55 + 0.6 * streaks + 0.35 * (smooth_noise(size, 10, rng) - 0.5))[..., None]


def strands(size: int, colour: np.ndarray, pattern: int) -> np.ndarray:
    """Hair-like texture ``[size, size, 3]`` float32, 0..255, one of 16 patterns."""
    return np.minimum(colour.astype(np.float32) * _streaks(size, pattern % 16), np.float32(255))


def hair_behind(picture: np.ndarray, points: np.ndarray, colour: np.ndarray, rng: np.random.Generator) -> None:
    """Long hair that falls behind the face, drawn before the head; ``points [V, 2]`` are the head's pixels."""
    low, high = points.min(0), points.max(0)
    width, height = high - low
    length = rng.uniform(0.5, 1.1)
    shape = np.zeros(picture.shape[:2], np.uint8)
    centre = ((low[0] + high[0]) / 2, low[1] + height * length / 2)
    axes = (width * rng.uniform(0.5, 0.66), height * length * rng.uniform(0.52, 0.6))
    ellipse(shape, centre, axes, 0.0)
    blend(picture, strands(len(picture), colour * 0.8, int(rng.integers(16))).astype(np.uint8), shape)


def clothes(picture: np.ndarray, points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shoulders and a collar over the lower end of the neck; returns the covered pixels."""
    low, high = points.min(0), points.max(0)
    middle, bottom, width = (low[0] + high[0]) / 2, high[1], high[0] - low[0]
    collar = bottom - width * rng.uniform(0.08, 0.2)
    neck, shoulder, drop = width * 0.36, width * rng.uniform(0.9, 1.2), width * rng.uniform(0.25, 0.5)
    dip = width * rng.uniform(0.05, 0.3)
    outline = [(-shoulder, drop + width), (-shoulder, drop), (-neck, 0), (0, dip), (neck, 0), (shoulder, drop)]
    outline.append((shoulder, drop + width))
    polygon = np.array(outline) + np.array([middle, collar])
    shape = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillPoly(shape, [np.round(polygon * 2**SHIFT).astype(np.int32)], _FULL, cv2.LINE_AA, SHIFT)
    first, second = paint(rng), paint(rng)
    pattern = smooth_noise(len(picture), int(rng.choice([2, 4, 30, 60])), rng) * np.float32(rng.uniform(0, 0.8))
    blend(picture, ramp(pattern, first, second), shape)
    return shape


def glasses(picture: np.ndarray, eyes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Frames, sometimes dark, in front of both eyes; returns the covered pixels.

    Args:
        picture: drawn on.
        eyes: ``[2, 2]`` pixels of the eyes' centres, the person's right one first.
    """
    apart = eyes[1] - eyes[0]
    distance = float(np.hypot(*apart))
    angle = float(np.degrees(np.arctan2(apart[1], apart[0])))
    axes = (distance * rng.uniform(0.34, 0.44), distance * rng.uniform(0.24, 0.38))
    thick = max(1, round(distance * rng.uniform(0.02, 0.07)))
    shape = np.zeros(picture.shape[:2], np.uint8)
    colour = np.array(rng.choice([15, 40, 90, 150])) * rng.uniform(0.7, 1.3, 3)
    dark = rng.random() < 0.25
    for eye in eyes:
        if dark:
            ellipse(shape, tuple(eye), axes, angle)
        else:
            ellipse(shape, tuple(eye), axes, angle, thick)
    inner = [eyes[0] + apart * axes[0] / distance, eyes[1] - apart * axes[0] / distance]
    a, b = (tuple(int(v) for v in np.round(p * 2**SHIFT)) for p in inner)
    cv2.line(shape, a, b, _FULL, thick, cv2.LINE_AA, SHIFT)
    blend(picture, np.tile(colour.clip(0, 255).astype(np.uint8), (*picture.shape[:2], 1)), shape)
    return shape


def thing_in_front(
    picture: np.ndarray, face: np.ndarray, skin: np.ndarray, hair: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """A hand, an object or a strand of hair over part of the face; returns the covered pixels.

    Args:
        picture: drawn on.
        face: ``[68, 2]`` landmark pixels.
        skin: ``[3]`` 0..255, the colour of a hand.
        hair: ``[3]`` 0..255.
    """
    size = len(picture)
    width = float(np.ptp(face[:, 0]))
    shape = np.zeros((size, size), np.uint8)
    kind = rng.integers(3)
    if kind == 0:  # fingers from a random side of the jaw
        root = face[int(rng.integers(2, 15))] + rng.normal(0, width * 0.08, 2)
        direction = face[33] - root
        angle = float(np.degrees(np.arctan2(direction[1], direction[0]))) + rng.normal(0, 15)
        across = np.array([-direction[1], direction[0]]) / max(float(np.hypot(*direction)), 1)
        for k in range(int(rng.integers(2, 5))):
            place = root + across * width * 0.12 * (k - 1.5)
            ellipse(shape, tuple(place), (width * rng.uniform(0.22, 0.34), width * 0.065), angle)
        texture = ramp(smooth_noise(size, 12, rng), skin * 0.85, np.minimum(skin * 1.15, 255))
    elif kind == 1:  # a box or a ball
        place = face[int(rng.integers(0, 68))] + rng.normal(0, width * 0.15, 2)
        if rng.random() < 0.5:
            box = (tuple(place), tuple(width * rng.uniform(0.15, 0.5, 2)), float(rng.uniform(0, 180)))
            cv2.fillPoly(shape, [np.round(cv2.boxPoints(box)).astype(np.int32)], _FULL, cv2.LINE_AA)
        else:
            ellipse(shape, tuple(place), tuple(width * rng.uniform(0.08, 0.22, 2)), float(rng.uniform(0, 180)))
        texture = ramp(smooth_noise(size, int(rng.integers(3, 12)), rng), paint(rng), paint(rng))
    else:  # a fringe
        brow = face[17:27].mean(0)
        up = brow - face[8]
        for _ in range(int(rng.integers(3, 9))):
            start = brow + up * 0.55 + (face[16] - face[0]) * rng.uniform(-0.5, 0.5)
            end = brow + up * rng.uniform(-0.15, 0.3) + (face[16] - face[0]) * rng.uniform(-0.5, 0.5)
            a, b = (tuple(int(v) for v in np.round(p * 2**SHIFT)) for p in (start, end))
            cv2.line(shape, a, b, _FULL, max(2, round(width * rng.uniform(0.03, 0.12))), cv2.LINE_AA, SHIFT)
        texture = strands(size, hair, int(rng.integers(16))).astype(np.uint8)
    blend(picture, texture, cv2.GaussianBlur(shape, (0, 0), 0.8))
    return shape


def camera_faults(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """White balance, contrast, blur, noise, low resolution and compression of an ordinary camera."""
    gain = rng.uniform(0.85, 1.12) * (1 + rng.normal(0, 0.04, 3))
    gamma = rng.uniform(0.8, 1.25)
    table = 255 * (np.arange(256)[:, None] / 255) ** gamma * gain
    picture = cv2.LUT(picture, np.clip(table, 0, 255).astype(np.uint8)[None])
    if rng.random() < 0.5:
        picture = augment.blur(picture, float(rng.uniform(0.3, 1.4)))
    if rng.random() < 0.2:
        picture = augment.low_resolution(picture, float(rng.uniform(56, 160)))
    picture = augment.noise(picture, float(rng.uniform(0, 7)), rng)
    return augment.jpeg(picture, float(rng.uniform(40, 97))) if rng.random() < 0.7 else picture


def ellipse(
    shape: np.ndarray,
    centre: tuple[float, float],
    axes: tuple[float, float],
    angle: float,
    thickness: int = -1,
) -> None:
    """cv2's ellipse with fractions of pixels."""
    place, size = ([round(float(v) * 2**SHIFT) for v in pair] for pair in (centre, axes))
    cv2.ellipse(shape, place, size, angle, 0, 360, _FULL, thickness, cv2.LINE_AA, SHIFT)


def blend(picture: np.ndarray, texture: np.ndarray, weight: np.ndarray) -> None:
    """Lay ``texture`` over ``picture`` in place where ``weight`` (0..255) says so."""
    left, top, width, height = cv2.boundingRect(weight)
    if not width:
        return
    part = np.s_[top : top + height, left : left + width]
    w = cv2.cvtColor(weight[part], cv2.COLOR_GRAY2RGB)
    laid = cv2.multiply(np.ascontiguousarray(texture[part]), w, scale=1 / 255)
    picture[part] = cv2.add(cv2.multiply(np.ascontiguousarray(picture[part]), cv2.bitwise_not(w), scale=1 / 255), laid)
