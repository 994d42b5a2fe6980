"""The second half of a fit: the drawn head should look like the photo and feel like it.

Two terms that see pixels are added to the landmarks': photometric difference inside the face (EMOCA's
``mean(mask · |I_r - I|)``, losses 4.3) and emotion consistency (the emotion network's features of photo and drawing,
the paper's section 3.2). Albedo and light are held while geometry moves; they are solved in closed form between rounds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from emoca_tf.codes import Codes
from emoca_tf.faces.crop import CROP_SIZE
from emoca_tf.losses import emotion_features
from emoca_tf.rendering.renderer import Renderer

_DOUBT = 0.12  # difference of colours at which a region's weight is halved
_REGION = 15  # pixels; doubt is judged over regions, so that a misplaced lip still pulls


class PixelTerm:
    """``loss(vertices, cam)`` of one photo with albedo and light held.

    Args:
        renderer: at 224 x 224.
        photo: ``[224, 224, 3]`` float32 crop in 0..1.
        photometric: weight of the photometric term.
        emotion: weight of the emotion term; 0 leaves the network alone.
        network: emotion network, image ``[B, 224, 224, 3]`` -> ``{"features": [B, F], ...}``; None as ``emotion=0``.
    """

    def __init__(
        self, renderer: Renderer, photo: np.ndarray, photometric: float, emotion: float = 0.0, network: Any = None
    ) -> None:
        if photo.shape != (CROP_SIZE, CROP_SIZE, 3):
            raise ValueError(f"expected a {CROP_SIZE} x {CROP_SIZE} RGB crop, received {photo.shape}")
        self.renderer, self.photo = renderer, tf.constant(photo[None], tf.float32)
        self.photometric = photometric
        self.emotion = emotion
        self.network: Any = network if emotion else None
        self.features = None if self.network is None else self.network(self.photo, training=False)["features"]
        self.texture = tf.Variable(tf.zeros([1, 256, 256, 3]), trainable=False)
        self.light = tf.Variable(tf.zeros([1, 9, 3]), trainable=False)
        self.trust = tf.Variable(tf.ones([1, CROP_SIZE, CROP_SIZE, 1]), trainable=False)

    def hold(self, texture: np.ndarray, codes: Codes, vertices: tf.Tensor) -> None:
        """Take albedo ``[256, 256, 3]`` and light, and see where the head at ``codes`` explains the photo at all.

        Hair, glasses and hands do not look like skin under this light: whole regions of doubt lose weight.
        """
        self.texture.assign(texture[None])
        self.light.assign(codes.light)
        drawn = self.renderer(vertices, codes.cam, albedo=self.texture, light=self.light)
        mask = drawn.mask
        difference = tf.reduce_mean(tf.abs(drawn.image - self.photo), -1, keepdims=True) * mask
        around = tf.nn.avg_pool2d(difference, _REGION, 1, "SAME") / (tf.nn.avg_pool2d(mask, _REGION, 1, "SAME") + 1e-3)
        self.trust.assign(1 / (1 + (around / _DOUBT) ** 2))

    def __call__(self, vertices: tf.Tensor, cam: tf.Tensor) -> tf.Tensor:
        drawn = self.renderer(vertices, cam, albedo=self.texture, light=self.light)
        mask = tf.stop_gradient(drawn.mask) * self.trust
        difference = tf.reduce_sum(mask * tf.abs(drawn.image - self.photo)) / (3 * tf.reduce_sum(mask) + 1.0)
        loss = self.photometric * difference
        if self.network is not None:
            alpha = tf.stop_gradient(drawn.alpha)
            # Over the photo, not on black: hair and background then are the same on both sides.
            composed = drawn.image * alpha + self.photo * (1 - alpha)
            features = self.network(composed, training=False)["features"]
            loss += self.emotion * emotion_features(self.features, features, "cosine")
        return loss
