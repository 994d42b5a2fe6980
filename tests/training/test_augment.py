from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
import tensorflow as tf
from helpers_data import FACE
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from training.datasets import augment
from training.datasets.augment import Augmentation
from training.datasets.crops import finish, relit
from training.datasets.landmarks import FLIP_68, FLIP_478, MAP_68
from training.datasets.synthetic import Synthetic
from training.scene import Scene, truth_codes


@pytest.fixture(scope="module")
def picture():
    return np.ascontiguousarray(data.astronaut()[:224, 100:324])


def rng(seed=0):
    return np.random.default_rng(seed)


def roughness(image):
    return np.abs(np.diff(image.astype(float), axis=1)).mean()


def example(picture):
    marks = np.concatenate([FACE, np.ones((478, 1))], 1).astype(np.float32)
    return {"image": picture, "landmarks": marks}


def test_no_augmentation_is_the_plain_crop(picture):
    first, second = (finish(example(picture), augment.NONE, rng(seed)) for seed in (0, 1))
    np.testing.assert_array_equal(first["image"], second["image"])


def test_jpeg_loses_more_at_lower_quality(picture):
    errors = [np.abs(augment.jpeg(picture, q).astype(float) - picture).mean() for q in (90, 50, 10)]
    assert 0 < errors[0] < errors[1] < errors[2] < 12


def test_noise_has_the_wanted_deviation_and_is_equal_in_the_channels():
    flat = np.full((224, 224, 3), 128, np.uint8)
    noisy = augment.noise(flat, 8.0, rng()).astype(float) - 128
    assert abs(noisy.std() - 8) < 0.2
    np.testing.assert_array_equal(noisy[..., 0], noisy[..., 2])


def test_blur_smooths_and_sharpening_roughens(picture):
    assert roughness(augment.blur(picture, 1.5)) < roughness(picture) < roughness(augment.sharpen(picture, 0.5))
    np.testing.assert_array_equal(augment.sharpen(picture, 0.0), picture)
    np.testing.assert_array_equal(augment.blur(picture, 0.0), picture)


def test_grey_has_equal_channels_and_keeps_grey(picture):
    grey = augment.grey(picture)
    assert np.ptp(grey, axis=2).max() == 0
    np.testing.assert_array_equal(augment.grey(grey), grey)


def test_low_resolution_keeps_size_and_mean_but_no_detail(picture):
    small = augment.low_resolution(picture, 40)
    assert small.shape == picture.shape
    assert abs(small.mean() - picture.mean()) < 2
    assert roughness(small) < 0.7 * roughness(picture)


def test_colour_changes_brightness_within_bounds(picture):
    means = [augment.colour(picture, 0.2, rng(k)).mean() / picture.mean() for k in range(20)]
    assert 0.75 < min(means) < 0.97 < 1.03 < max(means) < 1.25


@pytest.mark.parametrize("seed", range(20))
def test_colour_keeps_grey_and_is_the_plain_formula_to_a_level(picture, seed):
    grey = augment.grey(picture)
    assert np.ptp(augment.colour(grey, 0.25, rng(seed)), axis=2).max() == 0
    brightness, contrast, saturation = 1 + rng(seed).uniform(-0.25, 0.25, 3)
    flat = picture @ np.array([0.299, 0.587, 0.114])
    value = flat[..., None] + (picture - flat[..., None]) * saturation
    value = (value - value.mean()) * contrast + value.mean() * brightness
    np.testing.assert_allclose(augment.colour(picture, 0.25, rng(seed)), value.clip(0, 255), atol=1.2)


def test_one_of_release_uses_all_five_and_nothing_else(picture):
    results = [augment.one_of_release(picture, augment.COARSE, rng(k)) for k in range(60)]
    untouched = sum(np.array_equal(result, picture) for result in results)
    assert 4 <= untouched <= 25
    sharper = sum(roughness(r) > 1.05 * roughness(picture) for r in results)
    softer = sum(roughness(r) < 0.95 * roughness(picture) for r in results)
    assert sharper
    assert softer


