"""Emotion metrics: official numbers, hand-computed numbers, batches equal to one shot."""

from __future__ import annotations

import numpy as np
import pytest
from helpers_flame import GOLDEN
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from emoca_tf.metrics import Confusion, Correlation, ccc, pcc, rmse, sagr


def test_the_official_numbers_are_met() -> None:
    with np.load(GOLDEN / "metrics.npz") as golden:
        truth, prediction = golden["gt"], golden["pred"]
        for name, metric in (("RMSE", rmse), ("SAGR", sagr), ("PCC", pcc), ("CCC", ccc)):
            assert metric(truth, prediction) == pytest.approx(golden[name][0], abs=1e-9)
            streamed = Correlation()
            for start in range(0, len(truth), 50):
                streamed.update(truth[start : start + 50], prediction[start : start + 50])
            assert getattr(streamed, name.lower())() == pytest.approx(golden[name][0], abs=1e-9)
        confusion = Confusion(8).update(golden["label"], golden["pred_label"])
        assert confusion.accuracy() == pytest.approx(golden["ACC"][0], abs=1e-9)


def test_the_row_of_the_specification() -> None:
    truth, prediction = np.array([-0.5, 0, 0.25, 0.5, 1]), np.array([-0.4, 0.1, 0.2, -0.1, 0.8])
    assert rmse(truth, prediction) == pytest.approx(0.2906888, abs=1e-7)
    assert sagr(truth, prediction) == pytest.approx(0.6)
    assert pcc(truth, prediction) == pytest.approx(0.8564476, abs=1e-7)
    assert ccc(truth, prediction) == pytest.approx(0.8009423, abs=1e-7)


@settings(deadline=None, max_examples=50)
@given(arrays(np.float64, (40, 2), elements=st.floats(-1, 1)), st.integers(1, 39), st.sampled_from([0.0, 1e4]))
def test_batches_equal_one_shot(values: np.ndarray, cut: int, offset: float) -> None:
    values = values + offset + np.linspace(0, 1, 80).reshape(40, 2)
    whole = Correlation().update(values[:, 0], values[:, 1])
    parts = Correlation().update(values[:cut, 0], values[:cut, 1]).update(values[cut:, 0], values[cut:, 1])
    np.testing.assert_allclose([parts.pcc(), parts.ccc()], [whole.pcc(), whole.ccc()], atol=1e-6)
    one_shot = [rmse(values[:, 0], values[:, 1]), sagr(values[:, 0], values[:, 1])]
    np.testing.assert_allclose([parts.rmse(), parts.sagr()], one_shot, atol=1e-6)


def test_confusion_gives_recall_and_f1() -> None:
    confusion = Confusion(3).update(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]))
    assert confusion.matrix.tolist() == [[2, 1, 0], [0, 1, 0], [0, 0, 0]]
    np.testing.assert_allclose(confusion.recall(), [2 / 3, 1, np.nan])
    assert confusion.mean_recall() == pytest.approx(5 / 6)
    assert confusion.macro_f1() == pytest.approx((4 / 5 + 2 / 3) / 2)


def test_constant_values_have_no_correlation_and_bad_labels_are_refused() -> None:
    assert np.isnan(pcc(np.ones(4), np.arange(4.0)))
    assert ccc(np.ones(4), np.arange(4.0)) == 0
    with pytest.raises(ValueError, match=r"0\.\.2; received 0\.\.3"):
        Confusion(3).update(np.array([0]), np.array([3]))
    with pytest.raises(ValueError, match="received 2 and 3"):
        Correlation().update(np.zeros(2), np.zeros(3))
