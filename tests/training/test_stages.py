"""Every stage: what learns has a gradient, what is frozen does not change, what is missing is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers_preset import seeded_mobile, write_weights

from emoca_tf import emotion
from emoca_tf.codes import Codes
from emoca_tf.errors import UserError
from emoca_tf.flame.head import HeadModel
from emoca_tf.weights.torch_layout import to_state
from training import inputs, stages
from training.checkpoint import Progress
from training.config import Config, Weights
from training.datasets.source import Labels
from training.loop import Trainer
from training.networks import Reconstruction, initialise, start_in_view
from training.pictures import sheet
from training.scene import Scene
from training.stages.common import emotion_eye
from training.stages.distances import Deformation
from training.stages.emotion_terms import Classes, emotion_terms
from training.stages.face_terms import EXPRESSION_TERMS, HEAD_TERMS, asks_for_heads

MOBILE = Config(
    family="mobilenet_v3", emotion_network="none", batch_size=2, data_size=4, augment="none", balanced=False
)  # fmt: skip
QUIET = Weights(emotion=0.0)
READ = replace(QUIET, photometric=0.0, landmarks_mp=1.0, labels=1.0, taught=1.0, deformation=1.0, codes=1.0)


@pytest.fixture(scope="module")
def batch() -> dict[str, tf.Tensor]:
    sources = inputs.open_sources(replace(MOBILE, ring=2))
    rows = next(iter(inputs.batches(sources, replace(MOBILE, ring=2), (0, 1), 0, True)))
    taught = {"teacher_exp": tf.zeros((2, 50)), "teacher_jaw": tf.zeros((2, 1))}
    return {name: value for name, value in rows.items() if name != "id"} | taught


@pytest.fixture(scope="module")
def half_known(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """The batch as a mixture gives it: the second row has no codes, no landmarks and no label."""
    known = np.array([True, False])

    def hide(name: str, value: tf.Tensor) -> tf.Tensor:
        rows = known.reshape(-1, *[1] * (value.shape.rank - 1))
        if name.startswith("landmarks"):
            return tf.where(rows, value, 0.0)
        if name == "expression":
            return tf.where(rows, value, -1)
        return value if name in ("image", "mask") else tf.where(rows, value, np.nan)

    return {name: hide(name, value) for name, value in batch.items()}


@pytest.mark.parametrize("name", ["mixed", "mixed_coarse"])
def test_rows_count_only_for_what_they_know(name: str, half_known: dict[str, tf.Tensor]) -> None:
    stage = stages.build(CASES[name])
    images = tf.Variable(half_known["image"])
    quiet = replace(CASES[name].weights, photometric=0.0, hint=0.0, posterior=0.0)
    stage.face.config = replace(CASES[name], weights=quiet)
    with tf.GradientTape() as tape:
        terms = stage.terms(half_known | {"image": images}, tf.constant(0, tf.int64), learning=False)
        loss = tf.add_n([term.weight * term.value for term in terms.values()])
    assert all(tf.math.is_finite(term.value) for term in terms.values())
    reach = np.abs(tape.gradient(loss, images).numpy()).sum((1, 2, 3))
    assert np.isfinite(reach).all()
    assert reach[0] > 0
    assert reach[1] < 1e-9 * reach[0]


def test_deformation_is_the_distance_of_the_vertices() -> None:
    model, rng = HeadModel.load(), np.random.default_rng(0)
    a, b = rng.uniform(0, 1, (2, 3, model.n_exp)).astype(np.float32)
    b[2] = np.nan
    basis = model.shapedirs[:, :, model.n_shape :]
    moved = np.einsum("vik,bk->bvi", basis, (a - b)[:2]) * 1000
    expected = np.sqrt((moved**2).sum(2).mean(1)).mean()
    np.testing.assert_allclose(Deformation(model)(tf.constant(a), tf.constant(b)), expected, rtol=1e-3)


def test_tied_encoders_share_their_trunk() -> None:
    model = HeadModel.load()
    tied = Reconstruction("mobilenet_v3", model, shrink=2, tied=True)
    picture = tf.random.stateless_uniform((1, 224, 224, 3), (0, 1))
    free = Reconstruction("mobilenet_v3", model, shrink=2)
    for name, network in tied.models.items():
        free.models[name].set_weights(network.get_weights())
    for (key, mine), theirs in zip(
        tied.encode(picture).to_dict().items(), free.encode(picture).to_dict().values(), strict=True
    ):
        np.testing.assert_allclose(mine, theirs, atol=1e-5, err_msg=key)
    with pytest.raises(UserError, match="tied"):
        replace(MOBILE, family="resnet50", tied=True)
    with pytest.raises(UserError, match="shrink is 1 or 2"):
        replace(MOBILE, shrink=3)


CASES = {
    "coarse": replace(MOBILE, stage="coarse", coarse_codes="truth", weights=replace(QUIET, landmarks=1.0)),
    "coarse_pretrain": replace(
        MOBILE, stage="coarse_pretrain", ring=2, exchange=True,
        weights=replace(QUIET, landmarks=1.0, landmarks_mp=1.0, shape_reg=1e-4, tex_reg=1e-4, light_reg=1.0, codes=1.0),
    ),
    "mixed": replace(
        MOBILE, stage="coarse_pretrain", tied=True, shrink=2, emotion_network="default",
        weights=replace(READ, hint=1.0, points=1.0, posterior=1.0),
    ),
    "mixed, separable": replace(
        MOBILE, family="separable", stage="coarse_pretrain", tied=True, shrink=2, emotion_network="default",
        weights=replace(READ, hint=1.0, points=1.0, photometric=1.0, landmarks_ocular=1.0),
    ),
    "mixed_coarse": replace(MOBILE, stage="coarse", shrink=2, weights=replace(READ, photometric=1.0)),
    "detail": replace(
        MOBILE, stage="detail", ring=2, exchange=True, coarse_codes="truth", weights=replace(QUIET, detail_mrf=0.0)
    ),
    "readout": replace(MOBILE, stage="readout", coarse_codes="truth"),
    "emotion": replace(MOBILE, stage="emotion"),
    "emotion, the embedded network": replace(
        MOBILE, stage="emotion", emotion_family="default", label_smoothing=0.1, weights=Weights(valence_arousal=0.0)
    ),
    "distill": replace(MOBILE, stage="distill", teacher="truth", weights=replace(QUIET, teacher_emotion=0.0)),
    "distill, separable": replace(
        MOBILE, family="separable", shrink=2, stage="distill", teacher="truth", emotion_network="default",
        weights=replace(QUIET, teacher_emotion=0.1),
    ),
}  # fmt: skip


def ran(stage: Any, batch: dict[str, tf.Tensor], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The encoders that a step runs, sorted."""
    names: list[str] = []
    usual = stage.encoders._outputs

    def noted(model: Any, images: tf.Tensor, learning: bool) -> Any:
        names.append(model.name)
        return usual(model, images, learning)

    with monkeypatch.context() as patch:
        patch.setattr(stage.encoders, "_outputs", noted)
        stage.terms(batch, tf.constant(0, tf.int64), False)
    return sorted(names)


