"""Augmentations of the release, and a few more; each works alone on one image and inside the pipeline.

The release (emoca:gdl_apps/EMOCA/training/emoca.yaml, spec 5.1) moves the crop by one affine map, then applies one of
JPEG, noise, blur, sharpening or nothing. There a number is drawn per image for both axes; here per axis. imgaug's JPEG
"compression 50..90" is a quality of about 50 down to 10.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np

Range = tuple[float, float]


@dataclass(frozen=True)
class Augmentation:
    """How training images are varied; the default varies nothing.

    Attributes:
        crop_scale: crop side over the face's reference size, drawn uniformly (1.25 at inference).
        crop_shift: the crop's centre moves by up to this fraction of the reference size (DECA's ``trans_scale``).
        scale: zoom about the crop's centre.
        rotation: largest rotation in the picture, degrees.
        tilt: probability of a rotation of up to ``tilt_rotation`` instead.
        tilt_rotation: degrees.
        translation: largest shift, fraction of the crop's side.
        flip: probability of mirroring (landmarks, and axes of both sides, change places).
        pixels: apply one of JPEG, noise, blur, sharpening or nothing, as the release does.
        jpeg_quality: 1..100.
        noise: standard deviation in grey levels of 255, the same for the three channels.
        blur: standard deviation in pixels.
        sharpen: how much of the sharpened picture is mixed in.
        grey: probability of removing the colour.
        low_resolution: probability of shrinking the crop and enlarging it again.
        low_resolution_side: side it is shrunk to, pixels.
        equalise: probability of equalising the brightness histogram.
        colour: largest change of brightness, contrast and saturation, fraction.
    """

    crop_scale: Range = (1.25, 1.25)
    crop_shift: float = 0.0
    scale: Range = (1.0, 1.0)
    rotation: float = 0.0
    tilt: float = 0.0
    tilt_rotation: float = 90.0
    translation: float = 0.0
    flip: float = 0.0
    pixels: bool = False
    jpeg_quality: Range = (10, 50)
    noise: Range = (0.0, 10.0)
    blur: Range = (0.0, 1.5)
    sharpen: Range = (0.0, 0.5)
    grey: float = 0.0
    low_resolution: float = 0.0
    low_resolution_side: Range = (40, 160)
    equalise: float = 0.0
    colour: float = 0.0


NONE = Augmentation()
COARSE = Augmentation(scale=(0.9, 1.1), rotation=10.0, translation=0.05, pixels=True)
"""EMOCA's coarse stage (spec 5.1)."""
DETAIL = Augmentation((1.2, 1.6), 0.1, (0.9, 1.1), 10.0, 0.05, pixels=True)
"""EMOCA's detail stage: as coarse, and the crop itself varies (spec 1.1)."""
EMOTION = Augmentation(scale=(0.8, 1.2), rotation=10.0, translation=0.1, pixels=True)
"""The emotion recognition network (spec 5.3)."""
DECA = Augmentation(crop_scale=(1.4, 1.8))
"""DECA's training crops (its reference size lacks our factor 1.1)."""
MIXED_SOURCES = Augmentation(
    scale=(0.85, 1.15), rotation=10.0, translation=0.06, flip=0.5, pixels=True, grey=1.0, low_resolution=0.5
)
"""For data whose colour and sharpness give away where a picture, and with it the class, comes from."""
MOBILE = Augmentation(
    scale=(0.85, 1.25), rotation=12.0, translation=0.07, flip=0.5, pixels=True, jpeg_quality=(25, 90),
    blur=(0.0, 2.5), grey=0.75, low_resolution=0.5, low_resolution_side=(36, 130), equalise=0.3, colour=0.25,
)  # fmt: skip
"""The embedded model's: photographs and small grey equalised pictures in one; colour is not to be relied on."""
MOBILE_TILTED = replace(MOBILE, tilt=0.3, tilt_rotation=75.0)
"""The same for its last steps: people lean over, lie down and hold phones askew."""
ROBUST = Augmentation(
    scale=(0.75, 1.25), rotation=15.0, translation=0.07, flip=0.5, pixels=True, grey=0.7, low_resolution=0.5,
    low_resolution_side=(28, 160), equalise=0.35, colour=0.3,
)  # fmt: skip
"""For a network that is to read any face picture: grey, small, blurred, equalised, loosely or tightly cropped."""
PRESETS = {
    "none": NONE,
    "coarse": COARSE,
    "detail": DETAIL,
    "emotion": EMOTION,
    "deca": DECA,
    "mixed-sources": MIXED_SOURCES,
    "mobile": MOBILE,
    "mobile-tilted": MOBILE_TILTED,
    "robust": ROBUST,
}


def gentler(augment: Augmentation, share: float) -> Augmentation:
    """The same with so much of the zoom, rotation, tilt and shift, and so seldom shrunk or equalised (1: no change)."""
    low, high = (1 + share * (zoom - 1) for zoom in augment.scale)
    return replace(
        augment,
        scale=(low, high),
        low_resolution=share * augment.low_resolution,
        equalise=share * augment.equalise,
        rotation=share * augment.rotation,
        tilt_rotation=share * augment.tilt_rotation,
        translation=share * augment.translation,
        crop_shift=share * augment.crop_shift,
    )


