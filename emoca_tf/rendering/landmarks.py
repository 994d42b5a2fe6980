"""Landmarks over a picture, those that face away in another colour.

Source: DECA:decalib/deca.py (visofp), DECA:decalib/utils/util.py (plot_verts); spec section 3.3.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from emoca_tf.flame.layer import on_surface

HIDDEN_Z = 0.1  # camera-space normal z from which a landmark counts as hidden
VISIBLE_COLOUR = (0.35, 0.92, 0.47)
HIDDEN_COLOUR = (0.95, 0.33, 0.28)


def visible(vertex_normals: tf.Tensor, ids: Any, bary: Any) -> tf.Tensor:
    """Which surface landmarks look at the camera.

    Args:
        vertex_normals: ``[B, V, 3]`` head space, as :class:`~emoca_tf.rendering.renderer.Rendered` has them.
        ids: ``[N, 3]`` vertices around each landmark.
        bary: ``[N, 3]`` its barycentric weights.

    Returns:
        ``[B, N]`` bool.
    """
    return -on_surface(vertex_normals, ids, bary)[..., 2] < HIDDEN_Z  # head space has z out of the face


def draw(picture: np.ndarray, pixels: np.ndarray, shown: np.ndarray | None = None, radius: float = 1.5) -> np.ndarray:
    """Draw landmarks as dots.

    Args:
        picture: ``[H, W, 3]`` RGB float in 0..1; not changed.
        pixels: ``[N, 2]`` column and row; those outside the picture or not finite are left out.
        shown: ``[N]`` bool from :func:`visible`; the others get ``HIDDEN_COLOUR``. All are shown when None.
        radius: of a dot, pixels.

    Returns:
        ``[H, W, 3]`` float32 in 0..1.
    """
    import cv2

    canvas = np.array(np.clip(picture, 0, 1) * 255, np.uint8)
    shown = np.ones(len(pixels), bool) if shown is None else np.asarray(shown, bool)
    height, width = canvas.shape[:2]
    bits = 4  # cv2 takes sixteenths of a pixel
    for (x, y), is_shown in zip(pixels, shown, strict=True):
        if not (-radius <= x < width + radius and -radius <= y < height + radius):  # also false for NaN
            continue
        centre = (round(float(x) * 2**bits), round(float(y) * 2**bits))
        colour = [round(255 * part) for part in (VISIBLE_COLOUR if is_shown else HIDDEN_COLOUR)]
        cv2.circle(canvas, centre, round(radius * 2**bits), colour, -1, cv2.LINE_AA, bits)
    return canvas.astype(np.float32) / 255
