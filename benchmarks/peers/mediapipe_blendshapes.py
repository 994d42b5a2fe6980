"""MediaPipe's blendshapes of a face crop, by the two networks of its Face Landmarker.

``face_landmarks_detector.tflite`` and ``face_blendshapes.tflite`` are two of the files in the zip archive
``face_landmarker.task`` (float16, version 1), which MediaPipe publishes; other versions are refused. Every crop counts:
whether MediaPipe would find a face there is not asked.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from emoca_tf.errors import UserError
from emoca_tf.faces.mediapipe_points import EYE_CORNERS, N_MEDIAPIPE

FILES = {
    "face_landmarks_detector.tflite": "c7d54204ce0448474c7f3fa9af494787c0965cbdd6f20fc72867e43046bd43d5",
    "face_blendshapes.tflite": "4f36dded049db18d76048567439b2a7f58f1daabc00d78bfe8f3ad396a2d2082",
}
SIDE = 256
ROOM = 1.5  # side of what the landmark network sees over the larger side of the points' box
_READ = """
0 1 4 5 6 7 8 10 13 14 17 21 33 37 39 40 46 52 53 54 55 58 61 63 65 66 67 70 78 80 81 82 84 87 88 91 93 95 103 105 107
109 127 132 133 136 144 145 146 148 149 150 152 153 154 155 157 158 159 160 161 162 163 168 172 173 176 178 181 185 191
195 197 234 246 249 251 263 267 269 270 276 282 283 284 285 288 291 293 295 296 297 300 308 310 311 312 314 317 318 321
323 324 332 334 336 338 356 361 362 365 373 374 375 377 378 379 380 381 382 384 385 386 387 388 389 390 397 398 400 402
405 409 415 454 466 468 469 470 471 472 473 474 475 476 477
"""
READ = np.array(_READ.split(), int)
"""The points that the blendshape network reads."""


def verified(folder: Path, name: str) -> bytes:
    """A file of :data:`FILES`.

    Raises:
        UserError: it is missing, or of another version.
    """
    path = folder / name
    if not path.is_file():
        raise UserError(f"{path} is missing; unzip MediaPipe's face_landmarker.task into {folder}")
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != FILES[name]:
        raise UserError(f"{path} is not the file of face_landmarker.task (float16, version 1) that is known here")
    return data


def _interpreter(data: bytes) -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise UserError("ai-edge-litert is not installed; pip install 'emoca-tf[train]'") from error
    network = Interpreter(model_content=data, num_threads=1)
    network.allocate_tensors()
    return network


class Blendshapes:
    """Crops to blendshapes, see the module.

    Args:
        folder: holds both files.

    Raises:
        UserError: see :func:`verified`.
    """

    def __init__(self, folder: Path) -> None:
        files = [verified(folder, name) for name in FILES]
        self.landmark_network, self.blendshape_network = (_interpreter(data) for data in files)

    def _run(self, network: Any, values: np.ndarray, size: int) -> np.ndarray:
        network.set_tensor(network.get_input_details()[0]["index"], values[None].astype(np.float32))
        network.invoke()
        found = (network.get_tensor(one["index"]) for one in network.get_output_details())
        return next(array.ravel() for array in found if array.size == size)

    def points(self, image: np.ndarray) -> np.ndarray:
        """``[H, W, 3]`` uint8 RGB crop of a face -> ``[478, 2]`` pixels of it.

        The network looks twice: at the crop, and at the upright square around what it found there, as MediaPipe looks
        at the next frame of a video.
        """
        height, width = image.shape[:2]
        first = self._seen(image, np.array([width, height]) / 2, max(width, height), 0.0)
        low, high = first.min(0), first.max(0)
        right, left = first[list(EYE_CORNERS)]
        angle = float(np.arctan2(*(left - right)[::-1]))
        return self._seen(image, (low + high) / 2, ROOM * float((high - low).max()), angle)

    def _seen(self, image: np.ndarray, centre: np.ndarray, side: float, angle: float) -> np.ndarray:
        zoom = SIDE / side
        linear = zoom * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        matrix = np.column_stack([linear, SIDE / 2 - linear @ centre])
        seen = cv2.warpAffine(image, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        points = self._run(self.landmark_network, seen / np.float32(255), 3 * N_MEDIAPIPE).reshape(N_MEDIAPIPE, 3)[
            :, :2
        ]
        pixels: np.ndarray = (points - matrix[:, 2]) @ np.linalg.inv(linear).T
        return pixels

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """``[H, W, 3]`` uint8 RGB crop of a face -> ``[52]``, 0..1, in MediaPipe's order."""
        return self._run(self.blendshape_network, self.points(image)[READ], 52)
