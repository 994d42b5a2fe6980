"""Alignment finds what was moved; NoW predictions are read; errors are in millimetres."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from emoca_tf.errors import UserError
from training.geometry import Prediction, moved, read_now_predictions, scan_to_mesh, similarity, summary, vertex_errors


@pytest.fixture(scope="module")
def ball() -> trimesh.Trimesh:
    mesh = trimesh.creation.icosphere(3, 0.1)
    mesh.vertices *= [1.0, 1.3, 0.8]
    return mesh


def moving(scale: float = 1.0) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = scale * Rotation.from_rotvec([0.3, -0.2, 0.5]).as_matrix()
    matrix[:3, 3] = [0.2, 0.1, -0.3]
    return matrix


@pytest.mark.parametrize("scaled", [True, False])
def test_similarity_recovers_the_movement(scaled: bool) -> None:
    points = np.random.default_rng(0).normal(size=(20, 3))
    matrix = moving(1.7 if scaled else 1.0)
    np.testing.assert_allclose(similarity(points, moved(points, matrix), scaled), matrix, atol=1e-9)


def test_similarity_never_mirrors() -> None:
    points = np.random.default_rng(0).normal(size=(20, 3))
    assert np.linalg.det(similarity(points, points * [-1, 1, 1])[:3, :3]) > 0


def test_a_moved_and_scaled_copy_has_no_error_and_a_bump_is_measured(ball: trimesh.Trimesh) -> None:
    marks = ball.vertices[[3, 50, 99, 150, 200, 300, 400]]
    rough = moved(marks, moving(12.0)) + np.random.default_rng(0).normal(0, 0.02, (7, 3))
    copy = Prediction("copy", moved(ball.vertices, moving(12.0)), ball.faces, rough)
    assert scan_to_mesh(ball.vertices, marks, copy).mean() < 2e-4  # the landmarks' noise alone would leave millimetres
    bumped = ball.vertices.copy()
    bumped[:30] *= 1.1
    assert scan_to_mesh(bumped, marks, copy)[:30].mean() > 3e-3


def test_plain_errors_are_millimetres() -> None:
    still, shifted = np.zeros((2, 5, 3)), np.tile([0.003, 0, 0.004], (2, 5, 1))
    found = summary(vertex_errors(still, shifted))
    assert found == pytest.approx({"median": 5, "mean": 5, "std": 0}, abs=1e-9)


def test_predictions_are_read_with_either_kind_of_landmarks(tmp_path: Path, ball: trimesh.Trimesh) -> None:
    for folder, suffix in (("a/neutral", ".npy"), ("b/selfie", ".txt")):
        (tmp_path / folder).mkdir(parents=True)
        ball.export(tmp_path / folder / "IMG.obj")
        save = np.save if suffix == ".npy" else np.savetxt
        save(tmp_path / folder / f"IMG{suffix}", ball.vertices[:7])
    found = read_now_predictions(tmp_path)
    assert [p.name for p in found] == ["a/neutral/IMG", "b/selfie/IMG"]
    for p in found:
        np.testing.assert_allclose(p.landmarks, ball.vertices[:7])
        assert p.vertices.shape == ball.vertices.shape


def test_missing_or_wrong_landmarks_are_told(tmp_path: Path, ball: trimesh.Trimesh) -> None:
    with pytest.raises(UserError, match=r"no \.obj"):
        read_now_predictions(tmp_path)
    ball.export(tmp_path / "x.obj")
    with pytest.raises(UserError, match=r"landmarks x\.npy"):
        read_now_predictions(tmp_path)
    np.save(tmp_path / "x.npy", np.zeros((5, 3)))
    with pytest.raises(UserError, match="seven landmarks"):
        read_now_predictions(tmp_path)
