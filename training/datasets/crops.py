"""An example of a source -> one finished row of a batch: cropped, augmented, landmarks and mask with it."""

from __future__ import annotations

import cv2
import numpy as np

from emoca_tf.faces.crop import CROP_SIZE, CropTransform, crop_from_box, crop_from_landmarks
from training.datasets import landmarks as points_of
from training.datasets.augment import Augmentation, affine, gentler, pixelwise

CODES = ("shape", "tex", "exp", "pose", "cam", "light", "neck_pose", "eye_pose")
"""Truth codes that synthetic data may carry."""
TAUGHT = ("teacher_exp", "teacher_jaw")
"""Codes that a teacher gives for photographs. ``NAME_mirrored`` is what a code is in the mirrored picture."""
_FROM_EDGE = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
"""Pixels are counted by their centres, landmarks from the picture's edge: mirrored, x becomes 223 - x and 224 - x.

Capture's crop (:class:`~emoca_tf.faces.crop.CropTransform`) makes no difference between the two."""
_DARK = 4.0  # grey levels; a channel that is darker on average tells no ratio


def finish(example: dict[str, np.ndarray], augment: Augmentation, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Crop and augment.

    Args:
        example: as :meth:`training.datasets.source.Source.example` returns it.
        augment: what to vary.
        rng: of this image and this visit.

    Returns:
        ``image [224, 224, 3]`` float32 0..1, ``landmarks_mp [478, 3]``, ``landmarks68 [68, 3]`` (normalised), ``mask
        [224, 224, 1]`` float32 0/1, the truth codes of a finished crop (the light as :func:`relit`) or what moving
        leaves of them, and a teacher's codes.
    """
    if "augment_share" in example:
        augment = gentler(augment, float(example["augment_share"]))
    row = _finished(example) if "landmarks_mp" in example else _cropped(example, augment, rng)
    picture = pixelwise(row["image"], augment, rng)
    skin = (row["mask"] > 127).astype(np.uint8)
    if "light" in row:
        before, after = (np.array(cv2.mean(pixels, skin)[:3]) for pixels in (row["image"], picture))
        row["light"] = relit(row["light"], before, after)
    row["image"] = picture.astype(np.float32) / np.float32(255)
    row["mask"] = skin.astype(np.float32)[..., None]
    return row


def relit(light: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """The light that gives skin the colour to which its pixels were changed: each channel times its mean's change.

    Otherwise an encoder would learn that how bright and how grey a picture is says nothing about its light.

    Args:
        light: ``[9, 3]`` true coefficients, or NaN where nothing is known.
        before: ``[3]`` mean colour of the skin, 0..255; black where none is seen.
        after: the same now.

    Returns:
        ``[9, 3]``, in channels that were black as they were.
    """
    return (light * np.where(before < _DARK, 1, after / np.maximum(before, _DARK))).astype(np.float32)


def normalised(pixels: np.ndarray, size: int = CROP_SIZE) -> np.ndarray:
    """Crop pixels -> -1..1, y down: ``(p - 112) / 112``."""
    return ((pixels - size / 2) / (size / 2)).astype(np.float32)


def _finished(example: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    keys = ("image", "landmarks_mp", "landmarks68", "mask", *CODES, *TAUGHT)
    return {key: example[key] for key in keys if key in example}


def _cropped(example: dict[str, np.ndarray], augment: Augmentation, rng: np.random.Generator) -> dict[str, np.ndarray]:
    crop = _crop(example, augment, rng)
    vary = affine(augment, CROP_SIZE, rng)
    matrix = vary @ crop.matrix
    mirrored = np.linalg.det(matrix[:2, :2]) < 0
    size = (CROP_SIZE, CROP_SIZE)
    image = cv2.warpAffine(example["image"], matrix[:2], size, flags=cv2.INTER_LINEAR, borderMode=_border(example))
    places = _FROM_EDGE @ vary @ np.linalg.inv(_FROM_EDGE) @ crop.matrix
    moved = {key: _move(example[key], places) for key in ("landmarks", "landmarks68") if key in example}
    if mirrored:
        for key, table in (("landmarks", points_of.FLIP_478), ("landmarks68", points_of.FLIP_68)):
            if key in moved:
                moved[key] = moved[key][table]
    all_points = moved.get("landmarks")
    few = moved.get("landmarks68", None if all_points is None else points_of.landmarks68(all_points))
    # NaN where unknown: in a mixture, or moved.
    known = {key: example[key] for key in (*CODES, *TAUGHT) if key in example}
    if mirrored:
        known |= {name: example[f"{name}_mirrored"] for name in known if f"{name}_mirrored" in example}
    return known | {
        "image": image,
        "landmarks_mp": _row(all_points, points_of.N_MEDIAPIPE),
        "landmarks68": _row(few, 68),
        "mask": _mask(example, matrix, all_points if all_points is not None else few),
    }


def _border(example: dict[str, np.ndarray]) -> int:
    """Beyond a photograph's edge is nothing; a picture that ends at the face goes on as it ends."""
    known = "landmarks" in example or "landmarks68" in example or "box" in example
    known = known and "framed" not in example
    return cv2.BORDER_CONSTANT if known else cv2.BORDER_REPLICATE


def _crop(example: dict[str, np.ndarray], augment: Augmentation, rng: np.random.Generator) -> CropTransform:
    """The square around the face; the whole picture where nothing is known about the face, or it is the crop."""
    scale, shift = rng.uniform(*augment.crop_scale), rng.uniform(-1, 1, 2) * augment.crop_shift
    known = example.get("landmarks", example.get("landmarks68"))
    if known is not None and (known[:, 2] > 0).any() and "framed" not in example:
        crop = crop_from_landmarks(known[known[:, 2] > 0], scale)
    elif "box" in example:
        left, top, right, bottom = (float(v) for v in example["box"])
        crop = crop_from_box((left, top, right, bottom), scale)
    else:
        height, width = example["image"].shape[:2]
        side = max(height, width)
        zoom = (CROP_SIZE - 1) / max(side - 1, 1)
        offset = (CROP_SIZE - 1 - zoom * (np.array([width, height]) - 1)) / 2
        crop = CropTransform(np.array([[zoom, 0, offset[0]], [0, zoom, offset[1]], [0, 0, 1]], np.float64))
    matrix = crop.matrix.copy()
    matrix[:2, 2] += shift * CROP_SIZE / scale
    return CropTransform(matrix)


def _move(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Map x and y, keep the rest."""
    moved = points.astype(np.float64)
    moved[:, :2] = points[:, :2] @ matrix[:2, :2].T + matrix[:2, 2]
    return moved


def _row(points: np.ndarray | None, count: int) -> np.ndarray:
    """Normalised points with their validity; all invalid where unknown."""
    if points is None:
        return np.zeros((count, 3), np.float32)
    return np.concatenate([normalised(points[:, :2]), points[:, 2:3].astype(np.float32)], 1)


def _mask(example: dict[str, np.ndarray], matrix: np.ndarray, points: np.ndarray | None) -> np.ndarray:
    size = (CROP_SIZE, CROP_SIZE)
    if "mask" in example:
        mask = cv2.warpAffine(example["mask"], matrix[:2], size, flags=cv2.INTER_NEAREST)
    elif points is not None and (points[:, 2] > 0).all():
        mask = points_of.oval_mask(points, size)
    else:
        mask = np.full(size, 255, np.uint8)
    if "valid" in example:
        left, top, right, bottom = example["valid"]
        corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]]) @ matrix[:2, :2].T
        inside = np.zeros(size, np.uint8)
        cv2.fillConvexPoly(inside, np.round(corners + matrix[:2, 2]).astype(np.int32), (255,))
        mask = cv2.bitwise_and(mask, inside)
    return mask
