"""The fit that sees pixels, and the seam between capture and encoders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from emoca_tf import Codes, UserError
from emoca_tf.capture import api, encoded
from emoca_tf.capture.fit import FitOptions
from emoca_tf.capture.pixels import PixelTerm
from emoca_tf.capture.refine import albedo_of, fit_photo
from emoca_tf.emotion.reading import FROM_CODES, Emotion
from emoca_tf.flame.head import HeadModel
from emoca_tf.flame.layer import Flame
from emoca_tf.rendering.camera import project
from emoca_tf.rendering.renderer import Renderer


@pytest.fixture(scope="module")
def head() -> HeadModel:
    return HeadModel.load()


@pytest.fixture(scope="module")
def renderer(head: HeadModel) -> Renderer:
    return Renderer(head, 224)


def smiling(head: HeadModel, amount: float) -> Codes:
    exp = np.zeros((1, head.n_exp), np.float32)
    for name in ("mouthSmileLeft", "mouthSmileRight"):
        exp[0, head.expression_names.index(name)] = amount
    light = np.zeros((1, 9, 3), np.float32)
    light[0, 0], light[0, 2], light[0, 3] = 3.0, 0.4, 0.5
    return Codes(
        shape=np.zeros((1, 100), np.float32),
        tex=np.zeros((1, 50), np.float32),
        exp=exp,
        pose=np.zeros((1, 6), np.float32),
        cam=np.array([[8.5, 0, 0]], np.float32),
        light=light,
        neck_pose=np.zeros((1, 3), np.float32),
        eye_pose=np.zeros((1, 6), np.float32),
    )


def shot(head: HeadModel, renderer: Renderer, codes: Codes) -> tuple[np.ndarray, np.ndarray]:
    """Picture and landmarks ``[478, 3]`` of a head."""
    posed = Flame(head)(codes.shape, codes.exp, codes.pose)
    albedo = albedo_of(head)
    image = renderer(posed.vertices, codes.cam, albedo=albedo.mean[None], light=codes.light).image.numpy()[0]
    points = project(posed.landmarks_mp, codes.cam).numpy()[0]
    landmarks = np.zeros((478, 3))
    landmarks[head.mediapipe_indices] = (points + np.array([1, 1, 0])) * 112
    return image, landmarks


def test_pixels_mend_what_landmarks_got_wrong(head: HeadModel, renderer: Renderer) -> None:
    photo, _ = shot(head, renderer, smiling(head, 0.8))
    _, misleading = shot(head, renderer, smiling(head, 0.4))  # a detector that sees half of the smile
    start = smiling(head, 0.4)
    options = FitOptions(
        pixel_rounds=1,
        pixel_steps=60,
        pixel_rate=0.02,
        photometric=200.0,
        landmarks=1.0,
        lips=0.0,
        corners=0.0,
        emotion=0.0,
    )
    found, texture = fit_photo(head, misleading, photo, options, start=start)
    smile = [head.expression_names.index(name) for name in ("mouthSmileLeft", "mouthSmileRight")]
    assert found.exp[0, smile].min() > 0.45
    assert texture.shape == (256, 256, 3)
    assert texture.min() >= 0
    assert texture.max() <= 1


def test_the_pixel_term_is_zero_at_the_photo_and_has_a_gradient_beside_it(head: HeadModel, renderer: Renderer) -> None:
    codes = smiling(head, 0.5)
    photo, _ = shot(head, renderer, codes)
    term = PixelTerm(renderer, photo, 1.0)
    vertices = Flame(head)(codes.shape, codes.exp, codes.pose).vertices
    term.hold(albedo_of(head).mean, codes, vertices)
    assert float(term(vertices, tf.constant(codes.cam))) < 1e-6
    exp = tf.Variable(smiling(head, 0.3).exp)
    with tf.GradientTape() as tape:
        loss = term(Flame(head)(codes.shape, exp, codes.pose).vertices, tf.constant(codes.cam))
    gradient = tape.gradient(loss, exp).numpy()[0]
    assert np.isfinite(gradient).all()
    assert gradient[head.expression_names.index("mouthSmileLeft")] < 0  # more smile, less difference


def test_the_emotion_term_pulls_and_needs_its_network(head: HeadModel, renderer: Renderer) -> None:
    import keras

    from emoca_tf import emotion

    codes = smiling(head, 0.8)
    photo, _ = shot(head, renderer, codes)
    with_network = PixelTerm(renderer, photo, 0.0, 1.0, emotion.load("default", keras))
    without = PixelTerm(renderer, photo, 0.0, 1.0, None)
    neutral = Flame(head)(codes.shape, codes.exp * 0, codes.pose).vertices
    for term in (with_network, without):
        term.hold(albedo_of(head).mean, codes, neutral)
    assert float(with_network(neutral, tf.constant(codes.cam))) > 1e-3
    assert float(without(neutral, tf.constant(codes.cam))) == 0


def test_a_photo_of_another_size_is_refused(renderer: Renderer) -> None:
    with pytest.raises(ValueError, match="224 x 224"):
        PixelTerm(renderer, np.zeros((100, 224, 3), np.float32), 1.0)


class FakeEncoder:
    crop_scale = 1.4

    def __init__(self, codes: Codes) -> None:
        self.codes, self.seen = codes, []

    def encode(self, photo: np.ndarray) -> Codes:
        self.seen.append(photo)
        return self.codes

    def read(self, photo: np.ndarray, codes: Codes) -> Emotion | None:
        return Emotion({"happy": 0.75, "sad": 0.25}, 0.5, 0.25, FROM_CODES, derived=True)


def test_capture_takes_an_encoders_codes_as_they_are(head: HeadModel, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeEncoder(smiling(head, 0.6))
    monkeypatch.setattr(api, "open_encoder", lambda method, weights, head: fake)
    steps = []
    result = api.capture("sample:astronaut", head=head, progress=lambda *step: steps.append(step))
    assert result.method == "encoder"
    assert not steps
    assert fake.seen[0].shape == (224, 224, 3)
    np.testing.assert_array_equal(result.codes.exp, fake.codes.exp)
    assert str(result.emotion) == "happy 0.75"
    refined = api.capture(
        "sample:astronaut", head=head, method="fit", options=FitOptions(pixel_rounds=1, pixel_steps=2, emotion=0.0)
    )
    assert refined.method == "encoder, then fit"


def test_the_seam_says_what_is_missing(head: HeadModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emoca_tf.weights.presets.presets", dict)
    assert encoded.open_encoder("auto", (), head) is None
    assert encoded.open_encoder("fit", (), head) is None
    assert encoded.open_encoder("fit", ("none",), head) is None
    with pytest.raises(UserError, match="--weights"):
        encoded.open_encoder("encoder", (), head)
    with pytest.raises(UserError, match="auto, encoder or fit"):
        encoded.open_encoder("guess", (), head)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="nowhere"):
        encoded.open_encoder("auto", (str(tmp_path / "nowhere.npz"),), head)


def test_a_head_without_texture_coordinates_is_captured_in_one_colour(head: HeadModel, tmp_path: Path) -> None:
    from dataclasses import replace

    bare = replace(head, name="bare", uv=None, uv_faces=None)
    options = FitOptions(steps=60, pixel_rounds=1, pixel_steps=3, emotion=0.0)
    result = api.capture("sample:astronaut", head=bare, method="fit", options=options)
    assert result.texture is None
    assert np.isfinite(result.pictures["over"]).all()
    assert np.abs(result.pictures["over"] - result.pictures["photo"]).mean() > 0.01  # a head is drawn over the photo
    result.save(tmp_path / "out")
    assert not (tmp_path / "out" / "head.png").exists()
    assert (tmp_path / "out" / "head.glb").stat().st_size > 100_000
