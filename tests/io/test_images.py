"""Pictures of any kind become RGB; wrong ones are refused in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emoca_tf.errors import UserError
from emoca_tf.io.images import read_image


def gradient(height: int = 80, width: int = 100) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 2, y * 2, np.full_like(x, 50)], 2).astype(np.uint8)


def test_lossless_kinds_read_the_same_pixels(tmp_path: Path) -> None:
    for suffix in ("png", "bmp", "tiff", "webp"):
        Image.fromarray(gradient()).save(tmp_path / f"a.{suffix}", lossless=True)
        np.testing.assert_array_equal(read_image(tmp_path / f"a.{suffix}"), gradient())


def test_grey_alpha_palette_cmyk_and_16_bit_become_rgb(tmp_path: Path) -> None:
    grey = gradient()[..., 0]
    Image.fromarray(grey).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_image(tmp_path / "grey.png"), np.repeat(grey[..., None], 3, 2))
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(read_image(tmp_path / "deep.png")[..., 1], grey)
    clear = np.dstack([gradient(), np.zeros((80, 100), np.uint8)])
    Image.fromarray(clear).save(tmp_path / "clear.png")
    assert (read_image(tmp_path / "clear.png") == 255).all()
    Image.fromarray(gradient()).quantize(32).save(tmp_path / "palette.png")
    assert np.abs(read_image(tmp_path / "palette.png").astype(int) - gradient()).mean() < 12
    Image.fromarray(gradient()).convert("CMYK").save(tmp_path / "cmyk.jpg", quality=98)
    assert np.abs(read_image(tmp_path / "cmyk.jpg").astype(int) - gradient()).mean() < 6


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.fromarray(gradient()).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "turned.png"), np.rot90(gradient(), -1))


def test_an_animation_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (80, 80), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert read_image(tmp_path / "a.gif")[40, 40].tolist() == [255, 0, 0]


def test_arrays_of_any_depth_are_read() -> None:
    picture = gradient()
    np.testing.assert_array_equal(read_image(picture), picture)
    np.testing.assert_array_equal(read_image(picture / 255.0), picture)
    np.testing.assert_array_equal(read_image(picture.astype(np.uint16) * 257), picture)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((80, 80, 2), np.uint8), "received shape"),
        (np.full((80, 80), 7.0), "0..1"),
        (np.zeros((80, 80), np.int64), "received int64"),
        (np.zeros((10, 80, 3), np.uint8), "at least 64 x 64"),
    ],
)
def test_arrays_that_are_no_pictures_are_refused(array: np.ndarray, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_image(array)


def test_files_that_are_no_pictures_are_refused(tmp_path: Path) -> None:
    Image.fromarray(gradient()).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:200])
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "empty.jpg").write_bytes(b"")
    Image.new("RGB", (30, 30)).save(tmp_path / "tiny.png")
    Image.new("1", (12_500, 70)).save(tmp_path / "wide.png")
    for source, message in [
        (tmp_path / "missing.jpg", "no such file"),
        (tmp_path, "is a directory"),
        (tmp_path / "cut.png", "damaged or cut off"),
        (tmp_path / "text.jpg", "not a picture"),
        (tmp_path / "empty.jpg", "not a picture"),
        (tmp_path / "tiny.png", "at least 64 x 64"),
        (tmp_path / "wide.png", "scale it down"),
        ("http://example.com/a.jpg", "web address"),
        ("sample:moon", "no sample"),
    ]:
        with pytest.raises(UserError, match=message):
            read_image(source)


def test_small_crops_are_read_when_the_caller_allows_them() -> None:
    assert read_image(np.zeros((48, 48), np.uint8), min_side=16).shape == (48, 48, 3)