@given(seed=st.integers(0, 10_000), flip=st.sampled_from([0.0, 1.0]))
@settings(max_examples=20, deadline=None)
def test_landmarks_and_mask_follow_the_picture(seed, flip):
    """A picture that is bright exactly at its landmarks stays so, and the mask stays the landmarks' oval."""
    image = np.zeros((224, 224, 3), np.uint8)
    marks = np.concatenate([FACE, np.ones((478, 1))], 1).astype(np.float32)
    mask = np.zeros((224, 224), np.uint8)
    mask[70:131, 70:131] = 255
    for x, y in FACE[:40]:
        image[int(y) - 3 : int(y) + 5, int(x) - 3 : int(x) + 5] = 255
    options = Augmentation((1.2, 1.6), 0.1, (0.8, 1.2), 15.0, 0.1, flip)
    row = finish({"image": image, "landmarks": marks, "mask": mask}, options, rng(seed))
    order = FLIP_478 if flip else np.arange(478)
    at = np.round(row["landmarks_mp"][np.isin(order, np.arange(40)), :2] * 112 + 112).astype(int)
    inside = ((at >= 0) & (at < 224)).all(1)
    assert (row["image"][at[inside, 1], at[inside, 0]] > 0.5).all()
    shown = row["mask"][..., 0] > 0
    assert 0.9 < shown.sum() / (61**2 * (area_scale(marks, row, order) ** 2)) < 1.1 or touches_border(shown)


