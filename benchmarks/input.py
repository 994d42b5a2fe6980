"""Images a second of the input pipeline, per reader, against Keras' and plain ``tf.data``'s own ways in the same run.

Run: ``python benchmarks/input.py [--images 256] [--batch 32]``. The pictures are synthetic faces of 400 x 400 pixels,
written as JPEG into a temporary folder, packed file and AffectNet-like folder; nothing is read from elsewhere. All runs
deliver float32 batches [B, 224, 224, 3] and use all cores. A peer does the work named in its row; ours also makes the
478 and the 68 landmarks, mask and labels. ``ratio`` is our rate over the peer's, ``of cpu`` the peer's processor time
an image over ours; above 1 we are faster.
"""

from __future__ import annotations

import csv
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import click
import cv2
import keras
import numpy as np
import tensorflow as tf

from training.datasets import augment
from training.datasets.affectnet import COLUMNS, affectnet
from training.datasets.folder import labelled
from training.datasets.packed import Packed
from training.datasets.pipeline import batches
from training.datasets.source import EXPRESSIONS
from training.datasets.synthetic import Synthetic

SIDE, STORED = 224, 400
WARM_UP = 10


class Rate(NamedTuple):
    """Images a second, and processor time an image in ms (all threads), which other programs disturb less."""

    images: float
    cpu: float


def rate(dataset: tf.data.Dataset, batch: int, seconds: float) -> Rate:
    """Speed over at least ``seconds``, after the buffers have been filled and emptied once."""
    iterator = iter(dataset)
    for _ in range(WARM_UP):
        next(iterator)
    start, cpu, count = time.perf_counter(), time.process_time(), 0
    while count < 2 or time.perf_counter() - start < seconds:
        next(iterator)
        count += batch
    return Rate(count / (time.perf_counter() - start), 1000 * (time.process_time() - cpu) / count)


