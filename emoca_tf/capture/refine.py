"""A whole fit of one face: landmarks first, then rounds of appearance in closed form and geometry by pixels."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np

from emoca_tf import emotion
from emoca_tf.capture.appearance import fit_appearance
from emoca_tf.capture.fit import FitOptions, Problem, Progress, fit_landmarks
from emoca_tf.capture.pixels import PixelTerm
from emoca_tf.codes import Codes
from emoca_tf.faces.crop import CROP_SIZE
from emoca_tf.flame.head import DEFAULT_HEAD_NAME, HeadModel
from emoca_tf.flame.layer import Flame
from emoca_tf.rendering.albedo import AlbedoModel
from emoca_tf.rendering.renderer import Renderer

PLAIN_SKIN = (0.72, 0.56, 0.48)


def albedo_of(head: HeadModel) -> AlbedoModel:
    """The default head's painted albedo; on another head's texture coordinates one plain skin colour."""
    painted = AlbedoModel.load("default")
    if head.name == DEFAULT_HEAD_NAME:
        return painted
    mean = np.broadcast_to(np.array(PLAIN_SKIN, np.float32), painted.mean.shape).copy()
    return AlbedoModel(name="plain", mean=mean, basis=np.zeros_like(painted.basis))


def texture_of(albedo: AlbedoModel, codes: Codes) -> np.ndarray:
    """``[256, 256, 3]`` float32 in 0..1 of one face's albedo codes."""
    texture: np.ndarray = (albedo.mean + albedo.basis @ codes.tex[0]).clip(0, 1).astype(np.float32)
    return texture


def renderer_of(head: HeadModel, size: int) -> Renderer:
    """The renderer of a head; one without texture coordinates is drawn in one colour, all of it counting as face."""
    if head.uv is not None:
        return Renderer(head, size)
    bare = replace(head, uv=np.zeros((1, 2), np.float32), uv_faces=np.zeros_like(head.f))
    return Renderer(bare, size, uv_mask=np.ones((4, 4), np.float32))


def fit_photo(
    head: HeadModel,
    landmarks: np.ndarray,
    photo: np.ndarray,
    options: FitOptions | None = None,
    progress: Progress | None = None,
    start: Codes | None = None,
) -> tuple[Codes, np.ndarray]:
    """Fit a head to one photo.

    Args:
        head: must have the ``mediapipe`` landmark table.
        landmarks: ``[478, 3]`` crop pixels, see :func:`emoca_tf.capture.fit.fit_landmarks`.
        photo: ``[224, 224, 3]`` float32 crop in 0..1.
        options: weights and step counts.
        progress: called after every step of each stage, every stage counting anew.
        start: codes of an encoder to refine: both stages start from them and stay near them, see
            :func:`emoca_tf.capture.fit.fit_landmarks`.

    Returns:
        Codes of one face (NumPy) and its albedo texture ``[256, 256, 3]`` in 0..1.
    """
    options = options or FitOptions()
    codes = fit_landmarks(head, landmarks, options, progress, start)
    return fit_pixels(head, landmarks, photo, codes, options, progress, around=start)


def fit_pixels(
    head: HeadModel,
    landmarks: np.ndarray,
    photo: np.ndarray,
    codes: Codes,
    options: FitOptions,
    progress: Progress | None = None,
    around: Codes | None = None,
) -> tuple[Codes, np.ndarray]:
    """The second stage of :func:`fit_photo`: rounds of appearance and geometry, from ``codes`` of the first.

    Args:
        head: see :func:`fit_photo`.
        landmarks: likewise.
        photo: likewise.
        codes: where to start.
        options: likewise.
        progress: likewise.
        around: codes that the priors of shape and expression are centred on; None for the mean head at rest.
    """
    flame, renderer, albedo = Flame(head), renderer_of(head, CROP_SIZE), albedo_of(head)

    def dressed(codes: Codes) -> tuple[Codes, np.ndarray, object]:
        vertices = flame(codes.shape, codes.exp, codes.pose, codes.neck_pose, codes.eye_pose).vertices
        codes = fit_appearance(codes, renderer(vertices, codes.cam), photo, albedo)
        return codes, texture_of(albedo, codes), vertices

    codes, texture, vertices = dressed(codes)
    if options.pixel_rounds:
        network = emotion.load("default", keras) if options.emotion else None
        pixels = PixelTerm(renderer, photo, options.photometric, options.emotion, network)
        problem = Problem(head, landmarks, options, start=codes, around=around, pixels=pixels)
        for _ in range(options.pixel_rounds):
            pixels.hold(texture, codes, vertices)
            problem.run(options.pixel_steps, progress)
            codes, texture, vertices = dressed(problem.codes().replace(tex=codes.tex, light=codes.light))
    return codes, texture
