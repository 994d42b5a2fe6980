"""Named expressions and the contact sheet that shows them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emoca_tf.cli import group, run
from emoca_tf.errors import UserError
from emoca_tf.flame.expressions import EXPRESSIONS, expression_codes
from emoca_tf.flame.head import HeadModel
from emoca_tf.flame.prototypes import PROTOTYPES


@pytest.fixture(scope="module")
def head() -> HeadModel:
    return HeadModel.load()


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_codes_stay_in_the_range_of_the_axes(head: HeadModel, name: str) -> None:
    codes = expression_codes(head, name)
    assert {key: value.shape for key, value in codes.items()} == {"exp": (1, 50), "pose": (1, 6), "eye_pose": (1, 6)}
    assert head.exp_range is not None
    assert (codes["exp"][0] >= head.exp_range[:, 0]).all()
    assert (codes["exp"][0] <= head.exp_range[:, 1]).all()
    assert (name == "neutral") == (not any(value.any() for value in codes.values()))


def test_pairs_act_on_both_sides_and_single_names_on_one(head: HeadModel) -> None:
    smile, wink = expression_codes(head, "smile")["exp"][0], expression_codes(head, "wink")["exp"][0]
    left, right = (head.expression_names.index(f"mouthSmile{side}") for side in ("Left", "Right"))
    assert smile[left] == smile[right] > 0
    closed, open_ = (head.expression_names.index(f"eyeBlink{side}") for side in ("Left", "Right"))
    assert wink[closed] == 1
    assert wink[open_] == 0


def test_unknown_names_and_heads_without_arkit_axes_are_refused(head: HeadModel) -> None:
    with pytest.raises(UserError, match="no expression is named 'joy'; there are neutral"):
        expression_codes(head, "joy")
    plain = replace(head, expression_names=tuple(f"exp_{k:03}" for k in range(50)))
    with pytest.raises(UserError, match="no expression axis"):
        expression_codes(plain, "smile")


def test_contact_sheet_shows_different_faces(tmp_path: Path) -> None:
    assert run(group, "emoca-tf", ["contact-sheet", "-o", str(tmp_path / "sheet.png"), "--size", "64"]) == 0
    sheet = np.asarray(Image.open(tmp_path / "sheet.png")).astype(float)
    cells = [sheet[:64, 64 * k : 64 * (k + 1)] for k in range(len(EXPRESSIONS))]
    assert sheet.shape[1] == 64 * len(EXPRESSIONS)
    for k, cell in enumerate(cells):
        assert (cell != cell[0, 0]).any(2).mean() > 0.2  # a head stands in it
        assert all(np.abs(cell - other).mean() > 0.3 for other in cells[:k])


def test_contact_sheet_refuses_what_is_no_picture_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(group, "emoca-tf", ["contact-sheet", "-o", str(tmp_path / "sheet.txt")]) == 2
    assert "give a name that ends in .jpg or .png" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_portraits_lie_in_the_range_that_synthetic_faces_are_drawn_from() -> None:
    shown = [action for variants in PROTOTYPES.values() for actions in variants for action in actions if action.typical]
    assert len(shown) > 20
    assert all(action.low <= action.typical <= action.high for action in shown)
    assert EXPRESSIONS["sad"].weights["browInnerUp"] == 0.9
    assert EXPRESSIONS["surprise"].jaw == 0.26
