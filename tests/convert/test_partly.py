"""Layers compute in 8 bits where that costs next to nothing, and only there."""

from __future__ import annotations

from types import SimpleNamespace

import helpers_convert as helpers
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert import parity, partly, selective
from convert.command import _attempts
from convert.export import convert
from convert.outputs import FAINTEST, errors, file_outputs, stacked
from convert.partly import Layer
from emoca_tf.capture.tflite import TFLiteModel
from emoca_tf.errors import UserError

ERRORS = st.floats(0, 1e-3)
SIZES = st.integers(partly.FEWEST, 10**7)


@given(st.lists(st.tuples(SIZES, ERRORS), max_size=12), st.floats(0, 1e-3))
def test_what_is_taken_stays_within_the_budget_and_nothing_more_fits(sizes, budget):
    layers = [Layer(str(number), size, error) for number, (size, error) in enumerate(sizes)]
    taken = set(partly.within(layers, budget))
    spent = sum(layer.error for layer in layers if layer.scope in taken)
    assert spent <= budget * (1 + 1e-9)
    assert all(spent + layer.error > budget * (1 - 1e-9) for layer in layers if layer.scope not in taken)


def test_the_cheapest_error_for_what_is_saved_comes_first():
    layers = [Layer("dear", 10**6, 3e-5), Layer("cheap", 10**6, 1e-5), Layer("large", 10**7, 3e-5)]
    assert partly.within(layers, 4e-5) == ("large", "cheap")


@pytest.fixture
def float_file(monkeypatch) -> bytes:
    monkeypatch.setattr(selective, "SMALL_KERNEL", 100)
    monkeypatch.setattr(partly, "SMALL_KERNEL", 100)
    return helpers.converted(helpers.tiny_network(), "float32")


@pytest.fixture(scope="module")
def rows() -> list[dict[str, np.ndarray]]:
    return [{"image": image[None]} for image in helpers.face_images()[:6]]


def computed(content: bytes) -> set[str]:
    """Names of the operations that multiply float activations with 8-bit weights themselves."""
    details = TFLiteModel(content, delegates=False).interpreter
    tensors = {d["index"]: d for d in details.get_tensor_details()}
    return {
        tensors[op["outputs"][0]]["name"]
        for op in details._get_ops_details()
        if op["op_name"] in selective.KERNELS and tensors[op["inputs"][1]]["dtype"] == np.int8
    }


def test_candidates_are_the_large_layers_and_never_depthwise(float_file):
    scopes = [scope for scope, _ in partly.candidates(float_file)]
    assert len(scopes) >= 2
    assert not any("dw" in scope for scope in scopes)
    assert all(count >= partly.FEWEST for _, count in partly.candidates(float_file))


def test_multiplications_are_counted(float_file):
    found = {p.scope: p for p in selective.products(float_file)}
    (first,) = (p for scope, p in found.items() if "pw0" in scope)
    assert (first.operation, first.kernel, first.multiplications) == ("CONV_2D", 12 * 5 * 5 * 3, 900 * 56 * 56)


def test_a_budget_of_nothing_is_int8_weights_and_a_large_one_takes_every_candidate(float_file, rows):
    none, all_of_them = (partly.partly_dynamic(float_file, rows, budget) for budget in (-1.0, 1e9))
    assert computed(none) == set()
    assert len(computed(all_of_them)) == len(partly.candidates(float_file))
    one = partly.candidates(float_file)[0][0]
    assert len(computed(selective.eight_bit_weights(float_file, computed=(one,)))) == 1


def outputs_of(content: bytes, rows) -> dict[str, np.ndarray]:
    return file_outputs(TFLiteModel(content), stacked(rows))


def test_the_errors_that_are_told_apart_are_those_of_the_file(float_file, rows):
    plain = selective.eight_bit_weights(float_file)
    reference = outputs_of(plain, rows)
    assert errors(reference, reference) == dict.fromkeys(reference, 0)
    found = [
        errors(reference, outputs_of(selective.eight_bit_weights(float_file, computed=(scope,)), rows), FAINTEST)
        for scope, _ in partly.candidates(float_file)
    ]
    worst = [max(error.values()) for error in found]
    assert min(worst) > 0
    between = min(worst) * 1.0001
    assert len(computed(partly.partly_dynamic(float_file, rows, between))) == 1


def test_an_output_that_hardly_varies_forbids_nothing(float_file, rows, monkeypatch):
    noise = np.random.default_rng(0)

    def with_faint_output(model: TFLiteModel, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        found = file_outputs(model, inputs)
        return found | {"faint": noise.normal(0, 1e-5, (len(rows), 2))}

    before = computed(partly.partly_dynamic(float_file, rows))
    assert before
    monkeypatch.setattr(partly, "file_outputs", with_faint_output)
    assert computed(partly.partly_dynamic(float_file, rows)) == before
    monkeypatch.setattr(partly, "FAINTEST", 1e-6)
    assert computed(partly.partly_dynamic(float_file, rows)) == set()


def test_the_recipe_is_close_to_float_and_needs_pictures(float_file, rows):
    network = helpers.tiny_network()
    out = file_outputs(TFLiteModel(helpers.converted(network, "part-dynamic")), {"image": helpers.face_images()})
    groups = parity.compare(parity.reference_outputs(network, {"image": helpers.face_images()}), out)
    assert groups["exp"]["max"] > 1e-4
    assert groups["exp"]["correlation"] > 0.995
    with pytest.raises(UserError, match="part-dynamic needs calibration pictures"):
        convert(network, "part-dynamic")


def test_a_file_that_the_apps_runtime_cannot_run_is_not_the_last_that_is_tried():
    made = {
        "part-dynamic": SimpleNamespace(passed=True, obstacles=["TFLite 2.16 does not know X"]),
        "int8-weights": SimpleNamespace(passed=True, obstacles=[]),
        "float16": SimpleNamespace(passed=True, obstacles=[]),
    }
    workshop = SimpleNamespace(make=lambda network, recipe, progress: made[recipe])
    bar = SimpleNamespace(set_postfix_str=lambda text: None)
    found = _attempts(workshop, SimpleNamespace(name="expression"), list(made), False, bar)
    assert found == [made["part-dynamic"], made["int8-weights"]]
