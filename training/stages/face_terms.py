"""The terms of the coarse stages: what a rendered face and its landmarks are compared by."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from emoca_tf import losses
from emoca_tf.codes import Codes
from emoca_tf.emotion.identity import load_identity
from training.config import Config
from training.pictures import emotion_bars
from training.scene import Scene, View, composite_mask
from training.stages import common
from training.stages.base import Batch, Term, active


class FaceTerms:
    """Decodes codes and compares the result with a batch.

    Args:
        config: weights of the terms, masks, background, fixed networks.
        scene: head and renderer.
    """

    def __init__(self, config: Config, scene: Scene) -> None:
        self.config, self.scene = config, scene
        self.emotion = common.emotion_eye(config) if config.weights.emotion else None
        self.identity = load_identity(keras, config.identity_network or None) if config.weights.identity else None

    def terms(self, batch: Batch, codes: Codes) -> dict[str, Term]:
        """Every weighted term; emotion and landmark distances also as metrics where they cost nothing."""
        w, view = self.config.weights, self.scene.decode(codes)
        mask = composite_mask(view.rendered, batch.get("mask"), self.config.use_seg)
        predicted = self.composite(view, batch["image"], mask)
        terms = self._landmark_terms(batch, view)
        terms["photometric"] = Term(losses.photometric(predicted, batch["image"], mask), w.photometric)
        if self.emotion is not None:
            seen, drawn = self.emotion.features(batch["image"]), self.emotion.features(predicted)
            terms["emotion"] = Term(losses.emotion_features(seen, drawn), w.emotion)
        if self.identity is not None:
            terms["identity"] = Term(self._identity(batch["image"], view, codes, mask), w.identity)
        for name, values, weight in (
            ("shape_reg", codes.shape, w.shape_reg),
            ("exp_reg", codes.exp, w.exp_reg),
            ("tex_reg", codes.tex, w.tex_reg),
        ):
            terms[name] = Term(losses.code_regulariser(values), weight, summed=True)
        terms["light_reg"] = Term(losses.light_regulariser(codes.light), w.light_reg)
        if w.codes:
            truth = common.true_codes(batch, "weights.codes")
            groups = tuple(name for name in common.COARSE_GROUPS if name != "light" or w.light_reg == 0)
            terms["codes"] = Term(common.code_distance(self.scene.model, codes, truth, groups), w.codes)
        return active(terms)

    def composite(self, view: View, images: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """The masked rendering on black, or over the picture."""
        drawn = view.rendered.image * mask
        return drawn if self.config.background == "black" else drawn + images * (1 - mask)

    def _landmark_terms(self, batch: Batch, view: View) -> dict[str, Term]:
        w, terms = self.config.weights, {}
        if view.landmarks68 is not None:
            points, given = view.landmarks68, batch["landmarks68"]
            terms["landmarks"] = Term(losses.weighted_landmarks(points, given, given[..., 2]), w.landmarks)
            terms["eye_closure"] = Term(losses.eye_closure(points, given), w.eye_closure)
            terms["mouth_closure"] = Term(losses.mouth_closure(points, given), w.mouth_closure)
            terms["lip_corner"] = Term(losses.lip_corners(points, given), w.lip_corner)
        indices = self.scene.mediapipe_indices
        if view.landmarks_mp is not None and indices is not None:
            points, given = view.landmarks_mp, batch["landmarks_mp"]
            lids = losses.eye_closure_mediapipe(points, given, indices, self.config.eyelid_pairs)  # type: ignore[arg-type]
            terms["landmarks_mp"] = Term(losses.mediapipe_landmarks(points, given, indices), w.landmarks_mp)
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
        view = self.scene.decode(codes)
        columns = [
            ("input", batch["image"].numpy()),
            ("overlay", self.scene.overlay(view, batch["image"]).numpy()),
            ("shape", self.scene.shape_image(view, codes).numpy()),
        ]
        if self.emotion is not None:
            mask = composite_mask(view.rendered, batch.get("mask"), self.config.use_seg)
            pictures = (batch["image"], self.composite(view, batch["image"], mask))
            seen = [self.emotion.probabilities(picture).numpy() for picture in pictures]
            columns.append(("emotion: input blue, render orange", emotion_bars(*seen)))
        return columns
