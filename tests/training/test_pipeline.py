from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from helpers_data import FACE, Numbers

from emoca_tf.errors import UserError
from emoca_tf.faces.crop import crop_from_landmarks
from training.datasets import augment
from training.datasets.pipeline import InputMeter, InputReport, batches
from training.datasets.sampling import training_order


def take(dataset, count):
    return [{k: v.numpy() for k, v in batch.items()} for batch in islice(dataset, count)]


def indices(batch):
    return [int(name[1:]) for name in batch["id"].tolist()]


def assert_equal(a, b):
    assert a.keys() == b.keys()
    for key in a:
        np.testing.assert_array_equal(a[key], b[key], err_msg=key)


def test_a_batch_has_the_documented_keys_shapes_and_types():
    (batch,) = take(batches(Numbers(5), batch_size=4, seed=0), 1)
    shapes = {k: (v.shape, v.dtype.name) for k, v in batch.items()}
    assert shapes == {
        "image": ((4, 224, 224, 3), "float32"),
        "landmarks_mp": ((4, 478, 3), "float32"),
        "landmarks68": ((4, 68, 3), "float32"),
        "mask": ((4, 224, 224, 1), "float32"),
        "expression": ((4,), "int32"),
        "valence": ((4,), "float32"),
        "arousal": ((4,), "float32"),
        "id": ((4,), "object"),
    }
    spec = batches(Numbers(5), batch_size=4, seed=0).element_spec
    assert {k: tuple(v.shape) for k, v in spec.items()} == {k: shape for k, (shape, _) in shapes.items()}
    assert 0 <= batch["image"].min() <= batch["image"].max() <= 1
    assert set(np.unique(batch["mask"])) == {0.0, 1.0}


def test_resuming_at_a_step_gives_the_same_batches_augmentation_included():
    options = {"batch_size": 3, "seed": 4, "augment": augment.MIXED_SOURCES}
    whole = take(batches(Numbers(7), **options), 6)
    later = take(batches(Numbers(7), **options, start_step=4, workers=3), 2)
    for a, b in zip(whole[4:], later, strict=True):
        assert_equal(a, b)


def test_another_seed_gives_another_order_and_other_augmentation():
    first, second = (take(batches(Numbers(50), batch_size=8, seed=s), 1)[0] for s in (0, 1))
    assert indices(first) != indices(second)


def test_an_epoch_shows_every_image_once():
    shown = [i for batch in take(batches(Numbers(12), batch_size=4, seed=0), 6) for i in indices(batch)]
    assert sorted(shown[:12]) == list(range(12)) == sorted(shown[12:])
    assert shown[:12] != shown[12:]


def test_shards_together_are_the_larger_batch():
    options = {"seed": 3, "augment": augment.COARSE}
    whole = take(batches(Numbers(9), batch_size=4, **options), 3)
    halves = [take(batches(Numbers(9), batch_size=2, shard=(i, 2), **options), 3) for i in range(2)]
    for k in range(3):
        joined = {key: np.concatenate([halves[0][k][key], halves[1][k][key]]) for key in whole[k]}
        assert_equal(whole[k], joined)


def test_balanced_sampling_draws_classes_equally_often_and_never_the_unknown():
    classes = np.array([0] * 90 + [1] * 8 + [2] * 2 + [-1] * 20, np.int32)
    order = training_order(Numbers(120, classes), 0, balanced=True)
    drawn = classes[[order(p) for p in range(3000)]]
    assert np.all(np.abs(np.bincount(drawn, minlength=3) / 3000 - 1 / 3) < 0.04)
    assert drawn.min() == 0


def test_half_balanced_sampling_follows_the_square_root_of_the_class_sizes():
    classes = np.array([0] * 81 + [1] * 9, np.int32)
    order = training_order(Numbers(90, classes), 0, balanced=True, power=0.5)
    drawn = classes[[order(p) for p in range(4000)]]
    assert abs(np.mean(drawn == 1) - 3 / (9 + 3)) < 0.03


def test_balanced_sampling_without_labels_is_refused():
    with pytest.raises(UserError, match="balanced sampling needs expression labels"):
        batches(Numbers(4), batch_size=2, seed=0, balanced=True)


def test_a_ring_holds_different_images_of_one_person():
    source = Numbers(12)
    source.persons = np.array([5, 5, 5, 7, 7, 7, 7, 9, 9, 9, 3, 3])
    shown = [i for b in take(batches(source, batch_size=6, seed=0, ring=3), 8) for i in indices(b)]
    rings = np.array(shown).reshape(-1, 3)
    assert all(len(set(source.persons[ring])) == 1 for ring in rings)
    assert all(len(set(ring)) == 3 for ring in rings if source.persons[ring[0]] != 3)
    assert sorted(source.persons[rings[:4, 0]]) == [3, 5, 7, 9]


def test_a_ring_without_persons_is_refused():
    with pytest.raises(UserError, match="knows persons"):
        batches(Numbers(4), batch_size=2, seed=0, ring=2)


def test_evaluation_passes_once_in_order_and_ends_with_a_short_batch():
    shown = [indices(b) for b in take(batches(Numbers(7), batch_size=3, seed=0, training=False), 99)]
    assert shown == [[0, 1, 2], [3, 4, 5], [6]]


def test_evaluation_crops_exactly_as_capture_does():
    (batch,) = take(batches(Numbers(1), batch_size=1, seed=0, training=False), 1)
    expected = (crop_from_landmarks(FACE.astype(np.float32)).points_to_crop(FACE) - 112) / 112
    np.testing.assert_allclose(batch["landmarks_mp"][0, :, :2], expected, atol=1e-5)


def test_broken_images_are_replaced_in_training_and_left_out_in_evaluation(caplog):
    report = InputReport()
    source = Numbers(6, broken=(2, 3))
    shown = [i for b in take(batches(source, batch_size=3, seed=0, report=report), 4) for i in indices(b)]
    assert len(shown) == 12
    assert not {2, 3} & set(shown)
    assert set(report.bad) == {"n2", "n3"}
    assert "skipped n2: n2 is damaged" in caplog.text
    shown = [indices(b) for b in take(batches(source, batch_size=3, seed=0, training=False), 9)]
    assert shown == [[0, 1], [4, 5]]


def test_data_that_cannot_be_read_at_all_is_one_clear_line():
    with pytest.raises(UserError, match="no batch can be made: n2 is damaged"):
        batches(Numbers(3, broken=(0, 1, 2)), batch_size=1, seed=0)


def test_the_meter_counts_waiting_and_passes_on_what_went_wrong():
    source = Numbers(40)
    meter = InputMeter()
    seen = 0

    def read_on():
        nonlocal seen
        for _ in meter.watch(batches(source, batch_size=2, seed=0)):
            seen += 1
            source.broken = tuple(range(40))

    with pytest.raises(UserError, match="20 images in a row cannot be read"):
        read_on()
    assert seen == meter.steps >= 1
    assert 0 < meter.fraction <= 1