def affine(augment: Augmentation, size: int, rng: np.random.Generator) -> np.ndarray:
    """Random zoom, rotation and shift about the crop's centre, perhaps mirrored: ``[3, 3]`` crop pixels to crop pixels.

    A mirroring map has a negative determinant.
    """
    zoom = rng.uniform(*augment.scale)
    angle = np.radians(rng.uniform(-augment.rotation, augment.rotation))
    if augment.tilt and rng.random() < augment.tilt:
        angle = np.radians(rng.uniform(-augment.tilt_rotation, augment.tilt_rotation))
    shift = rng.uniform(-1, 1, 2) * augment.translation * size
    mirror = -1.0 if rng.random() < augment.flip else 1.0
    centre = (size - 1) / 2
    linear = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * [[mirror], [1.0]]
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = centre - linear @ [centre, centre] + shift
    return matrix


def jpeg(image: np.ndarray, quality: float) -> np.ndarray:
    """Compress and read back, ``[H, W, 3]`` uint8 RGB."""
    _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, round(quality)])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]


def noise(image: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """Add Gaussian noise, the same in the three channels."""
    grain = rng.standard_normal(image.shape[:2], np.float32) * np.float32(deviation)
    return cv2.add(image, cv2.cvtColor(grain, cv2.COLOR_GRAY2RGB), dtype=cv2.CV_8U)


def blur(image: np.ndarray, deviation: float) -> np.ndarray:
    """Gaussian blur; below 0.05 pixels nothing."""
    return cv2.GaussianBlur(image, (0, 0), deviation) if deviation >= 0.05 else image


def sharpen(image: np.ndarray, alpha: float) -> np.ndarray:
    """Mix with the 3 x 3 Laplacian-sharpened picture (imgaug's Sharpen at lightness 1)."""
    kernel = np.full((3, 3), -alpha, np.float32)
    kernel[1, 1] = 1 + 8 * alpha
    return cv2.filter2D(image, -1, kernel)


def grey(image: np.ndarray) -> np.ndarray:
    """Remove the colour, three equal channels."""
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def low_resolution(image: np.ndarray, side: float) -> np.ndarray:
    """Shrink to ``side`` pixels and enlarge again."""
    small = cv2.resize(image, (round(side), round(side)), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def equalised(image: np.ndarray) -> np.ndarray:
    """Equalise the histogram of the brightness; colours keep their ratio."""
    flat = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    ratio = cv2.equalizeHist(flat).astype(np.float32) / np.maximum(flat, 1)
    return np.clip(image * ratio[..., None], 0, 255).astype(np.uint8)


_GREY = (0.299, 0.587, 0.114)  # red, green, blue of ITU-R BT.601
_COLOUR_STEPS = 1024  # that cv2.transform rounds the coefficients of 8-bit pictures to


def colour(image: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """Vary brightness, contrast and saturation by up to ``amount`` each; what is grey stays grey."""
    brightness, contrast, saturation = 1 + rng.uniform(-amount, amount, 3)
    # Towards the pixel's grey, then contrast about the picture's mean: together one affine map of a pixel's colour.
    towards_grey = saturation * np.eye(3) + (1 - saturation) * np.array([_GREY] * 3)
    mean = float(np.mean(towards_grey @ cv2.mean(image)[:3]))
    linear = np.round(_COLOUR_STEPS * contrast * towards_grey)
    linear[range(3), range(3)] += np.round(_COLOUR_STEPS * contrast) - linear.sum(1)  # every row sums up to the same
    return cv2.transform(image, np.column_stack([linear / _COLOUR_STEPS, np.full(3, (brightness - contrast) * mean)]))


def one_of_release(image: np.ndarray, augment: Augmentation, rng: np.random.Generator) -> np.ndarray:
    """One of JPEG, noise, blur, sharpening, nothing; equally likely."""
    operations: tuple[Callable[[], np.ndarray], ...] = (
        lambda: jpeg(image, rng.uniform(*augment.jpeg_quality)),
        lambda: noise(image, rng.uniform(*augment.noise), rng),
        lambda: blur(image, rng.uniform(*augment.blur)),
        lambda: sharpen(image, rng.uniform(*augment.sharpen)),
        lambda: image,
    )
    return operations[int(rng.integers(len(operations)))]()


def pixelwise(image: np.ndarray, augment: Augmentation, rng: np.random.Generator) -> np.ndarray:
    """Everything that does not move pixels: ``[H, W, 3]`` uint8 in and out."""
    if rng.random() < augment.low_resolution:
        image = low_resolution(image, rng.uniform(*augment.low_resolution_side))
    if augment.colour:
        image = colour(image, augment.colour, rng)
    if rng.random() < augment.equalise:
        image = equalised(image)
    if augment.pixels:
        image = one_of_release(image, augment, rng)
    if rng.random() < augment.grey:
        image = grey(image)
    return image
