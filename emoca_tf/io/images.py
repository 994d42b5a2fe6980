"""Pictures of any common kind -> ``uint8 [H, W, 3]`` RGB, or one line that says what is wrong with the file."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from emoca_tf.errors import UserError

MIN_SIDE, MAX_SIDE = 64, 12_000
SAMPLES = ("sample:astronaut",)


def read_image(source: str | Path | np.ndarray, min_side: int = MIN_SIDE) -> np.ndarray:
    """Read a picture: EXIF orientation applied, alpha over white, 16 bit scaled, first frame of an animation.

    Args:
        source: path, ``sample:astronaut``, or an array ``[H, W]``, ``[H, W, 1|3|4]`` of uint8, uint16 or float in 0..1.
        min_side: shortest side accepted, in pixels.

    Returns:
        ``[H, W, 3]`` uint8 RGB.

    Raises:
        UserError: if there is no such file, it is no (whole) picture, or its size is outside ``min_side``..12,000.
    """
    if isinstance(source, np.ndarray):
        return _checked(_from_array(source), "the array", min_side)
    name = str(source)
    if name.startswith("sample:"):
        return _sample(name)
    if "://" in name:
        raise UserError(f"{name} is a web address; download the picture and give its path")
    path = Path(source)
    if path.is_dir():
        raise UserError(f"{path} is a directory; give one picture")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            warnings.simplefilter("ignore", UserWarning)  # broken EXIF and the like; the picture itself is checked
            with Image.open(path) as opened:
                _check_size(opened.size, str(path), min_side)
                return _rgb(ImageOps.exif_transpose(opened))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except UnidentifiedImageError:
        raise UserError(f"{path} is not a picture in a format that can be read (JPEG, PNG, WebP, TIFF, ...)") from None
    except Image.DecompressionBombError:
        raise UserError(f"{path} is larger than {MAX_SIDE} x {MAX_SIDE} pixels; scale it down first") from None
    except PermissionError:
        raise UserError(f"{path}: no permission to read it") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise UserError(f"{path} is damaged or cut off ({error}); get the file again") from None


def _rgb(image: Image.Image) -> np.ndarray:
    if image.mode in {"I;16", "I;16B", "I;16L", "I"}:
        return _from_array(np.clip(np.asarray(image, np.int64), 0, 65535).astype(np.uint16))
    if image.mode == "F":
        return _from_array(np.asarray(image))
    if image.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return np.array(image.convert("RGB"))


def _from_array(array: np.ndarray) -> np.ndarray:
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        raise UserError(f"an image array must be [H, W] or [H, W, 1|3|4]; received shape {array.shape}")
    if array.dtype == np.uint8 and array.shape[2] == 3:
        return array
    if array.dtype == np.uint16:
        values = array / 65535.0
    elif array.dtype == np.uint8:
        values = array / 255.0
    elif np.issubdtype(array.dtype, np.floating):
        if not np.isfinite(array).all() or array.min() < -1e-3 or array.max() > 1 + 1e-3:
            raise UserError(f"a float image must lie in 0..1; received {np.min(array):.3g}..{np.max(array):.3g}")
        values = array.astype(np.float64)
    else:
        raise UserError(f"an image array must be uint8, uint16 or float in 0..1; received {array.dtype}")
    if array.shape[2] == 4:
        values = values[..., :3] * values[..., 3:] + 1 - values[..., 3:]
    return np.round(np.broadcast_to(values, (*array.shape[:2], 3)) * 255).clip(0, 255).astype(np.uint8)


def _sample(name: str) -> np.ndarray:
    if name not in SAMPLES:
        raise UserError(f"no sample '{name}'; there is: {', '.join(SAMPLES)}")
    from skimage import data

    return np.asarray(data.astronaut())


def _check_size(size: tuple[int, int], what: str, min_side: int) -> None:
    if min(size) < min_side:
        raise UserError(f"{what} is {size[0]} x {size[1]} pixels; at least {min_side} x {min_side} are needed")
    if max(size) > MAX_SIDE:
        raise UserError(f"{what} is {size[0]} x {size[1]} pixels; scale it down to {MAX_SIDE} at most")


def _checked(image: np.ndarray, what: str, min_side: int) -> np.ndarray:
    _check_size((image.shape[1], image.shape[0]), what, min_side)
    return image
