"""A raw folder of photographs -> shards: faces found, 478 landmarks, crops with room to augment, face masks.

    python training/datasets/prepare.py AFFECTNET -o SHARDS --layout affectnet --split training

Stop it whenever you like, even with ``kill -9``: the same command goes on behind the last finished shard. Pictures that
cannot be used are skipped, counted, and listed with the reason in ``skipped.csv``. The mask is MediaPipe's face oval,
filled; put better masks in its place with ``--masks``.
"""

from __future__ import annotations

import csv
import hashlib
import multiprocessing
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

if not __package__:  # run as a file
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import click
import cv2
import numpy as np
from tqdm import tqdm

from emoca_tf.errors import UserError
from emoca_tf.faces.crop import CropTransform, crop_from_landmarks
from emoca_tf.io.atomic import atomic_path
from emoca_tf.io.images import read_image
from training.datasets import afew_va, affectnet, folder, shards
from training.datasets.landmarks import oval_mask
from training.datasets.photos import MIN_SIDE, Photographs

LAYOUTS = ("affectnet", "afew-va", "folder", "unlabelled")
NO_FACE = "no face found"
OTHER_FACE = "the labelled face was not found"
MIN_OVERLAP = 0.2  # intersection over union of the labelled box and the found face
SKIPPED = "skipped.csv"


@dataclass(frozen=True)
class Settings:
    """How crops are made; part of the run's identity.

    Attributes:
        scale: side of the crop over the face's reference size; 1.25 is looked at later, the rest is room to augment.
        size: largest side in pixels; a smaller face is not enlarged.
        quality: JPEG.
    """

    scale: float = 1.9
    size: int = 384
    quality: int = 92


@dataclass(frozen=True)
class Job:
    """One picture for a worker process."""

    identity: str
    file: Path
    hint: tuple[float, float, float, float] | None  # box of the labelled face, pixels
    mask: Path | None
    settings: Settings


@dataclass(frozen=True)
class Crop:
    """What a worker makes of a picture."""

    jpeg: bytes
    mask: bytes
    landmarks: np.ndarray  # [478, 3] int16, sixteenths of a pixel


def open_raw(
    raw: Path, layout: str, split: str = "training", classes: int = 8, table: Path | None = None
) -> Photographs:
    """The reader of a layout."""
    if layout == "affectnet":
        return affectnet.affectnet(raw, split if table is None else str(table.resolve()), classes=classes)
    if layout == "afew-va":
        return afew_va.afew_va(raw, split)
    return folder.labelled(raw, table) if layout == "folder" else folder.unlabelled(raw)


def make_crop(job: Job) -> Crop | str:
    """Find the face and cut it out; a text says why not."""
    try:
        image = read_image(job.file, MIN_SIDE)
        landmarks = _landmarks(image, job.hint)
        if isinstance(landmarks, str):
            return landmarks
        crop = _sized_crop(landmarks, job.settings)
        points = np.column_stack([crop.points_to_crop(landmarks[:, :2]), landmarks[:, 2] * crop.matrix[0, 0]])
        mask = oval_mask(points, (crop.size, crop.size)) if job.mask is None else _given_mask(job.mask, image, crop)
    except UserError as error:
        return " ".join(str(error).split())
    picture = cut(image, crop)
    jpeg = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, job.settings.quality])[1]
    limit = np.iinfo(np.int16)
    fixed = np.clip(np.round(points * 16), limit.min, limit.max).astype(np.int16)
    return Crop(jpeg.tobytes(), cv2.imencode(".png", mask)[1].tobytes(), fixed)


def cut(image: np.ndarray, crop: CropTransform) -> np.ndarray:
    """The crop, bicubic as in EMOCA's preparation; a large face is first shrunk by area, so that nothing aliases."""
    matrix, zoom = crop.matrix, float(crop.matrix[0, 0])
    if zoom < 0.7:
        image = cv2.resize(image, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)
        half = zoom / 2 - 0.5  # pixel centres lie at whole numbers
        matrix = matrix @ np.linalg.inv(np.array([[zoom, 0, half], [0, zoom, half], [0, 0, 1]]))
    return cv2.warpAffine(image, matrix[:2], (crop.size, crop.size), flags=cv2.INTER_CUBIC)


