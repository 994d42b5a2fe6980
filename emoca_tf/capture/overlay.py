"""The picture that shows a capture at a glance."""

from __future__ import annotations

import numpy as np

PANEL = 448
_TITLES = ("photo", "landmarks", "head over photo", "shape")


def contact_strip(
    photo: np.ndarray, landmarks: np.ndarray, over: np.ndarray, shape: np.ndarray, told: str = ""
) -> np.ndarray:
    """Four panels side by side.

    Args:
        photo: ``[448, 448, 3]`` float in 0..1.
        landmarks: ``[N, 2]`` detected points, pixels of the panel.
        over: ``[448, 448, 3]`` rendered head over the photo.
        shape: ``[448, 448, 3]`` shape-only render.
        told: one line under the last panel.

    Returns:
        ``[448 + 28, 4 * 448, 3]`` uint8.
    """
    from PIL import Image, ImageDraw

    strip = np.concatenate([photo, photo, over, shape], 1)
    canvas = Image.new("RGB", (len(_TITLES) * PANEL, PANEL + 28), (24, 24, 28))
    canvas.paste(Image.fromarray((strip.clip(0, 1) * 255).round().astype(np.uint8)), (0, 0))
    draw = ImageDraw.Draw(canvas)
    for x, y in landmarks:
        if 0 <= x < PANEL and 0 <= y < PANEL:
            draw.ellipse([PANEL + x - 1, y - 1, PANEL + x + 1, y + 1], fill=(90, 235, 120))
    for column, title in enumerate(_TITLES):
        draw.text((column * PANEL + 10, PANEL + 8), title, fill=(225, 225, 230))
    if told:
        width = int(draw.textlength(told))
        draw.text((len(_TITLES) * PANEL - 10 - width, PANEL + 8), told, fill=(250, 220, 120))
    return np.asarray(canvas)
