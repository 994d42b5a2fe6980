"""The DETAIL stage: wrinkles as a displacement map that moves with the expression.

Learnt: ``E_detail`` and ``D_detail``. Frozen: all coarse encoders, in inference mode; light and albedo are detached.
Losses (losses specification 4.7): L1 and ID-MRF between the drawn and the photo's texture over the face patch, and
regularisers of the displacement (size, smoothness of its shading, symmetry where the photo shows nothing). With rings
of one person the detail codes are exchanged and all terms apply to both (detail consistency).
"""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from emoca_tf import losses
from emoca_tf.codes import Codes
from emoca_tf.encoders.vgg import load_vgg19
from emoca_tf.losses.detail import face_patch
from emoca_tf.rendering.displacement import (
    detail_image,
    detail_shading,
    displaced_normals,
    photo_texture,
    to_uv,
)
from training.config import Config
from training.networks import Reconstruction, initialise
from training.pictures import map_picture
from training.scene import Scene, View
from training.stages import common
from training.stages.base import Batch, Stage, Term, active

SHOWN_DISPLACEMENT = 0.002  # metres that are drawn white


class Detail(Stage):
    """See the module."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.scene = Scene(config.head, config.albedo)
        self.encoders = Reconstruction(
            config.family, self.scene.model, config.layout, detail=True, shrink=config.shrink
        )
        self.networks = dict(self.encoders.models)
        self.learning = ("E_detail", "D_detail")
        self.loaded = initialise(self.networks, config.init)
        self.vgg = load_vgg19(keras, config.vgg_network or None) if config.weights.detail_mrf else None

    def codes(self, batch: Batch) -> Codes:
        """The frozen coarse codes, without gradient."""
        if self.config.coarse_codes == "truth":
            codes = common.true_codes(batch, "coarse_codes=truth")
        else:
            codes = self.encoders.encode(batch["image"])
        return Codes(**{name: tf.stop_gradient(value) for name, value in codes.to_dict().items()})

    def terms(self, batch: Batch, step: tf.Tensor, learning: bool) -> Mapping[str, Term]:
        names = self.learning if learning else ()
        codes, detail = self.codes(batch), self.encoders.detail_code(batch["image"], names)
        if self.config.exchange and self.config.ring > 1 and learning:
            order = losses.ring_permutation(batch["image"].shape[0], self.config.ring, common.seed(self.config, step))
            groups = losses.exchange(codes.to_dict() | {"detail": detail}, "detail", order)
            detail = groups.pop("detail")
            codes = Codes(**groups)
            batch = {name: tf.concat([value, value], 0) for name, value in batch.items()}
        uv_z = self.encoders.displacement(codes, detail, names)
        w, view = self.config.weights, self.scene.decode(codes)
        drawn, shading = self.textures(codes, view, uv_z)
        photo, visible = self.photo(batch, view)
        terms = {
            "detail_l1": Term(losses.detail_l1(drawn, photo, visible), w.detail_l1),
            "detail_z": Term(losses.displacement_regulariser(uv_z), w.detail_z),
            "detail_diff": Term(losses.displacement_smoothness(shading), w.detail_diff),
            "detail_sym": Term(losses.displacement_symmetry(uv_z, visible), w.detail_sym, summed=True),
        }
        if self.vgg is not None:
            seen = [face_patch(texture * visible) for texture in (drawn, photo)]
            terms["detail_mrf"] = Term(losses.id_mrf(self.vgg, *seen), w.detail_mrf, summed=True)
        return active(terms)

    def textures(self, codes: Codes, view: View, uv_z: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Texture under detailed light, and that light's shading, both ``[B, 256, 256, 3]``."""
        uv = self.scene.uv
        surface, normals = (
            to_uv(attribute, uv.vertex_ids, uv.weights)
            for attribute in (view.head.vertices, view.rendered.vertex_normals)
        )
        mask = self.scene.renderer.uv_mask
        shading = detail_shading(displaced_normals(uv_z, surface, normals, mask, composite=False), codes.light)
        return tf.stop_gradient(self.scene.albedo(codes.tex)) * shading, shading

    def photo(self, batch: Batch, view: View) -> tuple[tf.Tensor, tf.Tensor]:
        """The photo's texture and where it is trustworthy."""
        uv, flip = self.scene.uv, tf.constant([1.0, -1.0, -1.0])
        points = to_uv(view.rendered.points, uv.vertex_ids, uv.weights)
        normals = to_uv(view.rendered.vertex_normals * flip, uv.vertex_ids, uv.weights)
        return photo_texture(batch["image"], batch["mask"], points, normals, self.scene.renderer.uv_mask)

    def pictures(self, batch: Batch) -> list[tuple[str, np.ndarray]]:
        few = {name: value[: common.SHOWN] for name, value in batch.items()}
        codes = self.codes(few)
        uv_z = self.encoders.displacement(codes, self.encoders.detail_code(few["image"]))
        view = self.scene.decode(codes)
        _, shading = self.textures(codes, view, uv_z)
        detailed = detail_image(self.scene.albedo(codes.tex), shading, view.rendered.grid) * view.rendered.alpha
        return [
            ("input", few["image"].numpy()),
            ("coarse", view.rendered.image.numpy()),
            ("with detail", detailed.numpy()),
            ("displacement, white 2 mm", map_picture(uv_z.numpy(), SHOWN_DISPLACEMENT)),
        ]


def build(config: Config) -> Detail:
    return Detail(config)
