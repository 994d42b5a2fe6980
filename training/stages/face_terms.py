"""The terms of the coarse stages: what a rendered face and its landmarks are compared by."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from emoca_tf import losses
from emoca_tf.codes import Codes
from emoca_tf.emotion.identity import load_identity
from emoca_tf.emotion.recognition import EXPRESSIONS
from emoca_tf.encoders.mobilenet_v3 import LARGE
from emoca_tf.encoders.separable import FEATURES
from emoca_tf.errors import UserError
from emoca_tf.faces.mediapipe_points import N_MEDIAPIPE
from emoca_tf.flame.head import HeadModel
from training.config import Config
from training.pictures import emotion_bars
from training.scene import Scene, View, composite_mask
from training.stages import common
from training.stages.base import Batch, Term, active
from training.stages.distances import Deformation

Seen = tuple[tf.Tensor, tf.Tensor]  # features and probabilities that the emotion network has of the photo
TRUNK_FEATURES = {"mobilenet_v3": LARGE[-1][0][0], "separable": FEATURES}
EXPRESSION_TERMS = ("exp_reg", "codes", "deformation", "taught", "labels", "posterior", "points", "hint")
"""Weights of terms that, in the coarse stage, look at expression, jaw and the features of the trunk only."""
HEAD_TERMS = (
    "emotion", "photometric", "identity", "landmarks", "landmarks_mp", "landmarks_ocular", "eye_closure",
    "mouth_closure", "lip_corner", "eye_closure_mp", "mouth_closure_mp", "lip_corner_mp", "shape_reg", "tex_reg",
    "light_reg",
)  # fmt: skip
"""Weights of the others: they need a posed head, or its other codes."""


class FaceTerms:
    """Decodes codes and compares the result with a batch.

    What a row of the batch does not know (codes that are NaN, pictures without landmarks) does not count for it.

    Args:
        config: weights of the terms, masks, background, fixed networks.
        scene: head and renderer.
    """

    def __init__(self, config: Config, scene: Scene) -> None:
        self.config, self.scene = config, scene
        w = config.weights
        self.draws = bool(w.emotion or w.photometric or w.identity)
        self.emotion = common.emotion_eye(config) if w.emotion or w.hint or w.posterior else None
        self.deformation = Deformation(scene.model)
        self.readers = readers(config, scene.model, self.emotion.width if self.emotion else 0)
        self.identity = load_identity(keras, config.identity_network or None) if config.weights.identity else None

    def terms(
        self, batch: Batch, codes: Codes, features: tf.Tensor | None = None, learning: bool = False
    ) -> dict[str, Term]:
        """Every weighted term.

        Args:
            batch: pictures and what is known about them.
            codes: to be judged.
            features: of the expression encoder's trunk; needed for ``weights.hint``.
            learning: training mode of the readers.
        """
        head, landmarks = self.scene.posed(codes)
        terms = self._landmark_terms(batch, *landmarks)
        seen = self.emotion.look(batch["image"]) if self.emotion is not None else None
        if self.draws:
            terms |= self._picture_terms(batch, View(head, self.scene.drawn(head, codes), *landmarks), codes, seen)
        terms |= self._code_terms(batch, codes) | self._read_terms(batch, codes, features, seen, learning)
        return active(terms)

    def _mask(self, batch: Batch, view: View) -> tf.Tensor:
        """The mask of the composite at the renderer's size."""
        given = batch.get("mask")
        return composite_mask(view.rendered, None if given is None else self.scene.shrunk(given), self.config.use_seg)

    def _picture_terms(self, batch: Batch, view: View, codes: Codes, seen: Seen | None) -> dict[str, Term]:
        w, image, mask = self.config.weights, self.scene.shrunk(batch["image"]), self._mask(batch, view)
        predicted = self.composite(view, image, mask)
        terms = {"photometric": Term(losses.photometric(predicted, image, mask), w.photometric)}
        if self.emotion is not None and seen is not None and w.emotion:
            terms["emotion"] = Term(self._emotion_distance(seen[0], predicted), w.emotion)
        if self.identity is not None:
            terms["identity"] = Term(self._identity(image, view, codes, mask), w.identity)
        return terms

    def _emotion_distance(self, photo: tf.Tensor, predicted: tf.Tensor) -> tf.Tensor:
        assert self.emotion is not None
        distance: Any = self.config.emotion_distance
        return losses.emotion_features(photo, self.emotion.features(predicted), distance)

    def _code_terms(self, batch: Batch, codes: Codes) -> dict[str, Term]:
        w = self.config.weights
        terms = {
            name: Term(losses.code_regulariser(values), weight, summed=True)
            for name, values, weight in (
                ("shape_reg", codes.shape, w.shape_reg),
                ("exp_reg", codes.exp, w.exp_reg),
                ("tex_reg", codes.tex, w.tex_reg),
            )
        }
        terms["light_reg"] = Term(losses.light_regulariser(codes.light), w.light_reg)
        if w.codes:
            truth = common.true_codes(batch, "weights.codes")
            groups = known_groups(self.config)
            terms["codes"] = Term(common.code_distance(self.scene.model, codes, truth, groups), w.codes)
        if w.taught or w.deformation:
            exp, jaw = _expression_known(batch)
            opened = tf.concat([codes.pose[:, :3], jaw, codes.pose[:, 4:]], 1)
            distance = common.code_distance(
                self.scene.model, codes, codes.replace(exp=exp, pose=opened), ("exp", "jaw")
            )
            terms["taught"] = Term(distance, w.taught)
            terms["deformation"] = Term(self.deformation(codes.exp, exp), w.deformation)
        return terms

    def _read_terms(
        self, batch: Batch, codes: Codes, features: tf.Tensor | None, seen: Seen | None, learning: bool
    ) -> dict[str, Term]:
        """What must be readable: the label from the expression; landmarks and emotion features from the trunk."""
        w, terms = self.config.weights, {}
        if w.labels or w.posterior:
            shown = tf.concat([codes.exp, codes.pose[:, 3:]], 1)
            logits = self._read("reader", shown, learning)
            terms["labels"] = Term(losses.expression_cross_entropy(batch["expression"], logits), w.labels)
        if w.posterior and seen is not None:
            said = tf.nn.softmax_cross_entropy_with_logits(tf.stop_gradient(seen[1]), logits)
            terms["posterior"] = Term(tf.reduce_mean(said), w.posterior)
        if (w.hint or w.points) and features is None:
            raise UserError("weights.hint and weights.points need a mobile family: ResNet gives no features")
        if w.points:
            given = batch["landmarks_mp"]
            guessed = tf.reshape(self._read("points", features, learning), (-1, N_MEDIAPIPE, 2))
            gap = tf.reduce_sum(tf.abs(guessed - given[..., :2]), -1) * given[..., 2]
            terms["points"] = Term(tf.math.divide_no_nan(tf.reduce_sum(gap), tf.reduce_sum(given[..., 2])), w.points)
        if w.hint and seen is not None:
            guessed = self._read("hint", features, learning)
            terms["hint"] = Term(losses.emotion_features(tf.stop_gradient(seen[0]), guessed), w.hint)
        return terms

    def _read(self, reader: str, inputs: tf.Tensor, learning: bool) -> tf.Tensor:
        """What a reader says, as float32, in which terms are summed."""
        return tf.cast(self.readers[reader](inputs, training=learning), tf.float32)

    def composite(self, view: View, images: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """The masked rendering on black, or over the picture."""
        drawn = view.rendered.image * mask
        return drawn if self.config.background == "black" else drawn + images * (1 - mask)

    def _landmark_terms(
        self, batch: Batch, landmarks68: tf.Tensor | None, landmarks_mp: tf.Tensor | None
    ) -> dict[str, Term]:
        w, terms = self.config.weights, {}
        if landmarks68 is not None:
            given = batch["landmarks68"]
            points = _where_known(landmarks68, given, given)
            terms["landmarks"] = Term(losses.weighted_landmarks(points, given, given[..., 2]), w.landmarks)
            terms["eye_closure"] = Term(losses.eye_closure(points, given), w.eye_closure)
            terms["mouth_closure"] = Term(losses.mouth_closure(points, given), w.mouth_closure)
            terms["lip_corner"] = Term(losses.lip_corners(points, given), w.lip_corner)
        indices = self.scene.mediapipe_indices
        if landmarks_mp is not None and indices is not None:
            given = batch["landmarks_mp"]
            points = _where_known(landmarks_mp, given, tf.gather(given, indices, axis=1))
            lids = losses.eye_closure_mediapipe(points, given, indices, self.config.eyelid_pairs)  # type: ignore[arg-type]
            terms["landmarks_mp"] = Term(losses.mediapipe_landmarks(points, given, indices), w.landmarks_mp)
            terms["landmarks_ocular"] = Term(losses.ocular_landmarks(points, given, indices), w.landmarks_ocular)
            terms["eye_closure_mp"] = Term(lids, w.eye_closure_mp)
            terms["mouth_closure_mp"] = Term(losses.mouth_closure_mediapipe(points, given, indices), w.mouth_closure_mp)
            terms["lip_corner_mp"] = Term(losses.lip_corners_mediapipe(points, given, indices), w.lip_corner_mp)
        return terms

    def _identity(self, images: tf.Tensor, view: View, codes: Codes, mask: tf.Tensor) -> tf.Tensor:
        """Only the geometry learns from it: albedo and light are detached (losses 4.3)."""
        texture, light = tf.stop_gradient(self.scene.albedo(codes.tex)), tf.stop_gradient(codes.light)
        drawn = self.scene.renderer(view.head.vertices, codes.cam, texture, light).image
        return losses.identity(self.identity, images, drawn * mask + images * (1 - mask))

    def pictures(self, batch: Batch, codes: Codes) -> list[tuple[str, np.ndarray]]:
        """Input, overlay, shape, and what the emotion network sees in the input and in the rendering."""
        view, image = self.scene.decode(codes), self.scene.shrunk(batch["image"])
        columns = [
            ("input", batch["image"].numpy()),
            ("overlay", self.scene.overlay(view, image).numpy()),
            ("shape", self.scene.shape_image(view, codes).numpy()),
        ]
        if self.emotion is not None:
            pictures = (batch["image"], self.composite(view, image, self._mask(batch, view)))
            seen = [self.emotion.probabilities(picture).numpy() for picture in pictures]
            columns.append(("emotion: input blue, render orange", emotion_bars(*seen)))
        return columns


def asks_for_heads(config: Config) -> bool:
    """Whether the coarse stage must run its frozen networks: for a term, or for the jaw that ResNet50's have."""
    return config.family == "resnet50" or any(getattr(config.weights, name) for name in HEAD_TERMS)


def known_groups(config: Config) -> tuple[str, ...]:
    """The codes whose true values ``weights.codes`` compares: those that the stage learns.

    Rotation and camera follow from the landmarks: the truth's neck, which no encoder gives, is part of them.
    """
    if config.stage == "coarse":  # the rest is frozen, with ResNet50 the jaw, too, unless the layout replaces it
        frozen_jaw = config.family == "resnet50" and config.layout in ("exp", "exp+global")
        return ("exp",) if frozen_jaw else ("exp", "jaw")
    return ("shape", "tex", "exp", "jaw", *(() if config.weights.light_reg else ("light",)))


def _expression_known(batch: Batch) -> tuple[tf.Tensor, tf.Tensor]:
    """``[B, E]`` expression and ``[B, 1]`` jaw opening: the truth, else what a teacher says, else NaN.

    Raises:
        UserError: the data has neither.
    """
    truth = (batch["exp"], batch["pose"][:, 3:4]) if "exp" in batch else None
    taught = (batch["teacher_exp"], batch["teacher_jaw"]) if "teacher_exp" in batch else None
    if truth is None and taught is None:
        raise UserError("weights.taught and weights.deformation need true or taught codes: teacher=blendshapes")
    if truth is None or taught is None:
        return truth or taught  # type: ignore[return-value]
    exp, jaw = (tf.where(tf.math.is_finite(a), a, b) for a, b in zip(truth, taught, strict=True))
    return exp, jaw


def _where_known(points: tf.Tensor, given: tf.Tensor, same_points: tf.Tensor) -> tf.Tensor:
    """Predicted points; in rows of which no landmark is valid the given ones, so that nothing is learnt from them."""
    known = tf.reduce_any(given[..., 2] > 0, axis=1)[:, None, None]
    return tf.where(known, points, same_points[..., :2])


def readers(config: Config, head: HeadModel, emotion_features: int) -> dict[str, Any]:
    """The linear networks that the configuration needs beside the encoders, by name; they learn with them.

    Args:
        config: weights of the terms.
        head: gives the width of the expression.
        emotion_features: width of the emotion network's features, for ``weights.hint``.
    """
    networks = {}
    features = keras.Input((TRUNK_FEATURES.get(config.family, 0),), name="features")
    if config.weights.labels or config.weights.posterior:
        image = keras.Input((head.n_exp + 3,), name="expression_and_jaw")
        networks["reader"] = keras.Model(
            image, keras.layers.Dense(len(EXPRESSIONS), name="linear")(image), name="reader"
        )
    if config.weights.points:
        points = keras.layers.Dense(2 * N_MEDIAPIPE, name="linear")(features)
        networks["points"] = keras.Model(features, points, name="points")
    if config.weights.hint:
        hint = keras.layers.Dense(emotion_features, name="linear")(features)
        networks["hint"] = keras.Model(features, hint, name="hint")
    return networks
