"""Landmarks of small grey pictures (:class:`training.datasets.packed.Mosaics`), which no detector is asked for.

``python -m training.datasets.mosaic_landmarks FER.npz`` writes ``FER_landmarks.npz`` beside it. The pictures end at
the face, so that MediaPipe's landmark network (out of the installed wheel) sees them as they are, with their edges
repeated; a second look goes by the landmarks of the first. On 48 x 48 pixels its points are good to about a pixel. It
gives the 468 points of the face; the irises' ten stay invalid, as do all points of pictures without a face.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import click
import cv2
import numpy as np
from tqdm import tqdm

from emoca_tf.cli import run
from emoca_tf.errors import UserError
from training.datasets.landmarks import N_MEDIAPIPE
from training.datasets.packed import Mosaics
from training.datasets.shards import write_shard

SIDE, N_FACE = 192, 468
ROOM = 1.5  # side of what the network sees over the larger side of the landmarks' box
FIRST_ROOM = 1.32  # of the picture's own side
PRESENT = 0.5


class MeshNetwork:
    """MediaPipe's ``face_landmark.tflite``: a square of a picture -> 468 points in the picture and how sure it is."""

    def __init__(self) -> None:
        from ai_edge_litert.interpreter import Interpreter

        spec = importlib.util.find_spec("mediapipe")
        if spec is None or spec.origin is None:
            raise UserError("mediapipe is not installed; pip install 'emoca-tf[train]'")
        path = Path(spec.origin).parent / "modules" / "face_landmark" / "face_landmark.tflite"
        if not path.is_file():
            raise UserError(f"{path}: this mediapipe does not bring the face landmark network; install 0.10.21")
        self.interpreter = Interpreter(str(path), num_threads=1)
        self.interpreter.allocate_tensors()
        self.input = self.interpreter.get_input_details()[0]["index"]
        points, sure = sorted(self.interpreter.get_output_details(), key=lambda one: -int(np.prod(one["shape"])))[:2]
        self.points, self.sure = points["index"], sure["index"]

    def __call__(self, image: np.ndarray, centre: np.ndarray, side: float) -> tuple[np.ndarray, float]:
        """``[H, W, 3]`` uint8 RGB -> ``[468, 2]`` pixels, probability of a face."""
        zoom = SIDE / side
        matrix = np.array([[zoom, 0, SIDE / 2 - zoom * centre[0]], [0, zoom, SIDE / 2 - zoom * centre[1]]])
        seen = cv2.warpAffine(image, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        self.interpreter.set_tensor(self.input, seen[None].astype(np.float32) / 255)
        self.interpreter.invoke()
        points = self.interpreter.get_tensor(self.points).reshape(N_FACE, 3)[:, :2]
        logit = float(self.interpreter.get_tensor(self.sure).ravel()[0])
        return (points - matrix[:, 2]) / zoom, 1 / (1 + float(np.exp(-logit)))


def find(network: MeshNetwork, image: np.ndarray) -> np.ndarray:
    """``[478, 3]`` x, y in pixels, validity; all invalid without a face."""
    out = np.zeros((N_MEDIAPIPE, 3), np.float32)
    points, _ = network(image, np.array(image.shape[1::-1]) / 2, FIRST_ROOM * max(image.shape[:2]))
    low, high = points.min(0), points.max(0)
    points, sure = network(image, (low + high) / 2, ROOM * float((high - low).max()))
    if sure >= PRESENT:
        out[:N_FACE, :2], out[:N_FACE, 2] = points, 1
    return out


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(path: Path) -> None:
    """Find landmarks in the small pictures of PATH (.npz) and write them beside it."""
    out = path.with_name(f"{path.stem}_landmarks.npz")
    source = Mosaics(path, faces_only=False, border=0)
    network = MeshNetwork()
    pictures = (cv2.cvtColor(image, cv2.COLOR_GRAY2RGB) for image in source.images)
    rows = [find(network, picture) for picture in tqdm(pictures, total=len(source), unit="face", desc="landmarks")]
    landmarks = np.stack(rows)
    landmarks[..., :2] = np.round(landmarks[..., :2] * 16)
    write_shard(out, {"id": np.array(source.ids), "landmarks_x16": landmarks.astype(np.int16)})
    print(f"{int(landmarks[:, 0, 2].sum())} of {len(source)} pictures have landmarks: {out}")


if __name__ == "__main__":
    sys.exit(run(main, "mosaic_landmarks"))