def _landmarks(image: np.ndarray, hint: tuple[float, float, float, float] | None) -> np.ndarray | str:
    """``[478, 3]`` pixels of the largest, or of the labelled face."""
    from emoca_tf.faces.detect import detect_faces

    if hint is None:
        faces = detect_faces(image)
        return faces[0].landmarks if faces else NO_FACE
    left, top, right, bottom = hint
    margin = 0.6 * max(right - left, bottom - top)
    height, width = image.shape[:2]
    x0, x1 = (int(np.clip(v, 0, width)) for v in (left - margin, right + margin))
    y0, y1 = (int(np.clip(v, 0, height)) for v in (top - margin, bottom + margin))
    if x1 - x0 < MIN_SIDE or y1 - y0 < MIN_SIDE:
        return "the labelled box lies outside the picture or is too small"
    faces = detect_faces(np.ascontiguousarray(image[y0:y1, x0:x1]))
    if not faces:
        return NO_FACE
    found = [face.landmarks + np.array([x0, y0, 0]) for face in faces]
    best = max(found, key=lambda points: overlap(_box(points), hint))
    return best if overlap(_box(best), hint) > MIN_OVERLAP else OTHER_FACE


def _box(points: np.ndarray) -> tuple[float, float, float, float]:
    (left, top), (right, bottom) = points[:, :2].min(0), points[:, :2].max(0)
    return float(left), float(top), float(right), float(bottom)


def overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    """Intersection over union of two boxes (left, top, right, bottom)."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return width * height / (areas - width * height)


def _sized_crop(landmarks: np.ndarray, settings: Settings) -> CropTransform:
    crop = crop_from_landmarks(landmarks, settings.scale, settings.size)
    side = (settings.size - 1) / crop.matrix[0, 0]
    return crop if side >= settings.size else crop.resized(max(int(side), MIN_SIDE))


def _given_mask(path: Path, image: np.ndarray, crop: CropTransform) -> np.ndarray:
    mask = read_image(path, min_side=1)[..., 0]
    if mask.shape != image.shape[:2]:
        raise UserError(f"{path} has another size than its picture")
    return cv2.warpAffine(mask, crop.matrix[:2], (crop.size, crop.size), flags=cv2.INTER_NEAREST)


def jobs_of(source: Photographs, settings: Settings, masks: Path | None) -> list[Job]:
    """One job a picture; with ``masks``, ``MASKS/ID.png`` is its mask where that file exists."""
    jobs = []
    for k, (identity, file) in enumerate(zip(source.ids, source.files, strict=True)):
        hint = None
        if source.landmarks68 is not None and np.isfinite(source.landmarks68[k]).all():
            hint = _box(source.landmarks68[k])
        elif source.boxes is not None and np.isfinite(source.boxes[k]).all():
            left, top, right, bottom = (float(v) for v in source.boxes[k])
            hint = (left, top, right, bottom)
        mask = masks / f"{identity}.png" if masks is not None else None
        jobs.append(Job(identity, file, hint, mask if mask is not None and mask.is_file() else None, settings))
    return jobs


def prepare(
    source: Photographs,
    output: Path,
    settings: Settings | None = None,
    *,
    shard_size: int = 512,
    workers: int = 1,
    masks: Path | None = None,
) -> shards.Index:
    """Make the shards that are missing; the finished index comes back.

    Raises:
        UserError: if ``output`` holds shards of another run, or a finished shard was damaged.
    """
    settings = settings if settings is not None else Settings()
    jobs = jobs_of(source, settings, masks)
    output.mkdir(parents=True, exist_ok=True)
    index = _resumed(output, _run(source, settings, shard_size, masks), len(jobs))
    for number in _lost(output, index):
        rows = range(number * shard_size, min((number + 1) * shard_size, len(jobs)))
        with _results(jobs[rows.start : rows.stop], workers) as results:
            index.shards[number] = _finished_shard(output, number, source, rows, list(results))
        index.save(output)
    with (
        _results(jobs[index.seen :], workers) as results,
        tqdm(total=len(jobs), initial=index.seen, unit="image", smoothing=0.05, disable=None) as bar,
    ):
        while index.seen < len(jobs):
            rows = range(index.seen, min(index.seen + shard_size, len(jobs)))
            made: list[Crop | str] = []
            for _ in rows:
                made.append(next(results))
                bar.update()
            index.shards.append(_finished_shard(output, len(index.shards), source, rows, made))
            index.save(output)
            bar.set_postfix(skipped=sum(len(shard.skipped) for shard in index.shards))
    _list_skipped(output, index)
    return index


def _run(source: Photographs, settings: Settings, shard_size: int, masks: Path | None) -> dict[str, object]:
    listing = hashlib.sha256("\0".join(source.ids).encode()).hexdigest()
    return {
        "source": source.where,
        "pictures_sha256": listing,
        "scale": settings.scale,
        "size": settings.size,
        "quality": settings.quality,
        "shard_size": shard_size,
        "masks": masks is not None,
    }


def _resumed(output: Path, run: dict[str, object], total: int) -> shards.Index:
    if not (output / shards.INDEX).exists():
        return shards.Index(run, total)
    index = shards.Index.load(output)
    different = [key for key in run if index.run.get(key) != run[key]]
    if different:
        raise UserError(
            f"{output} holds shards made with other settings ({', '.join(different)}); "
            "give the same command as before or another folder"
        )
    lost = _lost(output, index)
    for number, shard in enumerate(index.shards):
        if shard.images and number not in lost:
            shards.check(output, shard)
    return index


def _lost(output: Path, index: shards.Index) -> list[int]:
    """Finished shards whose files are gone; they are made again."""
    return [k for k, shard in enumerate(index.shards) if shard.images and not (output / shard.file).exists()]


@contextmanager
def _results(jobs: list[Job], workers: int) -> Iterator[Iterator[Crop | str]]:
    """Results of the jobs in their order, from worker processes or, with one worker, from this one."""
    if workers <= 1 or len(jobs) < 2:
        yield map(make_crop, jobs)
        return
    pool = multiprocessing.get_context("spawn").Pool(workers, initializer=_quiet_worker)
    try:
        yield pool.imap(make_crop, jobs, chunksize=4)
    finally:
        pool.terminate()
        pool.join()


def _quiet_worker() -> None:
    """Interrupts are the main process's business; every worker uses one core."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)


