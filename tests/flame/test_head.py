"""The head model as a file: round trips, deterministic bytes, and refusals."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from emoca_tf.errors import UserError
from emoca_tf.flame.head import HeadModel, LandmarkTable


def small_head(**changes: object) -> HeadModel:
    rng = np.random.default_rng(0)
    V = 12
    values: dict[str, object] = {
        "name": "small",
        "v_template": rng.normal(size=(V, 3)).astype(np.float32),
        "f": np.array([[0, 1, 2], [2, 3, 4], [9, 10, 11]], np.int32),
        "shapedirs": rng.normal(size=(V, 3, 7)).astype(np.float32),
        "n_shape": 4,
        "posedirs": rng.normal(size=(V, 3, 36)).astype(np.float32),
        "J_regressor": rng.random((5, V)).astype(np.float32),
        "weights": rng.random((V, 5)).astype(np.float32),
        "kintree_table": np.array([[-1, 0, 1, 1, 1], [0, 1, 2, 3, 4]]),
        "expression_names": ("smile", "frown", "blink"),
        "exp_range": np.array([[0, 1]] * 3, np.float32),
        "landmarks": {"static": LandmarkTable(np.array([0, 2], np.int32), np.full((2, 3), 1 / 3, np.float32))},
        "masks": {"face": np.array([1, 2], np.int32)},
        "licence": "CC0-1.0",
        "source": "made here",
    }
    return HeadModel(**(values | changes))  # type: ignore[arg-type]


def test_a_head_survives_its_file(tmp_path: Path) -> None:
    head = small_head()
    head.save(tmp_path / "head.npz")
    again = HeadModel.load(tmp_path / "head.npz")
    for name in ("v_template", "f", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table", "exp_range"):
        np.testing.assert_array_equal(getattr(again, name), getattr(head, name))
    assert (again.name, again.n_shape, again.n_exp, again.licence) == ("small", 4, 3, "CC0-1.0")
    assert again.expression_names == head.expression_names
    np.testing.assert_array_equal(again.landmarks["static"].bary_coords, head.landmarks["static"].bary_coords)
    np.testing.assert_array_equal(again.masks["face"], [1, 2])
    assert again.uv is None


def test_equal_heads_give_equal_bytes(tmp_path: Path) -> None:
    small_head().save(tmp_path / "a.npz")
    small_head().save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_half_precision_rounds_only_the_directions(tmp_path: Path) -> None:
    head = small_head()
    head.save(tmp_path / "half.npz", half_precision=True)
    again = HeadModel.load(tmp_path / "half.npz")
    assert again.shapedirs.dtype == np.float32
    np.testing.assert_allclose(again.shapedirs, head.shapedirs, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(again.v_template, head.v_template)


def test_limits_are_told_where_all_axes_share_them() -> None:
    assert small_head().exp_limits == (0, 1)
    assert small_head(exp_range=None).exp_limits is None
    assert small_head(exp_range=np.array([[0, 1], [0, 1], [-1, 1]], np.float32)).exp_limits is None


def test_truncated_keeps_the_first_axes_of_both_kinds() -> None:
    head = small_head().truncated(2, 1)
    np.testing.assert_array_equal(head.shapedirs, small_head().shapedirs[:, :, [0, 1, 4]])
    assert head.expression_names == ("smile",)
    assert head.exp_range is not None
    assert head.exp_range.shape == (1, 2)
    with pytest.raises(UserError, match="has 4 shape and 3 expression axes; 5 and 1 were asked for"):
        small_head().truncated(5, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": np.ones((12, 4), np.float32)}, "weights has shape"),
        ({"f": np.array([[0, 1, 12]], np.int32)}, "outside 0..11"),
        ({"n_shape": 8}, "n_shape 8 outside"),
        ({"exp_range": np.array([[0, 1]], np.float32)}, r"exp_range has shape \(1, 2\), expected \(3, 2\)"),
        ({"exp_range": np.array([[1, 0]] * 3, np.float32)}, "exp_range must be finite, the lower limit below"),
        ({"exp_range": np.array([[0, np.inf]] * 3, np.float32)}, "exp_range must be finite"),
        ({"expression_names": ("smile",)}, "1 expression names for 3 expression axes"),
    ],
)
def test_arrays_that_do_not_fit_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        small_head(**changes)


def test_files_that_are_no_heads_are_refused_in_one_line(tmp_path: Path) -> None:
    small_head().save(tmp_path / "head.npz")
    whole = (tmp_path / "head.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "page.npz").write_text("<html>")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    np.savez(tmp_path / "pickled.npz", a=np.array([object()], dtype=object))
    with zipfile.ZipFile(tmp_path / "junk.npz", "w") as archive:
        archive.writestr("v_template.npy", b"not an array")
    for name in ("cut", "page", "other", "pickled", "junk", "missing"):
        with pytest.raises(UserError) as refused:
            HeadModel.load(tmp_path / f"{name}.npz")
        assert f"{name}.npz" in str(refused.value)
    with pytest.raises(UserError, match="directory"):
        HeadModel.load(tmp_path)
