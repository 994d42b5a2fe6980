"""Encoding a whole data set: rows, bad files, resuming."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emoca_tf.capture.dataset import Summary, encode_dataset, list_pictures, row_ids
from emoca_tf.errors import UserError


class MeanEncoder:
    """Codes that are a function of the crop alone, and a count of how many crops were seen."""

    sizes = {"exp": (2,), "light": (9, 3)}  # noqa: RUF012
    labels = ("neutral", "happy")
    fingerprint = "mean-1"

    def __init__(self, fail_after: int | None = None) -> None:
        self.calls, self.fail_after = 0, fail_after

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        self.calls += 1
        if self.fail_after is not None and self.calls > self.fail_after:
            raise KeyboardInterrupt
        mean = images.mean((1, 2, 3))
        return {"exp": np.stack([mean, 1 - mean], 1), "light": np.tile(mean[:, None, None], (1, 9, 3))}


def crop(path: Path) -> np.ndarray | None:
    number = int(path.stem.rsplit("_", 1)[-1])
    if number == 3:
        raise UserError(f"{path} is truncated;\n send it again")
    return None if number == 5 else np.full((224, 224, 3), number / 100, np.float32)


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "faces"
    folder.mkdir()
    for number in range(11):
        (folder / f"face_{number:02d}.png").write_bytes(b"-")
    return list_pictures(folder)


def test_rows_follow_the_pictures_and_bad_ones_are_nan_and_listed(pictures: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "codes.npz"
    summary = encode_dataset(pictures, MeanEncoder(), crop, out, batch=4, part=5)
    with np.load(out) as rows:
        good = np.array([n not in (3, 5) for n in range(11)])
        assert rows["id"].tolist() == [f"face_{n:02d}" for n in range(11)]
        np.testing.assert_array_equal(rows["found"], good)
        np.testing.assert_allclose(rows["exp"][good, 0], np.arange(11)[good] / 100, atol=1e-6)
        assert np.isnan(rows["exp"][~good]).all()
        assert np.isnan(rows["light"][~good]).all()
        assert rows["expression_names"].tolist() == ["neutral", "happy"]
        assert rows["light"].shape == (11, 9, 3)
    assert summary == Summary(11, 9, ("face_05",), (("face_03", f"{pictures[3]} is truncated; send it again"),))
    assert not (tmp_path / "codes.npz.parts").exists()


def test_an_interrupted_run_resumes_to_the_same_file(pictures: list[Path], tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole.npz", tmp_path / "broken.npz"
    encode_dataset(pictures, MeanEncoder(), crop, whole, batch=2, part=4)
    with pytest.raises(KeyboardInterrupt):
        encode_dataset(pictures, MeanEncoder(fail_after=3), crop, broken, batch=2, part=4)
    assert not broken.exists()
    again = MeanEncoder()
    encode_dataset(pictures, again, crop, broken, batch=2, part=4)
    assert whole.read_bytes() == broken.read_bytes()
    full = MeanEncoder()
    encode_dataset(pictures, full, crop, tmp_path / "x.npz", batch=2, part=4)
    assert again.calls < full.calls


def test_parts_of_another_run_are_not_mixed_in(pictures: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "codes.npz"
    with pytest.raises(KeyboardInterrupt):
        encode_dataset(pictures, MeanEncoder(fail_after=3), crop, out, batch=2, part=4)
    with pytest.raises(UserError, match="unfinished run"):
        encode_dataset(pictures, MeanEncoder(), crop, out, batch=2, part=4, settings="--no-detect")


def test_equal_stems_get_their_folder_and_still_equal_ids_are_refused(tmp_path: Path) -> None:
    assert row_ids([Path("a/1.png"), Path("b/1.png"), Path("b/2.png")]) == ["a/1", "b/1", "2"]
    with pytest.raises(UserError, match="2 pictures would have the id 'a/1'"):
        row_ids([Path("x/a/1.png"), Path("y/a/1.png")])


def test_lists_are_read_relative_to_themselves(tmp_path: Path) -> None:
    names = tmp_path / "list.txt"
    names.write_text("# faces\na.png\n\nsub/b.jpg\n")
    assert list_pictures(names) == [tmp_path / "a.png", tmp_path / "sub/b.jpg"]


def test_sources_that_name_no_pictures_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("# nothing\n")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00\x80")
    for source, reason in [
        (tmp_path, "no pictures"),
        (tmp_path / "missing", "no such folder"),
        (tmp_path / "empty.txt", "names no picture"),
        (tmp_path / "binary.txt", "not a text file"),
        (tmp_path / "one.png", "one picture"),
    ]:
        with pytest.raises(UserError, match=reason):
            list_pictures(source)