NO_TERMS = Weights(**dict.fromkeys(Weights.__dataclass_fields__, 0.0))
EXPRESSION_ONLY = replace(NO_TERMS, **dict.fromkeys(set(EXPRESSION_TERMS) - {"hint", "posterior"}, 1.0))


def test_every_weight_of_a_face_is_known_to_need_a_head_or_not() -> None:
    """A new one that is in neither list would be learnt with the camera and the shape of nobody."""
    fields = list(Weights.__dataclass_fields__)
    assert {*EXPRESSION_TERMS, *HEAD_TERMS} == set(fields[: fields.index("detail_l1")])
    assert not set(EXPRESSION_TERMS) & set(HEAD_TERMS)


def test_frozen_encoders_run_only_where_a_term_asks_for_them(
    batch: dict[str, tf.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = stages.build(replace(MOBILE, stage="coarse", weights=EXPRESSION_ONLY))
    assert ran(stage, batch, monkeypatch) == ["expression_encoder"]
    few = stage.terms(batch, tf.constant(0, tf.int64), False)
    assert len(stage.pictures(batch)[0][1]) == 2  # heads are shown all the same
    for name in HEAD_TERMS:
        assert asks_for_heads(replace(stage.config, weights=replace(EXPRESSION_ONLY, **{name: 1.0}))), name
    stage.config = replace(stage.config, weights=replace(EXPRESSION_ONLY, landmarks=1.0))
    assert ran(stage, batch, monkeypatch) == ["expression_encoder", "pose_encoder", "shape_encoder"]
    whole = stage.terms(batch, tf.constant(0, tf.int64), False)
    assert few.keys() == whole.keys()
    for name, term in few.items():
        np.testing.assert_allclose(term.value, whole[name].value, rtol=1e-6, err_msg=name)


def test_readers_in_half_precision_give_terms_in_float32(batch: dict[str, tf.Tensor]) -> None:
    try:
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
        stage = stages.build(CASES["mixed"])
        terms = stage.terms(batch, tf.constant(0, tf.int64), learning=True)
        assert {"labels", "points", "hint", "posterior"} <= terms.keys()
        assert all(term.value.dtype == tf.float32 and tf.math.is_finite(term.value) for term in terms.values())
    finally:
        keras.mixed_precision.set_global_policy("float32")


@pytest.mark.parametrize("name", CASES)
def test_what_learns_has_a_gradient_and_the_terms_are_finite(name: str, batch: dict[str, tf.Tensor]) -> None:
    stage = stages.build(CASES[name])
    variables = stage.learnt()

    @tf.function
    def step() -> tuple[list[tf.Tensor | None], dict[str, tf.Tensor]]:
        with tf.GradientTape() as tape:
            terms = stage.terms(batch, tf.constant(0, tf.int64), learning=True)
            loss = tf.add_n([term.weight * term.value for term in terms.values()])
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        return gradients, {name: term.value for name, term in terms.items()}

    gradients, values = step()
    assert all(tf.math.is_finite(value) for value in values.values())
    touched = [v.path for v, g in zip(variables, gradients, strict=True) if g is not None]
    assert len(touched) > 0.8 * len(variables)
    learnt = {id(variable) for variable in variables}
    frozen = [v for k, m in stage.networks.items() if k not in stage.learning for v in m.trainable_variables]
    assert not any(id(variable) in learnt for variable in frozen)


def test_pose_and_shape_learn_beside_a_given_expression(tmp_path: Path, batch: dict[str, tf.Tensor]) -> None:
    head = HeadModel.load()
    given = seeded_mobile(head, shrink=1, trunk="separable")
    path = write_weights(given, tmp_path / "given.npz")
    given.keep_in_range(head.exp_limits)
    config = replace(CASES["mixed, separable"], shrink=1, expression=str(path), weights=replace(READ, labels=0.0))
    stage = stages.build(config)
    assert stage.learning[:2] == ("pose_encoder", "shape_encoder")
    assert "expression_encoder" not in stage.networks
    codes, wanted = stage.codes(batch, learning=True).codes, given.encode(batch["image"])
    np.testing.assert_allclose(codes.exp, wanted.exp, atol=1e-5)
    np.testing.assert_allclose(codes.pose[:, 3:], wanted.pose[:, 3:], atol=1e-5)
    with tf.GradientTape() as tape:
        loss = tf.add_n([t.weight * t.value for t in stage.terms(batch, tf.constant(0, tf.int64), True).values()])
    gradients = tape.gradient(loss, [variable.value for variable in stage.learnt()])
    assert sum(g is not None for g in gradients) > 0.8 * len(gradients)
    with pytest.raises(UserError, match="no weights there"):
        stages.build(replace(config, expression=str(tmp_path / "absent")))
    with pytest.raises(UserError, match="of a mobile family"):
        replace(config, family="resnet50", tied=False, shrink=1)
    with pytest.raises(UserError, match="stage coarse_pretrain"):
        replace(config, stage="coarse", tied=False)


@pytest.mark.parametrize("name", ["coarse", "detail", "readout"])
def test_pictures_show_every_face(name: str, batch: dict[str, tf.Tensor]) -> None:
    columns = stages.build(CASES[name]).pictures(batch)
    assert columns[0][0] == "input"
    assert all(pictures.shape == (2, 224, 224, 3) for _, pictures in columns)


def test_small_pictures_fill_their_cells_of_a_sheet() -> None:
    made = sheet([("large", np.zeros((1, 224, 224, 3))), ("small", np.ones((1, 112, 112, 3)))])
    assert made.shape == (22 + 224, 2 * 224, 3)
    assert (made[-1, 224:] == 255).all()  # the sheet itself is 250


def test_true_expressions_have_no_loss_where_the_encoder_would_be_perfect(batch: dict[str, tf.Tensor]) -> None:
    """The geometry terms vanish at the truth and grow away from it: the losses point to the right place."""
    from training.scene import truth_codes
    from training.stages.face_terms import FaceTerms

    config = replace(CASES["coarse"], weights=replace(QUIET, landmarks=1.0, landmarks_mp=1.0, exp_reg=0.0))
    face = FaceTerms(config, Scene())
    truth = truth_codes(batch)
    for name, term in face.terms(batch, truth).items():
        away = face.terms(batch, truth.replace(exp=truth.exp + 0.3))[name]
        assert term.value < away.value, name
        if name != "photometric":  # the picture has hair and lenses that the rendering has not
            assert term.value < 1e-4, name


def test_true_codes_count_only_for_what_a_stage_learns(batch: dict[str, tf.Tensor]) -> None:
    from training.scene import truth_codes
    from training.stages.face_terms import FaceTerms

    truth = truth_codes(batch)
    weights = replace(READ, labels=0.0, posterior=0.0, hint=0.0)
    everything = {"shape", "tex", "exp", "pose"}
    for config, learnt in (
        (replace(CASES["coarse"], weights=weights), {"exp", "pose"}),
        (replace(CASES["coarse"], weights=weights, family="resnet50", layout="exp"), {"exp"}),
        (replace(CASES["coarse"], weights=weights, family="resnet50", layout="exp+jaw"), {"exp", "pose"}),
        (replace(CASES["mixed"], weights=weights), everything | {"light"}),
        (replace(CASES["mixed"], weights=replace(weights, light_reg=1.0)), everything),
    ):
        face = FaceTerms(config, Scene())
        for group in sorted(everything | {"light"}):
            moved = truth.replace(**{group: getattr(truth, group) + 0.3})
            found = float(face.terms(batch, moved)["codes"].value)
            assert (found > 1e-4) == (group in learnt), (config.stage, config.layout, group)


def test_an_untrained_encoder_sees_the_mean_head_in_view() -> None:
    head = HeadModel.load()
    encoders = Reconstruction("mobilenet_v3", head)
    start_in_view(encoders, head)
    codes: Codes = encoders.encode(tf.zeros([1, 224, 224, 3]))
    points = Scene().decode(codes).landmarks_mp
    assert points is not None
    assert float(tf.reduce_max(tf.abs(points))) < 1.0
    assert float(tf.reduce_max(points[..., 1]) - tf.reduce_min(points[..., 1])) > 0.8


def test_weights_travel_between_runs_by_network_name(tmp_path: Path) -> None:
    from training.checkpoint import Progress, State

    first, second = (stages.build(CASES["readout"]).networks for _ in range(2))
    State({f"network/{k}": m.variables for k, m in first.items()}).save(tmp_path / "checkpoints/best.npz", Progress(1))
    assert initialise(second, [str(tmp_path)])[0].startswith("readout: ")
    for a, b in zip(first["readout"].variables, second["readout"].variables, strict=True):
        tf.debugging.assert_equal(a, b)


def test_imported_weights_are_found_by_prefix_or_alone_and_wrong_sizes_are_told(tmp_path: Path) -> None:
    networks = stages.build(CASES["readout"]).networks
    state = to_state(networks["readout"])
    state = {name: array + 0.25 for name, array in state.items()}
    np.savez(tmp_path / "alone.npz", meta=np.zeros(1), **state)
    np.savez(tmp_path / "several.npz", **{f"readout.{name}": array for name, array in state.items()})
    for file in ("alone.npz", "several.npz"):
        fresh = stages.build(CASES["readout"]).networks
        initialise(fresh, [str(tmp_path / file)])
        assert all(np.array_equal(a, state[k]) for k, a in to_state(fresh["readout"]).items())
    wrong = state | {"model.0.weight": np.zeros((2048, 99), np.float32)}
    np.savez(tmp_path / "wrong.npz", **wrong)
    with pytest.raises(UserError, match=r"model.0.weight has shape \(2048, 99\).* but \(2048, 153\)"):
        initialise(networks, [str(tmp_path / "wrong.npz")])
    np.savez(tmp_path / "other.npz", **{"E_flame.layers.0.bias": np.zeros(3)})
    with pytest.raises(UserError, match="readout"):
        initialise(networks, [str(tmp_path / "other.npz")])


def test_what_is_missing_is_told_in_one_line(tmp_path: Path, batch: dict[str, tf.Tensor]) -> None:
    for config, message in (
        (replace(MOBILE, stage="coarse"), "weights.emotion=0"),
        (replace(MOBILE, stage="readout"), "init=RUN_DIRECTORY"),
        (replace(MOBILE, stage="distill"), "teacher=RUN_DIRECTORY"),
        (replace(CASES["distill"], family="resnet50"), "phone-sized student"),
        (replace(CASES["detail"], weights=QUIET), "VGG19"),
        (replace(CASES["coarse"], weights=replace(QUIET, identity=0.2)), "VGGFace2"),
        (replace(CASES["coarse"], init=(str(tmp_path),)), "no weights there"),
    ):
        with pytest.raises(UserError, match=message):
            stages.build(config)
    real = {name: value for name, value in batch.items() if name != "exp"}
    with pytest.raises(UserError, match="data=synthetic"):
        stages.build(CASES["coarse"]).terms(real, tf.constant(0, tf.int64), True)


def test_class_weights_make_a_rare_class_count_more(batch: dict[str, tf.Tensor]) -> None:
    labels = Labels.of_classes(np.array([0] * 9 + [1]))
    seen = {
        "expression": tf.constant([[2.0] + [0.0] * 7] * 2),
        "valence": tf.zeros([2, 1]),
        "arousal": tf.zeros([2, 1]),
    }
    rare = batch | {"expression": tf.constant([0, 1])}
    values = {}
    for weighted in (False, True):
        config = replace(CASES["readout"], class_weights=weighted)
        classes = Classes.of(config, labels)
        terms = emotion_terms(config, rare, seen, tf.constant(0, tf.int64), False, classes)
        values[weighted] = float(terms["expression"].value)
    assert values[True] > 1.3 * values[False]  # the one of class 1 is the wrong one
    with pytest.raises(UserError, match="has none"):
        Classes.of(replace(CASES["readout"], class_weights=True), Labels.unknown(3))


def test_resnet_encoders_fit_any_head_and_start_as_the_original_does() -> None:
    head = HeadModel.load().truncated(30, 20)
    encoders = Reconstruction("resnet50", head, "exp+jaw", detail=True)
    assert encoders.models["E_flame"].output_shape == (None, 30 + 50 + 20 + 6 + 3 + 27)
    assert encoders.models["E_expression"].output_shape == (None, 23)
    assert encoders.models["D_detail"].input_shape == (None, 3 + 20 + 128)

    def first(name: str) -> np.ndarray:
        return encoders.models[name].get_layer("encoder.layer1.0.conv1").get_weights()[0]

    encoders.clone_trunk(["E_flame: 3 arrays", "E_expression: 3 arrays"])
    assert not np.array_equal(first("E_flame"), first("E_expression"))
    encoders.clone_trunk(["E_flame: 3 arrays"])
    assert np.array_equal(first("E_flame"), first("E_expression"))
    images = tf.random.stateless_uniform([1, 224, 224, 3], [0, 1])
    codes, coarse = encoders.encode(images), encoders.coarse(images)
    assert (codes.exp.shape, codes.shape.shape) == ((1, 20), (1, 30))
    tf.debugging.assert_equal(codes.pose[:, :3], coarse.pose[:, :3])
    assert not np.allclose(codes.pose[:, 3:], coarse.pose[:, 3:])
    assert encoders.displacement(codes, encoders.detail_code(images)).shape == (1, 256, 256, 1)


def test_the_embedded_emotion_network_is_trained_on_and_comes_back(batch: dict[str, tf.Tensor], tmp_path: Path) -> None:
    config = replace(CASES["emotion, the embedded network"], learning_rate=1e-3)
    stage = stages.build(config)
    network = stage.networks["emotion"]
    before = network(batch["image"])["expression"].numpy()
    np.testing.assert_allclose(before, emotion.load("default")(batch["image"])["expression"], atol=1e-4)
    labels = Labels.of_classes(np.arange(7))
    stage.prepare(labels)
    trainer = Trainer(stage, config, tf.distribute.get_strategy())
    wanted = batch | {"expression": tf.constant([5] * len(before), tf.int32)}
    first, *_, last = (float(trainer.train_step(wanted, tf.constant(k, tf.int64))["expression"]) for k in range(6))
    assert last < first
    after = network(batch["image"])["expression"].numpy()
    np.testing.assert_allclose(after[:, 7], before[:, 7], atol=1e-3)  # contempt: no pictures, so never chosen
    state = to_state(network)
    np.savez(tmp_path / "emotion.npz", **state)
    np.testing.assert_allclose(emotion.load(tmp_path / "emotion.npz")(batch["image"])["expression"], after, atol=1e-4)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "config.json").write_text(config.to_json())
    trainer.state().save(tmp_path / "checkpoints" / "best.npz", Progress())
    eye = emotion_eye(replace(config, emotion_network=str(tmp_path)))
    np.testing.assert_allclose(eye.probabilities(batch["image"]), tf.nn.softmax(after), atol=1e-4)