def _finished_shard(
    output: Path, number: int, source: Photographs, rows: range, made: list[Crop | str]
) -> shards.Shard:
    good = [(row, crop) for row, crop in zip(rows, made, strict=True) if isinstance(crop, Crop)]
    skipped = [[source.ids[row], why] for row, why in zip(rows, made, strict=True) if isinstance(why, str)]
    if not good:
        return shards.Shard("", 0, 0, "", skipped)
    kept = np.array([row for row, _ in good])
    labels = source.labels.take(kept)
    arrays = {
        "id": np.array([source.ids[row] for row in kept]),
        "landmarks_x16": np.stack([crop.landmarks for _, crop in good]),
        "expression": labels.expression.astype(np.int8),
        "valence": labels.valence,
        "arousal": labels.arousal,
        "person": np.full(len(kept), -1) if source.persons is None else source.persons[kept].astype(np.int64),
    }
    for name, offset, parts in (
        ("jpeg", "offset", [crop.jpeg for _, crop in good]),
        ("mask_png", "mask_offset", [crop.mask for _, crop in good]),
    ):
        arrays[name] = np.frombuffer(b"".join(parts), np.uint8)
        arrays[offset] = np.cumsum([0, *map(len, parts)], dtype=np.int64)
    path = output / f"shard-{number:05d}.npz"
    shards.write_shard(path, arrays)
    return shards.Shard(path.name, len(good), path.stat().st_size, shards.digest(path), skipped)


def _list_skipped(output: Path, index: shards.Index) -> None:
    with atomic_path(output / SKIPPED) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "reason"])
        writer.writerows(pair for shard in index.shards for pair in shard.skipped)


@click.command(help=__doc__)
@click.argument("raw_dir", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(file_okay=False, path_type=Path), help="Shards go here.")
@click.option("--layout", required=True, type=click.Choice(LAYOUTS), help="What the raw folder is.")
@click.option("--split", default="training", show_default=True, help="AffectNet, AFEW-VA: which part.")
@click.option("--classes", default=8, show_default=True, type=int, help="AffectNet: 8, or 7 without contempt.")
@click.option("--table", type=click.Path(path_type=Path), help="csv with labels (affectnet, folder).")
@click.option("--masks", type=click.Path(exists=True, path_type=Path), help="Folder of face masks ID.png.")
@click.option("--scale", default=1.9, show_default=True, help="Crop side over the face's size.")
@click.option("--size", default=384, show_default=True, help="Largest side of a crop, pixels.")
@click.option("--workers", default=os.cpu_count() or 1, show_default=True, help="Processes.")
@click.option("--shard-size", default=512, show_default=True, help="Pictures between two resume points.")
def main(
    raw_dir: Path,
    output: Path,
    layout: str,
    split: str,
    classes: int,
    table: Path | None,
    masks: Path | None,
    scale: float,
    size: int,
    workers: int,
    shard_size: int,
) -> None:
    try:
        source = open_raw(raw_dir, layout, split, classes, table)
        index = prepare(source, output, Settings(scale, size), shard_size=shard_size, workers=workers, masks=masks)
    except UserError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        click.echo(f"Interrupted; the same command goes on where {output} ends.", err=True)
        sys.exit(130)
    images = sum(shard.images for shard in index.shards)
    click.echo(
        f"{images} of {index.total} pictures in {output}; {index.total - images} skipped, see {output / SKIPPED}"
    )


if __name__ == "__main__":
    main()
