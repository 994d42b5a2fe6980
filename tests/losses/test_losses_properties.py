"""What the golden numbers cannot show: finite gradients, odd inputs, graphs, options."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from emoca_tf import losses
from emoca_tf.faces.mediapipe_points import EYE_CORNERS
from emoca_tf.losses.distances import EYES, MOUTH

INDICES = np.arange(478)
RANDOM = np.random.default_rng(0)
POINTS68 = tf.constant(RANDOM.uniform(-1, 1, (2, 68, 3)), tf.float32)
POINTS478 = tf.constant(RANDOM.uniform(-1, 1, (2, 478, 3)), tf.float32)
IMAGE = tf.constant(RANDOM.uniform(0, 1, (2, 16, 16, 3)), tf.float32)
FEATURES = tf.constant(RANDOM.normal(size=(2, 32)), tf.float32)

EQUAL_SIDES = {
    "weighted_landmarks": (losses.weighted_landmarks, POINTS68),
    "eye_closure": (losses.eye_closure, POINTS68),
    "mouth_closure": (losses.mouth_closure, POINTS68),
    "lip_corners": (losses.lip_corners, POINTS68),
    "mediapipe_landmarks": (lambda p, t: losses.mediapipe_landmarks(p, t, INDICES), POINTS478),
    "ocular_landmarks": (lambda p, t: losses.ocular_landmarks(p, t, INDICES), POINTS478),
    "eye_closure_mediapipe": (lambda p, t: losses.eye_closure_mediapipe(p, t, INDICES), POINTS478),
    "mouth_closure_mediapipe": (lambda p, t: losses.mouth_closure_mediapipe(p, t, INDICES), POINTS478),
    "lip_corners_mediapipe": (lambda p, t: losses.lip_corners_mediapipe(p, t, INDICES), POINTS478),
    "photometric": (lambda p, t: losses.photometric(p, t, tf.ones([2, 16, 16, 1])), IMAGE),
    **{
        f"emotion_{distance}": (lambda p, t, d=distance: losses.emotion_features(t, p, d), FEATURES)
        for distance in ("mse", "l1", "cosine", "mse_normalised")
    },
}


@pytest.mark.parametrize("name", EQUAL_SIDES)
def test_equal_sides_cost_nothing_and_have_a_finite_gradient_also_in_a_graph(name):
    loss, same = EQUAL_SIDES[name]

    @tf.function
    def step(predicted):
        with tf.GradientTape() as tape:
            tape.watch(predicted)
            value = loss(predicted, same)
        return value, tape.gradient(value, predicted)

    value, gradient = step(same)
    assert abs(float(value)) < 1e-6
    assert np.isfinite(tf.convert_to_tensor(gradient)).all()


def test_correlation_of_features_does_not_see_what_all_heads_have_in_common():
    photo = tf.constant(RANDOM.normal(size=(16, 32)) * RANDOM.uniform(0.5, 2, 32), tf.float32)
    head = 0.3 * photo + tf.constant(RANDOM.normal(size=32), tf.float32)
    distance = float(losses.emotion_features(photo, head, "correlation"))
    assert distance < 0.05
    assert float(losses.emotion_features(photo, head)) > 0.5
    others = tf.roll(head, 1, 0)  # every photo with another one's head
    r = [np.corrcoef(photo[:, f], others[:, f])[0, 1] for f in range(32)]
    assert float(losses.emotion_features(photo, others, "correlation")) == pytest.approx(1 - np.mean(r), abs=0.02)


def test_correlation_of_features_that_do_not_vary_is_finite_and_so_is_its_gradient():
    same = tf.ones([4, 8])
    for photo, head in ((same, same), (FEATURES, FEATURES[:1] + tf.zeros_like(FEATURES)), (FEATURES[:1], FEATURES[:1])):
        with tf.GradientTape() as tape:
            tape.watch(head)
            value = losses.emotion_features(photo, head, "correlation")
        assert float(value) == pytest.approx(1.0)
        assert np.isfinite(tf.convert_to_tensor(tape.gradient(value, head))).all()


def eyes_apart(by: float) -> np.ndarray:
    """One face, its outer eye corners ``by`` apart."""
    points = RANDOM.uniform(-1, 1, (1, 478, 3)).astype(np.float32)
    points[0, EYE_CORNERS, :2] = (0.3, 0), (0.3, by)
    return points


@pytest.mark.parametrize(("apart", "over"), [(0.8, 0.8), (0.4, 0.4), (0.01, 0.2), (0.0, 0.2)])
def test_ocular_landmarks_are_the_distance_over_that_of_the_eyes(apart, over):
    truth = eyes_apart(apart)
    some = np.arange(5, 60)
    moved = truth[:, some] + np.array([0.03, -0.04, 9], np.float32)
    assert float(losses.ocular_landmarks(moved, truth, some)) == pytest.approx(0.05 / over, rel=1e-3)


def test_closed_lids_and_lips_have_a_finite_gradient():
    closed = tf.zeros([1, 68, 2])
    with tf.GradientTape() as tape:
        tape.watch(closed)
        value = losses.eye_closure(closed, POINTS68[:1]) + losses.mouth_closure(closed, POINTS68[:1])
    assert float(value) > 0
    assert np.isfinite(tf.convert_to_tensor(tape.gradient(value, closed))).all()


@settings(max_examples=25, deadline=None)
@given(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
def test_distances_do_not_see_where_the_face_is(x, y):
    moved = POINTS68[..., :2] + tf.constant([x, y], tf.float32)
    for loss in (losses.eye_closure, losses.mouth_closure, losses.lip_corners):
        assert abs(float(loss(moved, POINTS68))) < 1e-5


def test_pairs_face_each_other_across_the_lids():
    # iBUG-68: upper lids 37 38 43 44 above lower lids 41 40 47 46, inner lips 61 62 63 above 67 66 65.
    assert list(zip(*EYES, strict=True)) == [(37, 41), (38, 40), (43, 47), (44, 46)]
    assert list(zip(*MOUTH, strict=True)) == [(61, 67), (62, 66), (63, 65)]


def test_an_embedding_without_the_lids_is_refused():
    with pytest.raises(ValueError, match="lacks the points"):
        losses.eye_closure_mediapipe(POINTS478[:, :10], POINTS478, np.arange(10))


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: losses.photometric(IMAGE, IMAGE, IMAGE[..., :1], "median"), "median"),
        (lambda: losses.emotion_features(FEATURES, FEATURES, "l3"), "l3"),
        (lambda: losses.code_regulariser(FEATURES, "max"), "max"),
        (lambda: losses.displacement_symmetry(IMAGE[..., :1], IMAGE[..., :1], "max"), "max"),
        (lambda: losses.eye_closure_mediapipe(POINTS478, POINTS478, INDICES, "shuffled"), "shuffled"),
    ],
)
def test_unknown_options_are_refused_by_name(call, named):
    with pytest.raises(ValueError, match=named):
        call()


def test_an_empty_mask_gives_zero_not_nan():
    value = losses.photometric(IMAGE, IMAGE * 0, tf.zeros([2, 16, 16, 1]), "inv_rel_mask_value")
    assert float(value) == 0


def test_no_gradient_flows_into_the_photo():
    with tf.GradientTape() as tape:
        tape.watch(FEATURES)
        value = losses.emotion_features(FEATURES, FEATURES * 2) + losses.emotion_readouts(FEATURES, FEATURES * 2)
    through_head_only = tape.gradient(value, FEATURES)
    with tf.GradientTape() as tape:
        tape.watch(FEATURES)
        fixed = tf.constant(FEATURES.numpy())
        value = losses.emotion_features(fixed, FEATURES * 2) + losses.emotion_readouts(fixed, FEATURES * 2)
    np.testing.assert_allclose(through_head_only, tape.gradient(value, FEATURES))


def test_exchange_permutes_inside_rings_and_doubles_the_batch():
    order = losses.ring_permutation(6, 3, tf.constant([1, 2])).numpy()
    assert sorted(order[:3]) == [0, 1, 2]
    assert sorted(order[3:]) == [3, 4, 5]
    shape, exp = tf.reshape(tf.range(6.0), [6, 1]), tf.reshape(tf.range(10.0, 16.0), [6, 1])
    doubled = losses.exchange({"shape": shape, "exp": exp}, "shape", order)
    np.testing.assert_array_equal(doubled["shape"][6:, 0], order)
    np.testing.assert_array_equal(doubled["exp"][6:], exp)
    with pytest.raises(ValueError, match="rings of 4"):
        losses.ring_permutation(6, 4, tf.constant([1, 2]))
    with pytest.raises(KeyError, match="detail"):
        losses.exchange({"shape": shape}, "detail", order)


def test_unlabelled_rows_do_not_count():
    truth = tf.constant([0.5, np.nan, -0.5, 0.1])
    predicted = tf.constant([0.4, 9.0, -0.1, 0.3])
    labels, logits = tf.constant([1, -1, 0, 2]), tf.constant(RANDOM.normal(size=(4, 3)), tf.float32)
    known = np.array([0, 2, 3])
    for loss in (losses.mean_squared_error, losses.pearson_loss, losses.concordance_loss):
        expected = loss(tf.gather(truth, known), tf.gather(predicted, known))
        np.testing.assert_allclose(loss(truth, predicted), expected, rtol=1e-6)
        with tf.GradientTape() as tape:
            tape.watch(predicted)
            value = loss(truth, predicted)
        gradient = tape.gradient(value, predicted).numpy()
        assert np.isfinite(gradient).all()
        assert gradient[1] == 0
    got = losses.expression_cross_entropy(labels, logits)
    expected = losses.expression_cross_entropy(tf.gather(labels, known), tf.gather(logits, known))
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    assert float(losses.expression_cross_entropy(tf.constant([-1]), logits[:1])) == 0


def test_smoothed_labels_spread_over_the_classes_that_take_part():
    logits = tf.constant([[2.0, 0.0, -1.0, -40.0]])
    label = tf.constant([0])
    probabilities = tf.nn.softmax(logits)[0].numpy()
    expected = -(0.8 * np.log(probabilities[0]) + 0.2 * np.log(probabilities[:3]).mean())
    present = tf.constant([1.0, 1.0, 1.0, 0.0])
    got = losses.expression_cross_entropy(label, logits, smoothing=0.2, classes=present)
    np.testing.assert_allclose(got, expected, rtol=1e-5)
    everything = losses.expression_cross_entropy(label, logits, smoothing=0.2)
    assert float(everything) > float(got) + 1  # the fourth is asked for a share, too
    plain = losses.expression_cross_entropy(label, logits, classes=present)
    np.testing.assert_allclose(plain, losses.expression_cross_entropy(label, logits))


def test_class_weights_are_inverse_frequencies():
    weights = losses.class_weights(np.array([0, 0, 0, 1, -1]), 3)
    np.testing.assert_allclose(weights, [0.5, 1.5, 0.0])
    with pytest.raises(ValueError, match="label"):
        losses.class_weights(np.array([-1]), 3)


def test_a_constant_side_has_no_correlation_and_no_nan():
    constant = tf.fill([4], 0.3)
    varied = tf.constant([0.1, 0.2, 0.5, 0.9])
    assert float(losses.pearson_loss(varied, constant)) == pytest.approx(1)
    assert float(losses.concordance_loss(varied, constant)) == pytest.approx(1)
