"""Albedo and light of a fitted head: two linear least-squares problems in turn.

A pixel is albedo(tex) x shading(light) (spec section 3.3). With one of the two held, the other is linear, so no
gradient descent is needed; pixels that fit badly (glasses, hair, shadows) lose weight.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from emoca_tf.codes import Codes
from emoca_tf.rendering.albedo import AlbedoModel
from emoca_tf.rendering.renderer import Rendered
from emoca_tf.rendering.shading import spherical_harmonics
from emoca_tf.rendering.texture import sample

_ROUNDS = 4
_LIGHT_PRIOR = 0.003  # pulls the directional bands to zero, per pixel
_WHITE_PRIOR = 0.02  # pulls the light's channels to each other, per pixel: skin may be tinted, eyes and teeth not
_TEX_PRIOR = 0.004  # pulls albedo coefficients to the mean, per pixel
_OUTLIER = 0.08  # residual at which a pixel's weight is halved


def fit_appearance(codes: Codes, rendered: Rendered, image: np.ndarray, model: AlbedoModel) -> Codes:
    """Solve ``tex`` and ``light`` for one face whose geometry is fixed.

    Args:
        codes: codes of one face.
        rendered: the head rendered at these codes at the size of ``image``.
        image: ``[H, W, 3]`` float32 crop in 0..1.
        model: the albedo model.

    Returns:
        ``codes`` with ``tex [1, K]`` and ``light [1, 9, 3]`` exchanged; unchanged if no pixel is covered.
    """
    chosen = rendered.mask.numpy()[0, ..., 0] > 0.5
    if chosen.sum() < 100:
        return codes
    colours = image[chosen]  # [P, 3]
    grid = tf.constant(rendered.grid.numpy()[:, chosen][:, None])  # [1, 1, P, 2]
    mean = sample(tf.constant(model.mean[None], tf.float32), grid).numpy()[0, 0]
    size = model.mean.shape[0]
    stacked = tf.constant(model.basis.reshape(1, size, size, -1), tf.float32)
    basis = sample(stacked, grid).numpy()[0, 0].reshape(len(colours), 3, -1)
    normals = tf.constant(rendered.normals.numpy()[:, chosen][:, None])
    unit_lights = tf.repeat(tf.eye(9)[:, :, None], 3, 2)
    harmonics = spherical_harmonics(tf.repeat(normals, 9, 0), unit_lights).numpy()[:, 0, :, 0].T  # [P, 9]
    tex = np.zeros(basis.shape[2])
    weight = np.ones(len(colours))
    for _ in range(_ROUNDS):
        albedo = mean + basis @ tex
        light = _solve_light(harmonics, albedo, colours, weight)
        shading = harmonics @ light
        tex = _solve_tex(basis * shading[..., None], colours - mean * shading, weight)
        residual = np.abs(colours - (mean + basis @ tex) * shading).mean(1)
        weight = 1.0 / (1.0 + (residual / _OUTLIER) ** 2)
    return codes.replace(tex=tex[None].astype(np.float32), light=light[None].astype(np.float32))


def _solve_light(harmonics: np.ndarray, albedo: np.ndarray, colours: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """``[9, 3]``: ridge regression of all channels at once, towards constant and towards white light.

    The white prior is the light regulariser of the training losses, ``(l - mean_rgb(l))²`` (losses 4.4).
    """
    bands = harmonics.shape[1]
    constant = np.diag([0.0] + [1.0] * (bands - 1)) * _LIGHT_PRIOR * len(colours)
    white = (np.eye(3) - 1 / 3) * _WHITE_PRIOR * len(colours)
    left, right = np.kron(white, np.eye(bands)) + np.kron(np.eye(3), constant), np.zeros(3 * bands)
    for channel in range(3):
        A = harmonics * albedo[:, channel, None]
        own = slice(channel * bands, (channel + 1) * bands)
        left[own, own] += (A * weight[:, None]).T @ A
        right[own] = (A * weight[:, None]).T @ colours[:, channel]
    return np.linalg.solve(left, right).reshape(3, bands).T


def _solve_tex(A: np.ndarray, b: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """``[K]``: ridge regression over all pixels and channels, coefficients kept within 3 standard deviations."""
    flat, target, w = A.reshape(-1, A.shape[2]), b.reshape(-1), np.repeat(weight, 3)
    prior = np.eye(A.shape[2]) * _TEX_PRIOR * len(weight)
    weighted = (flat * w[:, None]).T
    return np.clip(np.linalg.solve(weighted @ flat + prior, weighted @ target), -3, 3)
