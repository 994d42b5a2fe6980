"""Landmarks over a picture."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from helpers_flame import GOLDEN

from emoca_tf.rendering.landmarks import HIDDEN_COLOUR, VISIBLE_COLOUR, draw, visible
from emoca_tf.rendering.normals import vertex_normals


def test_visible_landmarks_are_those_of_the_original(data, head, expected):
    with np.load(GOLDEN / "flame_model.npz") as model:
        ids, bary = head.f[model["full_lmk_faces_idx"][0]], model["full_lmk_bary_coords"][0]
    found = visible(vertex_normals(tf.constant(data["verts"][None]), head.f), ids, bary.astype(np.float32))
    np.testing.assert_array_equal(found[0], expected["visible68"] > 0)
    assert 0 < np.mean(found) < 1


def test_dots_lie_on_their_pixels_and_strays_are_left_out():
    picture = np.full((20, 30, 3), 0.5)
    pixels = np.array([[4, 6], [25.0, 14.0], [np.nan, 3], [-90, 5], [1e12, 1]])
    found = draw(picture, pixels, [True, False, True, True, True])
    np.testing.assert_allclose(found[6, 4], VISIBLE_COLOUR, atol=1 / 250)
    np.testing.assert_allclose(found[14, 25], HIDDEN_COLOUR, atol=1 / 250)
    touched = np.abs(found - 127 / 255).max(-1) > 0.02
    rows, columns = np.nonzero(touched)
    distance = np.hypot(rows[:, None] - [6, 14], columns[:, None] - [4, 25]).min(1)
    assert distance.max() < 3
    assert (picture == 0.5).all()