def write_data(folder: Path, images: int) -> None:
    """The same pictures as class folders, as AffectNet of 2017 and packed."""
    source = Synthetic(images, seed=1)
    jpegs, rows, marks = [], [], []
    for index in range(images):
        example = source.example(index % 64)
        picture = cv2.resize(example["image"], (STORED, STORED), interpolation=cv2.INTER_CUBIC)
        jpegs.append(cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])[1])
        marks.append((example["landmarks_mp"] * [1, 1, 0] + [1, 1, 0]) * STORED / 2)
        name = EXPRESSIONS[index % 8]
        (folder / "classes" / name).mkdir(parents=True, exist_ok=True)
        (folder / "classes" / name / f"{index}.jpg").write_bytes(jpegs[-1].tobytes())
        points = (example["landmarks68"][:, :2] + 1) * STORED / 2
        text = ";".join(f"{value:.1f}" for value in points.ravel())
        rows.append([f"{name}/{index}.jpg", 50, 50, 300, 300, text, index % 8, 0.0, 0.0])
    with (folder / "training.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([list(COLUMNS), *rows])
    fixed = np.clip(np.round(np.array(marks) * 16), -32768, 32767).astype(np.int16)
    ids = np.array([str(index) for index in range(images)])
    offset = np.cumsum([0, *map(len, jpegs)])
    np.savez(folder / "packed.npz", id=ids, jpeg=np.concatenate(jpegs), offset=offset, landmarks_x16=fixed)


def keras_folder(folder: Path, batch: int) -> tf.data.Dataset:
    """``image_dataset_from_directory``: decode and resize."""
    options: dict[str, Any] = {"image_size": (SIDE, SIDE), "batch_size": batch, "seed": 0, "verbose": False}
    return keras.utils.image_dataset_from_directory(str(folder / "classes"), **options).repeat().prefetch(2)


def plain_tf_data(folder: Path, batch: int, augmented: bool) -> tf.data.Dataset:
    """Decode, one affine map, scale to 0..1; ``augmented``: the map is random, then one of JPEG, noise, nothing."""
    files = tf.constant([str(path) for path in sorted((folder / "classes").rglob("*.jpg"))])

    def load(index: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_jpeg(tf.io.read_file(files[index % len(files)]), channels=3)
        seed = tf.stack([index, tf.constant(0, tf.int64)])
        zoom, shift = tf.constant(STORED / SIDE), tf.zeros([2])
        angle = tf.constant(0.0)
        if augmented:
            drawn = tf.random.stateless_uniform([4], seed, -1, 1)
            zoom, shift, angle = zoom * (1 + 0.1 * drawn[0]), drawn[1:3] * 0.05 * STORED, drawn[3] * 0.17
        c, s = tf.cos(angle) * zoom, tf.sin(angle) * zoom
        transform = tf.stack([c, -s, shift[0], s, c, shift[1], 0.0, 0.0])
        image = tf.raw_ops.ImageProjectiveTransformV3(
            images=tf.cast(image, tf.float32)[None],
            transforms=transform[None],
            output_shape=[SIDE, SIDE],
            fill_value=0.0,
            interpolation="BILINEAR",
        )[0]
        if augmented:
            image = tf.switch_case(
                tf.random.stateless_uniform([], seed, 0, 3, tf.int32),
                [
                    lambda: tf.cast(_jpeg(tf.cast(image, tf.uint8)), tf.float32),
                    lambda: image + 5 * tf.random.stateless_normal([SIDE, SIDE, 1], seed),
                    lambda: image,
                ],
            )
        return image / 255

    dataset = tf.data.Dataset.range(10**9).map(load, num_parallel_calls=tf.data.AUTOTUNE)
    return dataset.batch(batch, drop_remainder=True).prefetch(2)


def _jpeg(image: tf.Tensor) -> tf.Tensor:
    return tf.ensure_shape(tf.io.decode_jpeg(tf.io.encode_jpeg(image, quality=30), channels=3), [SIDE, SIDE, 3])


@click.command(help=__doc__)
@click.option("--images", default=256, show_default=True, help="Pictures on disk.")
@click.option("--batch", default=32, show_default=True)
@click.option("--seconds", default=4.0, show_default=True, help="How long each row is timed.")
def main(images: int, batch: int, seconds: float) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_data(folder, images)
        classes, faces = labelled(folder / "classes"), affectnet(folder, images=folder / "classes")
        packed = Packed(folder / "packed.npz")
        keras_rate = rate(keras_folder(folder, batch), batch, seconds)
        plain, varied = (rate(plain_tf_data(folder, batch, augmented), batch, seconds) for augmented in (False, True))
        peers = {
            "keras image_dataset_from_directory": keras_rate,
            "tf.data decode + warp": plain,
            "tf.data decode + random warp + one of": varied,
        }
        rows = [
            ("folder", classes, augment.NONE, "keras image_dataset_from_directory"),
            ("folder", classes, augment.NONE, "tf.data decode + warp"),
            ("affectnet", faces, augment.NONE, "tf.data decode + warp"),
            ("packed", packed, augment.NONE, "tf.data decode + warp"),
            ("packed, release augmentation", packed, augment.COARSE, "tf.data decode + random warp + one of"),
        ]
        print(f"{'reader':30s} {'images/s':>8s} {'cpu ms':>6s} {'peer':>8s} {'cpu ms':>6s}  ratio  of cpu  peer")
        for label, source, how, peer in rows:
            mine, its = rate(batches(source, batch_size=batch, seed=0, augment=how), batch, seconds), peers[peer]
            numbers = f"{mine.images:8.0f} {mine.cpu:6.2f} {its.images:8.0f} {its.cpu:6.2f}"
            print(f"{label:30s} {numbers}  {mine.images / its.images:5.2f}  {its.cpu / mine.cpu:6.2f}  {peer}")
        mine = rate(batches(Synthetic(seed=2), batch_size=batch, seed=0), batch, seconds)
        print(f"{'synthetic':30s} {mine.images:8.0f} {mine.cpu:6.2f}  rendered: there is no peer")


if __name__ == "__main__":
    main()
