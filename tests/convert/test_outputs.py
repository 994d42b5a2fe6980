"""How far a file's outputs are from a reference: shares of variance, whatever an output's scale and offset."""

from __future__ import annotations

import helpers_convert as helpers
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.export import convert
from convert.outputs import FAINTEST, errors, file_outputs, stacked
from emoca_tf.capture.tflite import TFLiteModel

RNG = np.random.default_rng(5)
TRUTH = RNG.normal(0, 1, (400, 3)).astype(np.float32)
NOISE = RNG.normal(0, 0.1, TRUTH.shape).astype(np.float32)


@given(st.floats(1e-2, 1e3), st.floats(-10, 10))
def test_errors_are_shares_of_the_variance(scale, offset):
    found = errors({"a": scale * TRUTH + offset}, {"a": scale * (TRUTH + NOISE) + offset})["a"]
    assert found == pytest.approx(0.01, rel=0.15)


def test_the_mean_alone_has_an_error_of_one():
    assert errors({"a": TRUTH}, {"a": np.broadcast_to(TRUTH.mean(0), TRUTH.shape)})["a"] == pytest.approx(1)


def test_what_hardly_varies_decides_nothing_where_that_is_asked():
    faint = {"a": TRUTH * 1e-3}
    off = {"a": (TRUTH + NOISE) * 1e-3}
    assert errors(faint, off)["a"] == pytest.approx(0.01, rel=0.15)
    assert errors(faint, off, FAINTEST)["a"] < 1e-4
    strong = {"a": TRUTH}, {"a": TRUTH + NOISE}
    assert errors(*strong, FAINTEST) == errors(*strong)


def test_outputs_come_row_by_row_whatever_the_files_batch():
    images = helpers.face_images()[:3]
    network = helpers.tiny_network()
    one, two = (TFLiteModel(convert(network, "float32", batch=batch)) for batch in (1, 2))
    together = file_outputs(two, {"image": images})
    assert {len(values) for values in together.values()} == {3}
    rows = stacked(file_outputs(one, {"image": image[None]}) for image in images)
    for name, values in together.items():
        np.testing.assert_allclose(values, rows[name], atol=1e-5)