@pytest.mark.parametrize("flip", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_landmarks_stay_on_the_picture_to_a_tenth_of_a_pixel(seed, flip):
    """Wherever a spot is moved, its landmark is moved; a pixel's centre is half a pixel from its edge."""
    image = np.zeros((224, 224, 3), np.uint8)
    cv2.circle(image, (95, 130), 6, (255, 255, 255), -1)
    marks = np.concatenate([FACE, np.ones((478, 1))], 1).astype(np.float32)
    marks[:, :2] = 95.5, 130.5
    options = Augmentation(scale=(0.8, 1.2), rotation=15.0, translation=0.1, flip=flip)
    row = finish(
        {"image": image, "landmarks": marks, "mask": image[..., 0], "framed": np.array(True)}, options, rng(seed)
    )
    weight = row["image"][..., 0]
    rows, columns = np.indices(weight.shape)
    spot = [(weight * (at + 0.5)).sum() / weight.sum() for at in (columns, rows)]
    np.testing.assert_allclose(row["landmarks_mp"][0, :2] * 112 + 112, spot, atol=0.1)


def test_the_mask_of_a_mirrored_face_is_the_mirrored_mask():
    marks = np.concatenate([FACE, np.ones((478, 1))], 1).astype(np.float32)
    example = {"image": np.zeros((224, 224, 3), np.uint8), "landmarks": marks, "framed": np.array(True)}
    plain, mirrored = (finish(example, Augmentation(flip=flip), rng())["mask"][..., 0] for flip in (0.0, 1.0))
    columns = np.arange(224)
    centre, other = ((mask * columns).sum() / mask.sum() for mask in (plain, mirrored))
    assert centre + other == pytest.approx(223, abs=0.3)


def area_scale(marks, row, order):
    before = np.linalg.norm(marks[order[0], :2] - marks[order[3], :2])
    after = np.linalg.norm(row["landmarks_mp"][0, :2] - row["landmarks_mp"][3, :2]) * 112
    return after / before


def touches_border(mask):
    return mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any()


def turns(kind: augment.Augmentation, count: int) -> np.ndarray:
    """Degrees by which unmirrored crops are rotated."""
    maps = [augment.affine(dataclasses.replace(kind, flip=0.0), 224, rng(seed)) for seed in range(count)]
    return np.array([np.degrees(np.arctan2(m[1, 0], m[0, 0])) for m in maps])


def test_some_are_tilted_far_and_the_others_not():
    angles = np.abs(turns(augment.MOBILE_TILTED, 600))
    far = angles > augment.MOBILE_TILTED.rotation
    expected = augment.MOBILE_TILTED.tilt * (1 - augment.MOBILE_TILTED.rotation / augment.MOBILE_TILTED.tilt_rotation)
    assert abs(far.mean() - expected) < 0.06
    assert 0.9 * augment.MOBILE_TILTED.tilt_rotation < angles.max() <= augment.MOBILE_TILTED.tilt_rotation
    assert np.abs(turns(augment.MOBILE, 200)).max() <= augment.MOBILE.rotation


def test_the_affine_part_stays_within_its_limits():
    for seed in range(200):
        m = augment.affine(augment.COARSE, 224, rng(seed))
        zoom = np.sqrt(np.linalg.det(m[:2, :2]))
        angle = np.degrees(np.arctan2(m[1, 0], m[0, 0]))
        shift = (m @ [111.5, 111.5, 1])[:2] - 111.5
        assert 0.9 <= zoom <= 1.1
        assert abs(angle) <= 10
        assert np.abs(shift).max() <= 0.05 * 224


def test_mirroring_twice_is_nothing_and_the_68_points_agree_with_the_478():
    for table in (FLIP_478, FLIP_68):
        np.testing.assert_array_equal(table[table], np.arange(len(table)))
    mirrored = FLIP_478[MAP_68]
    same = mirrored == MAP_68[FLIP_68]
    assert same.all(), np.flatnonzero(~same)


def test_a_mirrored_photograph_has_the_mirrored_landmarks():
    from emoca_tf.faces.detect import detect_faces

    photo = data.astronaut()
    marks = detect_faces(photo)[0].landmarks
    mirrored = detect_faces(np.ascontiguousarray(photo[:, ::-1]))[0].landmarks[FLIP_478]
    mirrored[:, 0] = photo.shape[1] - mirrored[:, 0]  # counted from the edge
    error = np.linalg.norm(marks[:, :2] - mirrored[:, :2], axis=1) / np.ptp(marks[:, 0])
    assert error.mean() < 0.02
    assert error.max() < 0.05


def test_the_mirror_table_keeps_the_edges_of_the_mesh():
    from mediapipe.python.solutions.face_mesh_connections import FACEMESH_TESSELATION

    edges = {frozenset(edge) for edge in FACEMESH_TESSELATION}
    kept = sum(frozenset(int(FLIP_478[v]) for v in edge) in edges for edge in edges)
    assert kept / len(edges) > 0.98  # MediaPipe's own mesh has six triangles a side that are cut the other way


def test_the_robust_preset_changes_pictures_and_keeps_landmarks_on_the_face(picture):
    rows = [finish(example(picture), augment.PRESETS["robust"], rng(seed)) for seed in range(8)]
    assert len({row["image"].tobytes() for row in rows}) == 8
    for row in rows:
        assert 0 <= row["image"].min() <= row["image"].max() <= 1
        assert np.abs(row["landmarks_mp"][:, :2]).max() < 1.6


@pytest.mark.parametrize(("gain", "seen"), [((1, 1, 1), (1, 1, 1)), ((0.5, 0.5, 0.5),) * 2, ((1.2, 1, 0.7),) * 2])
def test_true_light_follows_the_skin(gain, seen):
    light = rng().normal(size=(9, 3)).astype(np.float32)
    before = rng(1).uniform(20, 200, 3)
    np.testing.assert_allclose(relit(light, before, before * gain), light * np.array(seen, np.float32), rtol=1e-5)


def test_true_light_stays_where_no_skin_tells():
    light = np.ones((9, 3), np.float32)
    black = np.zeros(3)
    np.testing.assert_array_equal(relit(light, black, black), light)
    np.testing.assert_array_equal(relit(light, black, black + 90), light)
    assert np.isnan(relit(light * np.nan, black + 90, black)).all()


def test_true_light_stays_under_a_mask_without_skin():
    one = Synthetic(1, seed=5, clutter=False).example(0)
    row = finish(one | {"mask": np.zeros_like(one["mask"])}, augment.Augmentation(colour=0.3), rng(2))
    np.testing.assert_array_equal(row["light"], one["light"])


def test_grey_faces_are_lit_grey():
    """A rendered face drawn again under the light that its grey picture is said to have, is as bright and grey."""
    one = Synthetic(1, seed=5, clutter=False).example(0)
    row = finish(one, augment.Augmentation(grey=1.0, colour=0.3), rng(2))
    scene = Scene("default")
    truth = truth_codes({name: tf.constant(value[None]) for name, value in row.items()})
    seen = row["mask"][..., 0] > 0
    drawn = scene.decode(truth).rendered.image.numpy()[0][seen].mean(0)
    np.testing.assert_allclose(drawn, row["image"][seen].mean(0), atol=0.02)
    assert np.ptp(drawn) < 0.02
    before = scene.decode(truth.replace(light=tf.constant(one["light"][None]))).rendered.image.numpy()[0][seen].mean(0)
    assert np.abs(before - row["image"][seen].mean(0)).max() > 0.05
