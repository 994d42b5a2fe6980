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


@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_eight_exif_orientations_show_the_same_picture(orientation: int, tmp_path: Path) -> None:
    upright = gradient()
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), upright)


def test_transparent_kinds_are_laid_on_white(tmp_path: Path) -> None:
    half = np.full((80, 80, 4), 128, np.uint8)
    half[..., :3] = 0
    Image.fromarray(half).save(tmp_path / "half.png")
    assert np.abs(read_image(tmp_path / "half.png").astype(int) - 127).max() <= 1
    assert np.abs(read_image(half).astype(int) - 127).max() <= 1
    Image.fromarray(half[..., [0, 3]], "LA").save(tmp_path / "grey_half.png")
    assert np.abs(read_image(tmp_path / "grey_half.png").astype(int) - 127).max() <= 1
    palette = Image.new("P", (80, 80), 1)
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.paste(0, (0, 0, 40, 80))
    palette.save(tmp_path / "palette.png", transparency=1)
    read = read_image(tmp_path / "palette.png")
    assert read[0, 0].tolist() == [255, 0, 0]
    assert read[0, 79].tolist() == [255, 255, 255]


def test_deep_and_shallow_pictures_keep_their_range(tmp_path: Path) -> None:
    ramp = np.linspace(0, 1, 80, dtype=np.float32)[None].repeat(80, 0)
    wanted = np.round(ramp * 255)
    Image.fromarray((ramp * 65535).astype(np.uint16)).save(tmp_path / "deep.tiff")
    Image.fromarray(ramp).save(tmp_path / "float.tiff")
    for name in ("deep.tiff", "float.tiff"):
        assert np.abs(read_image(tmp_path / name)[..., 2] - wanted).max() <= 1
    Image.fromarray(ramp > 0.5).save(tmp_path / "bits.png")
    np.testing.assert_array_equal(read_image(tmp_path / "bits.png")[..., 0], np.where(ramp > 0.5, 255, 0))


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tiff"])
def test_the_first_frame_of_every_animated_format(suffix: str, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (80, 80), colour) for colour in ((250, 0, 0), (0, 0, 250))]
    path = tmp_path / f"a.{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert np.abs(read_image(path)[40, 40].astype(int) - [250, 0, 0]).max() <= 8


def test_sizes_at_both_limits_are_read(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "small.png")
    Image.new("L", (12_000, 64)).save(tmp_path / "wide.png")
    assert read_image(tmp_path / "small.png").shape == (64, 64, 3)
    assert read_image(tmp_path / "wide.png").shape == (64, 12_000, 3)


def test_arrays_with_one_or_four_channels_are_read() -> None:
    picture = gradient()
    opaque = np.dstack([picture, np.full((80, 100), 255, np.uint8)])
    np.testing.assert_array_equal(read_image(opaque), picture)
    for grey in (picture[..., 0], picture[..., :1]):
        np.testing.assert_array_equal(read_image(grey), picture[..., :1].repeat(3, 2))
