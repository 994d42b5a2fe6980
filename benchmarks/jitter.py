"""How much codes tremble from frame to frame without any smoothing, beside MediaPipe's blendshapes on the same frames.

Run: ``python benchmarks/jitter.py --video clip.mp4 --weights default --blendshapes clip_mediapipe.npz``

Every frame is captured as a picture of its own: the largest face is detected, cropped and encoded; nothing is carried
from one frame to the next. ``--bundle DIR`` runs a converted bundle with its own detector instead. Blendshapes come
from an ``.npz`` with ``blendshapes [frames, 52]`` of the same clip (MediaPipe tracks from frame to frame there).

The unit has no dimension, so that codes and blendshapes can be compared. For one axis, noise is the standard deviation
of the second differences ``x[t + 1] - 2 x[t] + x[t - 1]`` divided by ``sqrt(6)``: white noise gives its own standard
deviation, movement at constant speed gives 0. ``noise / spread`` is the root of the summed squares of all axes' noise
over that of their standard deviations in the clip: 0 is smooth, 1 is nothing but noise. ``noise / range, median`` is
the median over the moving axes of noise over the range from lowest to highest value; an axis moves if its range is at
least a tenth of the largest.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

if __package__ in (None, ""):  # started as a script
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import click
import cv2
import numpy as np

from emoca_tf.cli import run
from emoca_tf.errors import UserError
from emoca_tf.io.atomic import write_text

WHITE = 6**0.5  # deviation of second differences of white noise of deviation 1
MOVING = 0.1


class Jitter(NamedTuple):
    """See the module."""

    spread: float
    median_range: float
    moving: int
    axes: int


def jitter(series: np.ndarray) -> Jitter:
    """Jitter of ``[frames, axes]``; frames without a face (NaN) and the differences that touch them do not count.

    Raises:
        UserError: fewer than three frames in a row have a face, or nothing moves.
    """
    second = series[2:] - 2 * series[1:-1] + series[:-2]
    second = second[np.isfinite(second).all(1)]
    found = series[np.isfinite(series).all(1)]
    if len(second) < 2:
        raise UserError("no three frames in a row with a face; give a longer clip")
    noise, extent = second.std(0) / WHITE, np.ptp(found, axis=0)
    if not extent.max():
        raise UserError("no axis moves in this clip; nothing to relate the noise to")
    moving = extent >= MOVING * extent.max()
    total = float(np.sqrt((noise**2).sum() / found.var(0).sum()))
    return Jitter(total, float(np.median(noise[moving] / extent[moving])), int(moving.sum()), series.shape[1])


def frames(video: Path) -> Iterator[np.ndarray]:
    """``[H, W, 3]`` uint8 RGB, one after the other.

    Raises:
        UserError: not a readable video.
    """
    stream = cv2.VideoCapture(str(video))
    try:
        if not video.is_file() or not stream.isOpened():
            raise UserError(f"{video} is missing or not a video that OpenCV can read")
        while True:
            good, image = stream.read()
            if not good:
                return
            yield cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    finally:
        stream.release()


def crops(video: Path) -> np.ndarray:
    """``[frames, 224, 224, 3]`` float32 RGB 0..1: the largest face of every frame as capture crops it; NaN without."""
    from emoca_tf.faces.crop import CROP_SIZE, crop_from_landmarks
    from emoca_tf.faces.detect import detect_faces

    rows = []
    for image in frames(video):
        faces = detect_faces(image)
        blank = np.full((CROP_SIZE, CROP_SIZE, 3), np.nan, np.float32)
        rows.append(crop_from_landmarks(faces[0].landmarks).apply(image) if faces else blank)
    return np.stack(rows)


def codes_of_weights(pictures: np.ndarray, source: str) -> np.ndarray:
    """``[frames, D]`` expression and jaw codes of crops; NaN where there is no face."""
    import tensorflow as tf

    from training.describers import expression_codes

    describe = tf.function(expression_codes(source), reduce_retracing=True)
    found = np.isfinite(pictures).all((1, 2, 3))
    if not found.any():
        raise UserError("no face was found in any frame")
    parts = [describe(tf.constant(part)).numpy() for part in np.array_split(pictures[found], -(-found.sum() // 32))]
    codes = np.concatenate(parts)
    series = np.full((len(pictures), codes.shape[1]), np.nan)
    series[found] = codes
    return series


def codes_of_bundle(video: Path, folder: Path) -> np.ndarray:
    """The same from a bundle: its detector, its crop, its quantised encoder."""
    from emoca_tf.capture.bundle import Bundle

    bundle = Bundle(folder)
    rows: list[np.ndarray | None] = []
    for image in frames(video):
        faces = bundle.detect(image)
        if not faces:
            rows.append(None)
            continue
        codes = bundle.encode(faces[0].crop().apply(image))
        rows.append(np.concatenate([np.asarray(codes.exp)[0], np.asarray(codes.pose)[0, 3:6]]))
    width = next((len(row) for row in rows if row is not None), 0)
    if not width:
        raise UserError("no face was found in any frame")
    return np.stack([np.full(width, np.nan) if row is None else row for row in rows])


def blendshapes(path: Path) -> np.ndarray:
    """``[frames, 52]``.

    Raises:
        UserError: no such array.
    """
    from emoca_tf.io.npz import read_npz

    arrays = read_npz(path)
    if "blendshapes" not in arrays:
        raise UserError(f"{path}: no array 'blendshapes' inside")
    return arrays["blendshapes"].astype(np.float64)


def table(rows: list[tuple[str, np.ndarray]]) -> str:
    """Markdown."""
    lines = [
        "| codes | noise / spread | noise / range, median | moving axes | frames with a face |",
        "|---|---|---|---|---|",
    ]
    for name, series in rows:
        one, found = jitter(series), int(np.isfinite(series).all(1).sum())
        lines.append(
            f"| {name} | {one.spread:.3f} | {one.median_range:.4f} | {one.moving} of {one.axes} "
            f"| {found} of {len(series)} |"
        )
    return "\n".join(lines)


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--video", type=click.Path(path_type=Path), required=True, help="A clip of one face.")
@click.option("--weights", multiple=True, help="Preset, file of weights or run directory; repeatable.")
@click.option("--bundle", "bundles", multiple=True, type=click.Path(path_type=Path), help="A bundle; repeatable.")
@click.option("--blendshapes", "stored", type=click.Path(path_type=Path), help=".npz of MediaPipe's, for comparison.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the table as Markdown, too.")
def command(**options: Any) -> None:
    rows: list[tuple[str, np.ndarray]] = []
    if options["weights"]:
        pictures = crops(options["video"])
        rows += [(f"our codes, {source}", codes_of_weights(pictures, source)) for source in options["weights"]]
    rows += [(f"our codes, bundle {b}", codes_of_bundle(options["video"], b)) for b in options["bundles"]]
    if options["stored"]:
        rows.append(("MediaPipe blendshapes", blendshapes(options["stored"])))
    if not rows:
        raise UserError("nothing to measure; give --weights, --bundle or --blendshapes")
    text = table(rows)
    click.echo(text)
    if options["out"]:
        write_text(options["out"], text + "\n")


if __name__ == "__main__":
    sys.exit(run(command, "jitter"))
