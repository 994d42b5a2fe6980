"""Picture file to the crop an encoder looks at: by face detection, or as it is when it is a face crop already."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from emoca_tf.faces.crop import CROP_SIZE, INFERENCE_SCALE, crop_from_landmarks
from emoca_tf.faces.detect import detect_faces
from emoca_tf.io.images import read_image

MIN_CROP_SIDE = 16


def detected_crop(path: Path, scale: float = INFERENCE_SCALE) -> np.ndarray | None:
    """The crop around the largest face: ``[224, 224, 3]`` float32 RGB in 0..1, or None when there is no face.

    Raises:
        UserError: if the picture cannot be read.
    """
    image = read_image(path)
    faces = detect_faces(image)
    return crop_from_landmarks(faces[0].landmarks, scale).apply(image) if faces else None


def whole_crop(path: Path) -> np.ndarray:
    """A picture that is a face crop already, of any size, grey too: ``[224, 224, 3]`` float32 RGB in 0..1.

    Pictures that are not square get black bars; the face is never stretched. One of 224 x 224 is taken as it is.

    Raises:
        UserError: if the picture cannot be read.
    """
    import cv2

    image = read_image(path, min_side=MIN_CROP_SIDE)
    height, width = image.shape[:2]
    side = max(height, width)
    if height != width:
        square = np.zeros((side, side, 3), np.uint8)
        top, left = (side - height) // 2, (side - width) // 2
        square[top : top + height, left : left + width] = image
        image = square
    values = image.astype(np.float32) / 255
    if side == CROP_SIZE:
        return values
    method = cv2.INTER_AREA if side > CROP_SIZE else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(values, (CROP_SIZE, CROP_SIZE), interpolation=method))
