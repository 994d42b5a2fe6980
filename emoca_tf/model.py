"""``Emoca``: image to codes, codes to head and picture, as in the paper.

The coarse encoder is DECA's and stays frozen; the expression encoder's output replaces the expression code.
Source: emoca:gdl/models/DECA.py, class ExpDECA (spec sections 0, 1.2 and 1.4).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from emoca_tf.codes import Codes, split
from emoca_tf.encoders.detail import N_DETAIL, detail_generator, detail_latent
from emoca_tf.encoders.expression import LAYOUTS, replace_expression
from emoca_tf.encoders.resnet import STAGES, resnet50_encoder

COARSE_ONLY = "none"
"""Layout of a model without ``E_expression``: DECA."""


class Decoded(NamedTuple):
    """What codes look like.

    Attributes:
        head: the FLAME layer's output (vertices and landmarks in head space, metres).
        rendered: the renderer's output (image, masks, grid, projected points).
        uv_z: ``[B, 256, 256, 1]`` displacement in metres, or None without a detail code.
    """

    head: Any
    rendered: Any
    uv_z: Any


@keras.saving.register_keras_serializable(package="emoca_tf")
class Emoca(keras.Model):
    """The networks of EMOCA; saved and loaded as one ``.keras`` file.

    The head and the renderer hold no learnt weights and are data of their own, so they are not part of the file:
    :meth:`decode` takes them.

    Args:
        layout: what the expression network replaces, a key of :data:`emoca_tf.encoders.expression.LAYOUTS`, or
            ``"none"`` for DECA, which has no expression network.
        with_detail: also build ``E_detail`` and ``D_detail``.
        stages: ResNet stages as (width, blocks); small ones for tests.
        hidden: width of the encoders' hidden layer.

    Raises:
        ValueError: for an unknown layout.
    """

    def __init__(
        self, layout: str = "exp", with_detail: bool = True, stages: Any = STAGES, hidden: int = 1024, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if layout not in LAYOUTS and layout != COARSE_ONLY:
            raise ValueError(f"layout {layout!r}: one of {[*sorted(LAYOUTS), COARSE_ONLY]} expected")
        self.layout, self.with_detail, self.hidden = layout, with_detail, hidden
        self.stages = tuple((int(width), int(blocks)) for width, blocks in stages)
        size: dict[str, Any] = {"stages": self.stages, "hidden": hidden}
        self.E_flame = resnet50_encoder(keras, 236, "E_flame", **size)
        self.E_flame.trainable = False  # frozen in every stage; batch norms use their running statistics
        if layout != COARSE_ONLY:
            self.E_expression = resnet50_encoder(keras, LAYOUTS[layout], "E_expression", **size)
        if with_detail:
            self.E_detail = resnet50_encoder(keras, N_DETAIL, "E_detail", **size)
            self.D_detail = detail_generator(keras)
        self.built = True

    @property
    def networks(self) -> dict[str, Any]:
        """The networks of the model by their names in the official checkpoints."""
        names = ("E_flame", "E_expression", "E_detail", "D_detail")
        return {name: getattr(self, name) for name in names if hasattr(self, name)}

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return config | {
            "layout": self.layout,
            "with_detail": self.with_detail,
            "stages": [list(stage) for stage in self.stages],
            "hidden": self.hidden,
        }

    def call(self, images: tf.Tensor, training: bool = False) -> dict[str, tf.Tensor]:
        """Crops ``[B, 224, 224, 3]`` RGB 0..1 -> every code by name, and ``detail`` ``[B, 128]`` if built."""
        codes = self.encode(images, training).to_dict()
        return codes | {"detail": self.E_detail(images, training=training)} if self.with_detail else codes

    def encode(self, images: tf.Tensor, training: bool = False) -> Codes:
        """Crops ``[B, 224, 224, 3]`` RGB 0..1 -> codes; ``training`` moves the expression network's statistics only."""
        coarse = split(self.E_flame(images, training=False))
        if self.layout == COARSE_ONLY:
            return coarse
        return replace_expression(coarse, self.E_expression(images, training=training), self.layout)

    def decode(
        self,
        codes: Codes,
        flame: Callable[..., Any],
        renderer: Callable[..., Any],
        albedo: Callable[[Any], Any] | None = None,
        detail: tf.Tensor | None = None,
    ) -> Decoded:
        """Codes -> head, picture and displacement.

        Args:
            codes: as from :meth:`encode`.
            flame: a :class:`emoca_tf.flame.layer.Flame`.
            renderer: a :class:`emoca_tf.rendering.renderer.Renderer` of the same head.
            albedo: an albedo layer ``[B, 50] -> [B, 256, 256, 3]``, or None for white.
            detail: ``[B, 128]``, or None for the coarse head only.

        Raises:
            ValueError: a detail code for a model without ``D_detail``.
        """
        if detail is not None and not self.with_detail:
            raise ValueError("this model was built with with_detail=False; it cannot decode a detail code")
        head = flame(codes.shape, codes.exp, codes.pose, codes.neck_pose, codes.eye_pose, codes.eyelid)
        texture = None if albedo is None else albedo(codes.tex)
        rendered = renderer(head.vertices, codes.cam, texture, codes.light)
        uv_z = None if detail is None else self.D_detail(detail_latent(codes.pose, codes.exp, detail))
        return Decoded(head, rendered, uv_z)
