"""A shaded head without a renderer: triangles painted from back to front. For results that must not need TensorFlow."""

from __future__ import annotations

import cv2
import numpy as np

_LIGHT = np.array([0.35, 0.45, 0.82])
_SCALE = 4  # supersampling


def project(points: np.ndarray, cam: np.ndarray, size: int) -> np.ndarray:
    """``[N, 3]`` metres -> ``[N, 3]`` pixels, y down, smaller z nearer (:func:`emoca_tf.rendering.camera.project`)."""
    image = (points + np.array([cam[1], cam[2], 0])) * cam[0] * np.array([1, -1, -1])
    return (image + np.array([1, 1, 0])) * np.array([size / 2, size / 2, 1])


def shaded(vertices: np.ndarray, triangles: np.ndarray, cam: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Grey head ``[size, size, 3]`` in 0..1 and its coverage ``[size, size, 1]``."""
    corners = vertices[triangles].astype(np.float64)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    smooth = np.zeros_like(vertices, dtype=np.float64)
    np.add.at(smooth, triangles, normals[:, None])
    smooth /= np.maximum(np.linalg.norm(smooth, axis=1, keepdims=True), 1e-12)
    light = _LIGHT / np.linalg.norm(_LIGHT)
    grey = 0.18 + 0.72 * np.clip((smooth[triangles].mean(1)) @ light, 0, 1)
    pixels = project(vertices, cam, size * _SCALE)
    order = np.argsort(-pixels[triangles][..., 2].mean(1))
    canvas = np.zeros((size * _SCALE, size * _SCALE, 2), np.float32)
    flat = np.round(pixels[:, :2]).astype(np.int32)[triangles]
    for row in order[normals[order, 2] > 0]:
        cv2.fillConvexPoly(canvas, flat[row], (float(grey[row]), 1.0))
    small = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)
    cover = small[..., 1:]
    return np.repeat(small[..., :1] / np.maximum(cover, 1e-6), 3, 2), cover


def strip(image: np.ndarray, vertices: np.ndarray, triangles: np.ndarray, landmarks: np.ndarray, cam: np.ndarray,
          panel: int = 448) -> np.ndarray:  # fmt: skip
    """Crop with the head's landmarks, head over crop, head: ``[panel, 3 panel, 3]`` uint8."""
    photo = np.clip(cv2.resize(image, (panel, panel), interpolation=cv2.INTER_CUBIC), 0, 1)
    grey, cover = shaded(vertices, triangles, cam, panel)
    over = photo * (1 - 0.85 * cover) + grey * 0.85 * cover
    marked = np.ascontiguousarray(photo)
    for x, y, _ in project(landmarks, cam, panel):
        cv2.circle(marked, (round(x), round(y)), 2, (0.35, 0.92, 0.47), -1, cv2.LINE_AA)
    alone = grey * cover + np.float32(0.1) * (1 - cover)
    return (np.concatenate([marked, over, alone], 1).clip(0, 1) * 255).round().astype(np.uint8)
