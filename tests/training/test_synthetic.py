from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from emoca_tf.flame.layer import Flame
from emoca_tf.rendering.albedo import Albedo
from emoca_tf.rendering.camera import project
from emoca_tf.rendering.renderer import Renderer
from emoca_tf.rendering.shading import spherical_harmonics
from training.datasets.augment import COARSE
from training.datasets.crops import CODES
from training.datasets.pipeline import batches
from training.datasets.source import EXPRESSIONS, Source
from training.datasets.synthetic import Synthetic, lamp


@pytest.fixture(scope="module")
def source():
    return Synthetic(64, seed=5, images_per_person=2)


def test_it_is_a_source_and_its_batches_carry_the_truth(source):
    assert isinstance(source, Source)
    batch = next(iter(batches(source, batch_size=2, seed=0)))
    assert {k: tuple(batch[k].shape[1:]) for k in CODES} == {
        "shape": (100,),
        "tex": (50,),
        "exp": (50,),
        "pose": (6,),
        "cam": (3,),
        "light": (9, 3),
        "neck_pose": (3,),
        "eye_pose": (6,),
    }
    assert bytes(batch["id"][0].numpy()).startswith(b"synthetic-5-")


def test_an_image_depends_on_seed_and_index_alone(source):
    again = Synthetic(1000, seed=5, images_per_person=2)
    a, b = source.example(11), again.example(11)
    for key in a:
        np.testing.assert_array_equal(a[key], b[key], err_msg=key)
    assert np.abs(Synthetic(64, seed=6).example(11)["image"].astype(int) - a["image"]).mean() > 5


def test_few_pictures_are_drawn_once_and_kept_unchanged(source):
    first = source.example(7)
    assert source.example(7)["image"] is first["image"]
    with pytest.raises(ValueError, match="read-only"):
        first["image"][:] = 0
    first["image"] = first["image"] // 2  # what a caller puts into its own row stays there
    np.testing.assert_array_equal(
        source.example(7)["image"], Synthetic(1000, 5, images_per_person=2).example(7)["image"]
    )


def test_images_of_a_person_share_identity_and_albedo_only(source):
    a, b, other = (source.example(i) for i in (4, 5, 6))
    for key in ("shape", "tex"):
        np.testing.assert_array_equal(a[key], b[key])
        assert np.abs(a[key] - other[key]).max() > 0.1
    assert np.abs(a["pose"] - b["pose"]).max() > 1e-3


def test_landmarks_are_where_the_truth_codes_put_them(source):
    example = source.example(3)
    flame = Flame(source.head)
    c = {k: tf.constant(example[k][None]) for k in CODES}
    head = flame(c["shape"], c["exp"], c["pose"], c["neck_pose"], c["eye_pose"])
    marks = project(head.landmarks_mp, c["cam"]).numpy()[0, :, :2]
    np.testing.assert_allclose(example["landmarks_mp"][:, :2], marks, atol=2e-5)
    marks = project(head.landmarks2d, c["cam"]).numpy()[0, :, :2]
    np.testing.assert_allclose(example["landmarks68"][:, :2], marks, atol=2e-5)


def test_the_face_fills_the_crop_and_most_landmarks_are_seen(source):
    seen, area = [], []
    for i in range(12):
        example = source.example(i)
        seen.append(example["landmarks_mp"][:, 2].mean())
        area.append((example["mask"] > 0).mean())
    assert 0.55 < np.mean(seen) < 1
    assert 0.2 < np.mean(area) < 0.6


def test_something_in_front_of_the_face_is_not_in_the_mask(source):
    plain = Synthetic(64, seed=5, images_per_person=2, clutter=False)
    smaller = 0
    for i in range(20):
        cluttered, bare = source.example(i)["mask"] > 0, plain.example(i)["mask"] > 0
        assert (cluttered & ~bare).sum() <= 0.03 * bare.sum()  # hair lifts its surface a little
        smaller += cluttered.sum() < 0.97 * bare.sum()
    assert smaller > 2


def test_labels_are_spread_over_the_classes_and_the_plane():
    labels = Synthetic(4000).labels
    assert np.bincount(labels.expression, minlength=8).min() > 400
    happy, sad = (labels.valence[labels.expression == EXPRESSIONS.index(n)].mean() for n in ("happy", "sad"))
    assert happy > 0.4 > -0.3 > sad


def test_no_face_is_black_or_burnt_out():
    bare = Synthetic(200, seed=9, clutter=False)
    for i in range(12):
        example = bare.example(i)
        assert 25 < example["image"][example["mask"] > 0].mean() < 225


def test_a_lamp_shines_like_lambert():
    rng = np.random.default_rng(0)
    normals = rng.normal(size=(1, 2000, 3)).astype(np.float32)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    d = np.array([0.36, 0.48, 0.8])
    light = np.repeat(lamp(d)[None, :, None], 3, 2).astype(np.float32)
    shade = spherical_harmonics(tf.constant(normals), tf.constant(light)).numpy()[0, :, 0]
    assert np.abs(shade - np.clip(normals[0] @ d, 0, None)).max() < 0.1


def test_without_clutter_the_picture_is_the_renderers_and_the_mask_its_face():
    source = Synthetic(64, seed=5, clutter=False)
    renderer = Renderer(source.head)
    for i in range(3):
        example = source.example(i)
        c = {k: tf.constant(example[k][None]) for k in CODES}
        head = source._stage.flame(c["shape"], c["exp"], c["pose"], c["neck_pose"], c["eye_pose"])
        albedo = tf.clip_by_value(Albedo(source.albedo)(c["tex"]), 0.02, 1)
        rendered = renderer(head.vertices, c["cam"], albedo, c["light"])
        expected = np.clip(rendered.image.numpy()[0], 0, 1) * 255
        face = rendered.mask.numpy()[0, ..., 0] > 0.5
        assert np.abs(example["image"] - expected)[face].mean() < 0.3  # rounding to whole grey levels
        assert ((example["mask"] > 0) != face).mean() < 0.01


def test_the_number_of_threads_does_not_change_a_bit():
    one, four = (
        next(iter(batches(Synthetic(64, seed=5), batch_size=6, seed=1, augment=COARSE, workers=w))) for w in (1, 4)
    )
    for key in one:
        np.testing.assert_array_equal(one[key].numpy(), four[key].numpy(), err_msg=key)
