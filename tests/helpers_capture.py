"""A captured face with known codes, made without detecting or fitting anything."""

from __future__ import annotations

import numpy as np

from emoca_tf.capture.api import Capture
from emoca_tf.capture.overlay import PANEL
from emoca_tf.codes import Codes
from emoca_tf.faces.crop import crop_from_box
from emoca_tf.flame.head import HeadModel
from emoca_tf.flame.layer import Flame


def made_up_capture(head: HeadModel) -> Capture:
    rng = np.random.default_rng(0)
    codes = Codes(
        shape=rng.normal(size=(1, head.n_shape)).astype(np.float32) * 0.3,
        tex=np.zeros((1, 50), np.float32),
        exp=rng.uniform(0, 0.5, (1, head.n_exp)).astype(np.float32),
        pose=np.array([[0.05, -0.2, 0.02, 0.12, 0.01, 0]], np.float32),
        cam=np.array([[8.0, 0.01, -0.02]], np.float32),
        light=np.zeros((1, 9, 3), np.float32),
        neck_pose=np.array([[0.02, 0.03, 0]], np.float32),
        eye_pose=np.zeros((1, 6), np.float32),
    )
    posed = Flame(head)(codes.shape, codes.exp, codes.pose, codes.neck_pose, codes.eye_pose)
    textured = head.uv is not None
    return Capture(
        codes=codes,
        vertices=posed.vertices.numpy()[0],
        landmarks=rng.uniform(100, 200, (478, 2)),
        crop=crop_from_box((80.0, 80.0, 220.0, 220.0)),
        head=head,
        texture=rng.uniform(0.3, 0.8, (256, 256, 3)).astype(np.float32) if textured else None,
        pictures={name: np.full((PANEL, PANEL, 3), 0.5, np.float32) for name in ("photo", "over", "shape")},
        landmark_error=1.0,
        seconds=1.0,
    )
