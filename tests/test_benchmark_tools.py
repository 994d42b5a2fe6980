"""What the benchmarks of the mobile encoders compute: shares of classes, distances relative to the eyes, angles."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from emoca_tf.codes import Codes
from emoca_tf.errors import UserError
from training.datasets.taught import BLENDSHAPES

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", BENCHMARKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_class_has_its_share_and_rare_ones_leave_theirs_to_others() -> None:
    classes = np.array([0] * 50 + [1] * 50 + [2] * 3)
    rows = loaded("contact_sheet").equal_shares(classes, 21, seed=0)
    assert np.bincount(classes[rows]).tolist() == [9, 9, 3]
    assert len(set(rows)) == 21
    np.testing.assert_array_equal(rows, loaded("contact_sheet").equal_shares(classes, 21, seed=0))
    assert len(loaded("contact_sheet").equal_shares(classes, 500, seed=0)) == len(classes)


def test_the_strongest_of_every_show_come_first_and_unknown_ones_are_named() -> None:
    sheet = loaded("contact_sheet")
    axes = {name: np.zeros(5) for name in ("eyeBlinkLeft", "eyeBlinkRight", "mouthSmileLeft", "mouthSmileRight")}
    axes["eyeBlinkLeft"] = np.array([0.9, 0.9, 0.1, np.nan, 0.5])
    axes["eyeBlinkRight"] = np.array([0.8, 0.1, 0.0, np.nan, 0.0])
    assert sheet.strongest(axes, ["wink", "closed"], 4) == [("wink", 1), ("wink", 4), ("closed", 0), ("closed", 1)]
    assert len(sheet.strongest(axes, ["wink"], 50)) == 4  # the face that was not found is never shown
    with pytest.raises(UserError, match="lopsided"):
        sheet.strongest(axes, ["yawn"], 4)
    with pytest.raises(UserError, match="too few for 2 shows"):
        sheet.strongest(axes, ["wink", "closed"], 1)
    with pytest.raises(UserError, match="none of these pictures"):
        sheet.strongest({name: np.full(3, np.nan) for name in axes}, ["wink"], 2)


def test_profiles_are_told_by_the_nose() -> None:
    geometry = loaded("geometry")
    given = np.zeros((2, 478, 3), np.float32)
    given[:, geometry.EYE_CORNERS, :2] = (-0.3, 0.1), (0.3, -0.1)
    given[0, geometry.NOSE_TIP, :2] = 0.05, 0.15  # across the line of the eyes: from the front
    given[1, geometry.NOSE_TIP, :2] = 0.4, -0.1
    front, side = geometry.sideways(given)
    assert front == pytest.approx(0, abs=0.01)
    assert side > geometry.PROFILE


def test_a_tilted_picture_and_its_landmarks_stay_together() -> None:
    tf = pytest.importorskip("tensorflow")
    picture = np.zeros((1, 224, 224, 3), np.float32)
    picture[0, 30:33, 110:113] = 1.0
    points = np.array([[[(111.5 - 112) / 112, (31.5 - 112) / 112, 1.0], [0.0, 0.0, 0.0]]], np.float32)
    batch = {"image": picture, "landmarks_mp": points, "landmarks68": points}
    batch = {name: tf.constant(value) for name, value in batch.items()}
    images, moved, moved68 = loaded("geometry").tilted(batch, 30)
    x, y = moved[0, 0, :2] * 112 + 112
    rows, columns = np.indices(images.shape[1:3])
    weight = images[0, ..., 0]
    assert (weight * (columns + 0.5)).sum() / weight.sum() == pytest.approx(x, abs=0.1)  # from the edge
    assert (weight * (rows + 0.5)).sum() / weight.sum() == pytest.approx(y, abs=0.1)
    assert x < 100  # counter-clockwise
    np.testing.assert_array_equal(moved, moved68)
    np.testing.assert_array_equal(moved[0, 1], 0)  # unknown points stay unknown


def test_distances_are_in_percent_of_the_eyes_and_hidden_points_do_not_count() -> None:
    given = np.zeros((2, 4, 3), np.float32)
    given[:, 0, :2], given[:, 1, :2] = [-0.5, 0.1], [0.5, 0.1]
    given[:, :3, 2] = 1  # the fourth point is not visible
    projected = given[..., :2] + np.array([0.02, 0], np.float32)
    projected[:, 3] += 5
    given[1, :2] = 0  # eye corners of the second face are not known
    found = loaded("geometry").percent(projected, None, given, (0, 1))
    assert found[0] == pytest.approx(2.0, abs=1e-3)
    assert np.isnan(found[1])


def test_the_heads_angle_counts_the_neck_and_constants_correlate_with_nothing() -> None:
    geometry = loaded("geometry")
    turn, none = np.array([[0, 0.3, 0]], np.float32), np.zeros((1, 3), np.float32)
    assert geometry.turned(turn, none, turn)[0] == pytest.approx(0, abs=0.05)
    assert geometry.turned(none, none, turn)[0] == pytest.approx(np.degrees(0.3), abs=0.05)
    assert geometry.pearson(np.ones(5), np.arange(5.0)) == 0
    assert geometry.pearson(np.arange(5.0), np.arange(5.0)) == pytest.approx(1)


def test_a_scaled_expression_keeps_the_jaw_but_for_nothing_at_all() -> None:
    pose = np.array([[0.1, 0.2, 0.3, 0.4, 0.05, -0.05]], np.float32)
    codes = Codes(np.ones((1, 4), np.float32), None, np.full((1, 3), 0.5, np.float32), pose, None, None)
    scaled = loaded("emotion_loss").scaled
    half, none = (scaled(codes, scale, (0.0, 1.0)) for scale in (0.5, 0.0))
    np.testing.assert_allclose(half.exp, 0.25)
    np.testing.assert_allclose(scaled(codes, 3.0, (0.0, 1.0)).exp, 1)
    np.testing.assert_allclose(scaled(codes, 3.0, None).exp, 1.5)
    np.testing.assert_allclose(half.pose, pose)
    np.testing.assert_allclose(none.exp, 0)
    np.testing.assert_allclose(none.pose, [[0.1, 0.2, 0.3, 0, 0, 0]], atol=1e-7)


def test_what_linear_estimates_reach_follows_from_noise_and_from_what_else_is_unknown() -> None:
    reachable = loaded("axis_bound").reachable
    axis, other = np.array([[1.0], [0.0]]), np.array([[1.0], [1.0]])
    variance = np.array([[4.0]])
    # one measurement of deviation 2 with an error of 2: half of the variance is known
    half, error = reachable(axis, None, variance, 2.0)
    assert half[0] == pytest.approx(0.5**0.5)
    np.testing.assert_allclose(error, [2**0.5, 0])
    assert reachable(axis, None, variance, 1e-3)[0][0] == pytest.approx(1, abs=1e-5)
    assert reachable(axis, None, variance, 1e6)[0][0] == pytest.approx(0, abs=1e-5)
    # the second measurement leaves half of the other unknown's variance: the first has 1 + 1/2 of noise
    assert reachable(axis, other, variance, 1.0)[0][0] == pytest.approx((4 / 5.5) ** 0.5)
    assert reachable(axis, other, variance, 1.0)[0][0] < reachable(axis, None, variance, 1.0)[0][0]
    both = reachable(np.eye(2), None, np.array([[4.0, 0.0], [0.0, 0.0]]), 2.0)[0]
    np.testing.assert_allclose(both, [0.5**0.5, 0])  # what never varies cannot correlate
    # the second is not measured, but goes with the first: its correlation is the product of both
    paired = reachable(np.array([[1.0, 0.0]]), None, np.array([[4.0, 1.2], [1.2, 1.0]]), 2.0)[0]
    np.testing.assert_allclose(paired, [0.5**0.5, 0.6 * 0.5**0.5])


def test_the_table_of_points_and_axes_is_told_and_falls_with_the_error() -> None:
    pytest.importorskip("tensorflow")
    result = CliRunner().invoke(loaded("axis_bound").command, ["--faces", "60"])
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0].startswith("478 points, ")
    rows = np.array([line.split() for line in lines[3:]], float)
    assert (np.diff(rows[:, 3:], axis=0) < 0).all()
    assert (rows[:, 4] > rows[:, 3]).all()  # fewer unknowns
    assert (rows[:, 2] < rows[:, 1]).all()  # a face's points know of each other
    np.testing.assert_allclose(rows[:, 1] / rows[:, 0], rows[-1, 1] / rows[-1, 0], rtol=0.05)
    assert 1.2 < rows[-1, 1] / rows[-1, 0] < 1.8  # 1.25 px per px, eyes 70 to 100 px apart


@pytest.mark.parametrize("benchmark", ["axis_bound", "geometry"])
def test_axes_that_nobody_could_see_are_refused(benchmark: str) -> None:
    pytest.importorskip("tensorflow")
    result = CliRunner().invoke(loaded(benchmark).command, ["--faces", "2", "--visible", "99"])
    assert isinstance(result.exception, UserError)
    assert "lower --visible" in str(result.exception)


def test_stored_renders_are_measured_as_drawn_ones_and_photographs_are_refused(tmp_path: Path) -> None:
    from training.datasets.rendered import render
    from training.datasets.synthetic import Synthetic

    command = loaded("geometry").command
    render(Synthetic(4, seed=3), 4, tmp_path / "faces.npz", workers=1)
    found = CliRunner().invoke(command, ["--faces", "3", "--renders", f"rendered:{tmp_path / 'faces.npz'}"])
    drawn = CliRunner().invoke(command, ["--faces", "3", "--seed", "3"])
    assert found.exit_code == drawn.exit_code == 0, found.output
    assert f"3 faces, rendered:{tmp_path / 'faces.npz'}" in found.output
    jaws = [re.search(r"jaw degrees +mean +([0-9.]+)", result.output) for result in (found, drawn)]
    assert abs(float(jaws[0][1]) - float(jaws[1][1])) < 0.3  # the stored pictures are compressed
    cv2.imwrite(str(tmp_path / "photo.jpg"), np.zeros((64, 64, 3), np.uint8))
    refused = CliRunner().invoke(command, ["--faces", "1", "--renders", f"folder:{tmp_path}"])
    assert isinstance(refused.exception, UserError)


def test_one_face_has_no_spread() -> None:
    result = CliRunner().invoke(loaded("axis_bound").command, ["--faces", "1"])
    assert result.exit_code == 2
    assert "--faces" in result.output


def test_points_move_as_the_head_does_when_they_move_little() -> None:
    pytest.importorskip("tensorflow")
    from training.scene import Scene

    bound, scene, scale = loaded("axis_bound"), Scene("default"), 1000.0
    n_shape, n_exp = scene.model.n_shape, len(scene.model.expression_names)
    spreads = np.linspace(0.5, 1.5, n_shape + 3)
    resting, wanted, others = bound.movements(scene, scale, spreads)
    assert wanted.shape == (2 * 478, n_exp + 1)
    assert others.shape == (2 * 478, n_shape + 6)
    rng = np.random.default_rng(0)
    shape, exp = 0.1 * rng.normal(size=(1, n_shape)), 0.1 * rng.random((1, n_exp))
    pose = np.array([[0.01, -0.02, 0.015, 0.02, 0, 0]])
    rest = [np.zeros_like(code, np.float32) for code in (shape, exp, pose)]
    posed, plain = (
        scene.flame(*(code.astype(np.float32) for code in codes)).landmarks_mp.numpy()[0, :, :2]
        for codes in ((shape, exp, pose), rest)
    )
    told = wanted @ [*exp[0], pose[0, 3]]
    told += others[:, :-3] @ ([*shape[0], *pose[0, :3]] / spreads)
    np.testing.assert_allclose(resting, scale * plain, atol=1e-4)
    moved = scale * (posed - plain).ravel()
    to_right, down, zoomed = others[:, -3:].T.reshape(3, -1, 2)
    np.testing.assert_allclose(to_right, np.tile([bound.CROP, 0], (478, 1)))
    np.testing.assert_allclose(down, np.tile([0, bound.CROP], (478, 1)))
    np.testing.assert_allclose(zoomed, bound.ZOOM * scale * (plain - plain.mean(0)), atol=1e-4)
    assert np.abs(told - moved).max() < 0.05 * np.abs(moved).max()


def test_skin_that_is_as_bright_and_coloured_as_the_photos_shows_in_the_row() -> None:
    skin, rng = loaded("skin"), np.random.default_rng(0)
    photo = rng.uniform(0.3, 0.9, (40, 3))
    row = skin.line("some", np.concatenate([photo, photo, np.zeros((40, 1))], 1)).split(" | ")
    assert row[4] == "0.000"
    assert row[6] == "1.000"
    assert row[7] == row[8]
    blind = skin.line("some", np.concatenate([photo, np.full((40, 3), photo.mean()), np.ones((40, 1))], 1)).split(" | ")
    assert blind[4] == blind[5] != "0.000"
    assert blind[8] == "0.000"


def test_skin_is_compared_where_photo_and_head_share_it() -> None:
    """The true codes of a render without surroundings give its own colours, whatever lies outside the mask."""
    from training.datasets.pipeline import batches
    from training.datasets.synthetic import Synthetic
    from training.scene import Scene, truth_codes

    batch = next(iter(batches(Synthetic(2, seed=3, clutter=False), batch_size=2, seed=0, training=False)))

    class Truth:
        def encode(self, images: object) -> Codes:
            return truth_codes(batch)

    outside = {**batch, "image": batch["image"] * batch["mask"] + (1 - batch["mask"])}
    found = np.stack(list(loaded("skin").rows(Truth(), Scene(size=112), iter([outside]))))
    assert found.shape == (2, 7)
    np.testing.assert_allclose(found[:, :3], found[:, 3:6], atol=0.02)
    assert (found[:, 6] < 0.04).all()


def test_blendshapes_are_compared_on_the_axes_that_count_and_have_their_name() -> None:
    geometry, rng = loaded("geometry"), np.random.default_rng(0)
    names = ["mouthSmileLeft", "eyeBlinkLeft", "mh_nose_compression", "jawForward"]
    true, theirs = rng.random((50, 4)), rng.random((50, 52))
    theirs[:, BLENDSHAPES.index("mouthSmileLeft")] = true[:, 0]
    theirs[:, BLENDSHAPES.index("eyeBlinkLeft")] = -true[:, 1]
    ours = np.array([0.5, 0.7, 0.9, 0.1])
    seen = np.array([True, True, True, False])
    line = geometry.beside_blendshapes(names, seen, ours, theirs, true)
    assert re.search(r"mean +0\.000 +highest +1\.000 +of the 2 visible axes.* 0\.600$", line), line


def test_the_blendshape_networks_must_be_the_known_ones(tmp_path: Path) -> None:
    peer = loaded("peers/mediapipe_blendshapes")
    with pytest.raises(UserError, match=r"face_landmarks_detector\.tflite is missing; unzip"):
        peer.Blendshapes(tmp_path)
    for name in peer.FILES:
        (tmp_path / name).write_bytes(b"another network")
    with pytest.raises(UserError, match="not the file of face_landmarker"):
        peer.Blendshapes(tmp_path)
    assert len(peer.READ) == 146
    assert peer.READ.max() == peer.N_MEDIAPIPE - 1


def test_the_second_look_at_a_turned_crop_is_upright_and_close() -> None:
    """A network that finds coloured spots stands in for MediaPipe's."""
    peer = loaded("peers/mediapipe_blendshapes")
    looking = peer.Blendshapes.__new__(peer.Blendshapes)
    looking.landmark_network = None
    image = np.zeros((224, 224, 3), np.uint8)
    marks = {0: (150, 80), peer.EYE_CORNERS[0]: (70, 95), peer.EYE_CORNERS[1]: (160, 125), 7: (110, 180)}
    colours = np.array([[255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]])
    for colour, (x, y) in zip(colours.tolist(), marks.values(), strict=True):
        cv2.circle(image, (x, y), 4, colour, -1)
    looks: list[np.ndarray] = []

    def spots(_network: object, values: np.ndarray, size: int) -> np.ndarray:
        assert size == 3 * peer.N_MEDIAPIPE
        places = []
        for colour in colours:
            rows, columns = np.nonzero(((values > 0.4) == (colour > 0)).all(-1))
            places.append((columns.mean(), rows.mean(), 0.0))
        looks.append(np.array(places)[:, :2])
        points = np.tile(places[0], (peer.N_MEDIAPIPE, 1))
        points[list(marks)] = places
        return points.ravel()

    looking._run = spots
    found = looking.points(image)[list(marks)]
    np.testing.assert_allclose(found, list(marks.values()), atol=1.0)
    first, second = looks
    np.testing.assert_allclose(first, np.array(list(marks.values())) * 256 / 224, atol=1.0)
    (right_x, right_y), (left_x, left_y) = second[1:3]
    assert right_y == pytest.approx(left_y, abs=1.0)
    box = np.ptp(np.array(list(marks.values())), axis=0).max()
    assert left_x - right_x == pytest.approx(np.hypot(90, 30) * 256 / (peer.ROOM * box), abs=2.0)


def test_blendshapes_need_faces_and_axes_of_their_name(tmp_path: Path) -> None:
    geometry = loaded("geometry")
    with pytest.raises(UserError, match="--faces 0"):
        geometry.blendshape_peer(tmp_path, ["mouthSmileLeft"], 0)
    with pytest.raises(UserError, match="no expression axis"):
        geometry.blendshape_peer(tmp_path, ["exp0", "exp1"], 5)
    nothing = np.zeros((3, 1))
    line = geometry.beside_blendshapes(["mouthSmileLeft"], np.array([False]), nothing[0], np.zeros((3, 52)), nothing)
    assert line.endswith("none of the visible axes is among them")
