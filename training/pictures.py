"""Sheets of pictures: one row a face, titled columns, and bars for emotions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from emoca_tf.emotion.recognition import EXPRESSIONS
from emoca_tf.io.atomic import atomic_path

CELL = 224
TITLE = 22
ROWS = 4
INK = (30, 30, 34)
PALE = (205, 208, 214)
INPUT_COLOUR = (70, 110, 180)
RENDER_COLOUR = (225, 130, 50)


def sheet(columns: Sequence[tuple[str, np.ndarray]], rows: int = ROWS) -> np.ndarray:
    """Columns of pictures side by side under their titles.

    Args:
        columns: title and ``[n, size, size, 3]`` float in 0..1; sizes other than 224 are scaled to it.
        rows: at most so many faces.

    Returns:
        ``[H, W, 3]`` uint8.
    """
    count = min(rows, min(len(pictures) for _, pictures in columns))
    canvas = Image.new("RGB", (CELL * len(columns), TITLE + CELL * count), (250, 250, 250))
    draw = ImageDraw.Draw(canvas)
    for x, (title, pictures) in enumerate(columns):
        draw.text((x * CELL + 6, 5), title, fill=INK)
        for y in range(count):
            cell = (np.asarray(pictures[y]).clip(0, 1) * 255).round().astype(np.uint8)
            canvas.paste(Image.fromarray(cell).resize((CELL, CELL)), (x * CELL, TITLE + y * CELL))
    return np.asarray(canvas)


def emotion_bars(seen: np.ndarray, rendered: np.ndarray | None = None) -> np.ndarray:
    """Probabilities of the expressions as bars: of the input, and below it of the rendering.

    Args:
        seen: ``[n, 8]`` in 0..1.
        rendered: the same of the rendered face, or None.

    Returns:
        ``[n, 224, 224, 3]`` float in 0..1.
    """
    return np.stack([_bars(seen[i], None if rendered is None else rendered[i]) for i in range(len(seen))])


def _bars(seen: np.ndarray, rendered: np.ndarray | None) -> np.ndarray:
    canvas = Image.new("RGB", (CELL, CELL), (255, 255, 255))
    draw = ImageDraw.Draw(canvas)
    step = CELL // len(EXPRESSIONS)
    for index, name in enumerate(EXPRESSIONS):
        y = index * step + 2
        draw.text((4, y + 4), name, fill=INK)
        draw.rectangle((70, y + 3, CELL - 6, y + step - 5), fill=PALE)
        bars = [(seen, INPUT_COLOUR)] + ([] if rendered is None else [(rendered, RENDER_COLOUR)])
        height = (step - 8) / len(bars)
        for k, (values, colour) in enumerate(bars):
            length = float(np.clip(values[index], 0, 1)) * (CELL - 76)
            draw.rectangle((70, y + 3 + k * height, 70 + length, y + 3 + (k + 1) * height), fill=colour)
    return np.asarray(canvas, np.float32) / 255


def map_picture(values: np.ndarray, limit: float) -> np.ndarray:
    """Signed maps ``[n, H, W, 1]`` as grey pictures ``[n, 224, 224, 3]``: grey is 0, white ``limit``."""
    grey = (0.5 + 0.5 * values[..., 0] / limit).clip(0, 1)
    small = [Image.fromarray((m * 255).astype(np.uint8)).resize((CELL, CELL)) for m in grey]
    return np.stack([np.repeat(np.asarray(m, np.float32)[..., None] / 255, 3, -1) for m in small])


def save_picture(path: Path, picture: np.ndarray) -> None:
    """``[H, W, 3]`` uint8 as PNG, atomically."""
    with atomic_path(path) as temporary:
        Image.fromarray(picture).save(temporary)
