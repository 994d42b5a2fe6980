"""What is left out of the files without a difference: directions that move nothing, a trunk that two encoders share."""

from dataclasses import replace

import helpers_convert as helpers
import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert import parity
from convert.blocks import BLOCKS, BlockFlame, blocks, moving
from convert.collection import collect
from convert.export import convert
from convert.heads import decimated, head_network
from convert.jobs import drawn_codes
from convert.networks import Network, copied
from convert.outputs import file_outputs
from convert.scales import shared
from convert.tied import NAME, joined, tied
from emoca_tf.capture.tflite import TFLiteModel
from emoca_tf.encoders.mobilenet_v3 import pose_head, seen_by, shape_head, thumbnail, tied_encoders
from emoca_tf.errors import UserError
from emoca_tf.flame.layer import Flame

TRUNK = {"trunk": "separable"}


@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 6), st.integers(0, 9))
def test_blocks_hold_every_vertex_once_and_every_code_that_moves_it(vertices, codes, count, seed):
    used = np.random.default_rng(seed).random((vertices, codes)) < 0.3
    found = blocks(used, count)
    assert len(found) <= count
    np.testing.assert_array_equal(np.sort(np.concatenate([part.vertices for part in found])), np.arange(vertices))
    for part in found:
        others = np.setdiff1d(np.arange(codes), part.codes)
        assert not used[np.ix_(part.vertices, others)].any()
        np.testing.assert_array_equal(part.codes, np.flatnonzero(used[part.vertices].any(0)))


def test_alike_vertices_come_together():
    used = np.zeros((60, 20), bool)
    used[:20, :10] = used[20:45, 10:] = used[45:, 5:15] = True
    parts = blocks(used[np.random.default_rng(0).permutation(60)], 3)
    assert sorted((len(part.vertices), len(part.codes)) for part in parts) == [(15, 10), (20, 10), (25, 10)]


def test_the_head_in_blocks_is_the_head():
    head = helpers.head()
    parts = blocks(moving(head))
    assert len(parts) == BLOCKS
    stored = sum(3 * len(part.vertices) * len(part.codes) for part in parts)
    assert stored < 0.75 * 3 * head.n_vertices * (head.n_shape + head.n_exp + 36)
    whole, lean = Flame(head), BlockFlame(head, parts)
    codes = drawn_codes(head_network(head), 4, 5, head.exp_range)
    wanted, found = (layer(codes["shape"], codes["exp"], codes["pose"]) for layer in (whole, lean))
    np.testing.assert_allclose(np.asarray(found.vertices)[:, lean.place], wanted.vertices, atol=5e-6)
    np.testing.assert_allclose(found.landmarks2d, wanted.landmarks2d, atol=5e-6)
    np.testing.assert_allclose(found.landmarks_mp, wanted.landmarks_mp, atol=5e-6)


def test_a_head_whose_codes_move_everything_stays_whole():
    head = helpers.head()
    rng = np.random.default_rng(1)
    dense = replace(
        head,
        shapedirs=rng.normal(0, 1e-3, head.shapedirs.shape).astype(np.float32),
        posedirs=rng.normal(0, 1e-3, head.posedirs.shape).astype(np.float32),
    )
    used = moving(dense)
    assert used[:, : head.n_shape + head.n_exp].all()
    assert used[:, head.n_shape + head.n_exp :].any(0).tolist() == [False] * 9 + [True] * 9 + [False] * 18  # the jaw
    parts = blocks(used)
    assert len(parts) == 1
    codes = drawn_codes(head_network(head), 2, 5, head.exp_range)
    lean = BlockFlame(dense, parts)
    wanted, found = (layer(codes["shape"], codes["exp"], codes["pose"]).vertices for layer in (Flame(dense), lean))
    np.testing.assert_allclose(np.asarray(found)[:, lean.place], wanted, atol=2e-6)


def test_the_lean_network_gives_what_the_whole_one_gives():
    network = head_network(helpers.head())
    codes = drawn_codes(network, 3, 6, helpers.head().exp_range)
    lean = parity.reference_outputs(replace(network, model=network.lean()), codes)
    for name, value in parity.reference_outputs(network, codes).items():
        np.testing.assert_allclose(lean[name], value, atol=5e-6, err_msg=name)


def test_equal_scales_are_stored_once_and_mean_the_same():
    small = decimated(helpers.head())
    network = head_network(small, "head_small", landmarks=False)
    codes = drawn_codes(network, 3, 6, helpers.head().exp_range)
    content = convert(replace(network, model=network.lean()), "int8-weights")
    few = shared(content)
    assert len(few) < len(content) - 4 * 3 * small.n_vertices
    np.testing.assert_array_equal(*(file_outputs(TFLiteModel(file), codes)["vertices"] for file in (content, few)))
    plain = convert(network, "int8-weights")  # every coordinate has a scale of its own
    assert len(shared(plain)) > len(plain) - 1000


@pytest.fixture(scope="module")
def encoders() -> dict[str, Network]:
    """Pose and shape encoder on one trunk, with weights that are not all zero."""
    keras.utils.set_random_seed(4)
    models = tied_encoders(keras, n_shape=7, **TRUNK).encoders
    for model in models.values():
        helpers.spread(model, helpers.face_images(4))
    return {name: Network(name, models[f"{name}_encoder"], "encoder") for name in ("pose", "shape")}


def _alone(name: str) -> Network:
    image, features = seen_by(keras, "large", **TRUNK)
    seen = thumbnail(keras, image, **TRUNK)
    outputs = pose_head(keras, features) if name == "pose" else shape_head(keras, features, 7, seen=seen)
    return Network(name, keras.Model(image, outputs, name=f"{name}_encoder"), "encoder")


def test_encoders_on_one_trunk_become_one_network(encoders):
    other = Network("readout", encoders["pose"].model, "readout")
    found = joined(encoders | {"readout": other}, 7, TRUNK)
    assert list(found) == [NAME, "readout"]
    images = {"image": helpers.face_images(2)}
    together = parity.reference_outputs(found[NAME], images)
    apart = parity.reference_outputs(encoders["pose"], images) | parity.reference_outputs(encoders["shape"], images)
    assert together.keys() == apart.keys() == {"global", "cam", "shape", "tex", "light"}
    for name, value in apart.items():
        np.testing.assert_array_equal(together[name], value, err_msg=name)
    assert copied(found[NAME]) is not None  # so that recipes may change its weights


def test_encoders_with_trunks_of_their_own_stay_apart(encoders):
    assert tied(encoders["pose"].model, encoders["shape"].model)
    apart = {"pose": encoders["pose"], "shape": _alone("shape")}
    assert joined(apart, 7, TRUNK) == apart
    assert joined({"pose": encoders["pose"]}, 7, TRUNK) == {"pose": encoders["pose"]}


def test_who_asks_for_a_part_is_told_the_whole():
    with pytest.raises(UserError, match="have one trunk; ask for pose_shape"):
        collect(helpers.tiny_source(), ["pose"])
