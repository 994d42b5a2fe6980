"""Codes to pictures during training: the head, its albedo and the renderer, and the composite that losses compare."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from emoca_tf.codes import Codes
from emoca_tf.flame.head import HeadModel
from emoca_tf.flame.layer import Flame, FlameOutput
from emoca_tf.rendering.albedo import Albedo, AlbedoModel
from emoca_tf.rendering.camera import project
from emoca_tf.rendering.renderer import Rendered, Renderer
from emoca_tf.rendering.uv_space import UvTable, uv_table


class View(NamedTuple):
    """One decoded batch.

    Attributes:
        head: vertices and landmarks in head space, metres.
        rendered: the renderer's output.
        landmarks68: ``[B, 68, 2]`` in [-1, 1], y down.
        landmarks_mp: ``[B, N, 2]`` MediaPipe points, in the order of :attr:`Scene.mediapipe_indices`; or None.
    """

    head: FlameOutput
    rendered: Rendered
    landmarks68: tf.Tensor | None
    landmarks_mp: tf.Tensor | None


class Scene:
    """Everything that turns codes into pictures; holds no learnt weights.

    Args:
        head: ``default`` or a head file.
        albedo: ``default`` or an albedo file.
        size: edge of the pictures.
    """

    def __init__(self, head: str = "default", albedo: str = "default", size: int = 224) -> None:
        self.model = HeadModel.load(head)
        self.flame = Flame(self.model, dtype="float32")
        self.albedo = Albedo(AlbedoModel.load(albedo), dtype="float32")
        self.renderer = Renderer(self.model, size, dtype="float32")
        self.size = size

    def decode(self, codes: Codes) -> View:
        """Codes -> head, picture, projected landmarks."""
        head, landmarks = self.posed(codes)
        return View(head, self.drawn(head, codes), *landmarks)

    def drawn(self, head: FlameOutput, codes: Codes) -> Rendered:
        """The picture of a posed head."""
        return self.renderer(head.vertices, codes.cam, self.albedo(codes.tex), codes.light)

    def shrunk(self, images: tf.Tensor) -> tf.Tensor:
        """Pictures or masks of any multiple of the renderer's size at its size."""
        factor = images.shape[1] // self.size
        return images if factor == 1 else tf.nn.avg_pool2d(images, factor, factor, "VALID")

    def posed(self, codes: Codes) -> tuple[FlameOutput, tuple[tf.Tensor | None, tf.Tensor | None]]:
        """Codes -> head and projected landmarks, without a picture."""
        head = self.flame(codes.shape, codes.exp, codes.pose, codes.neck_pose, codes.eye_pose, codes.eyelid)
        return head, self.landmarks(head, codes)

    def landmarks(self, head: FlameOutput, codes: Codes) -> tuple[tf.Tensor | None, tf.Tensor | None]:
        """The projected 68 points and MediaPipe points."""
        return tuple(
            None if points is None else project(points, codes.cam)[..., :2]
            for points in (head.landmarks2d, head.landmarks_mp)
        )  # type: ignore[return-value]

    def vertices_and_points(self, *codes: Codes) -> list[tuple[tf.Tensor, ...]]:
        """Vertices, and projected vertices, of several sets of codes, without rendering."""
        heads = [self.flame(c.shape, c.exp, c.pose, c.neck_pose, c.eye_pose, c.eyelid).vertices for c in codes]
        return [tuple(heads), tuple(project(head, c.cam) for head, c in zip(heads, codes, strict=True))]

    @property
    def mediapipe_indices(self) -> np.ndarray | None:
        """Which of MediaPipe's 478 points the head's rows are."""
        return self.model.mediapipe_indices

    @cached_property
    def uv(self) -> UvTable:
        """The head's texture space, for the detail stage."""
        return uv_table(self.model)

    def overlay(self, view: View, images: tf.Tensor) -> tf.Tensor:
        """The rendered head's face over the pictures."""
        return view.rendered.mask * view.rendered.image + (1 - view.rendered.mask) * images

    def shape_image(self, view: View, codes: Codes) -> tf.Tensor:
        """The grey preview."""
        return self.renderer.shape_image(view.head.vertices, codes.cam)


def truth_codes(batch: dict[str, Any]) -> Codes:
    """The true codes of a synthetic batch."""
    names = ("shape", "tex", "exp", "pose", "cam", "light", "neck_pose", "eye_pose", "eyelid")
    return Codes(**{name: batch[name] for name in names if name in batch})


def composite_mask(rendered: Rendered, given: tf.Tensor | None, use_seg: str) -> tf.Tensor:
    """The mask of the composite and of the photometric loss, ``[B, H, W, 1]`` (``useSeg``, spec section 1.4).

    Args:
        rendered: gives the rendered face mask.
        given: the data's face segmentation; without one the rendered mask is used.
        use_seg: ``rend``, ``gt``, ``intersection`` or ``union``.
    """
    if use_seg == "rend" or given is None:
        return rendered.mask
    if use_seg == "gt":
        return given
    return rendered.mask * given if use_seg == "intersection" else tf.maximum(rendered.mask, given)
