"""Synthetic faces rendered once: the same pictures as the endless source, read in a fraction of the time.

``python -m training.datasets.rendered OUT.npz --count 12000`` draws them (about 25 ms each on one core); a run then
reads ``data=rendered:OUT.npz``. The file is stored uncompressed and memory-mapped.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
from tqdm import tqdm

from emoca_tf.cli import run
from emoca_tf.errors import UserError
from emoca_tf.faces.crop import CROP_SIZE
from training.datasets.crops import CODES
from training.datasets.packed import map_npz
from training.datasets.shards import write_shard
from training.datasets.source import Labels, checked_labels
from training.datasets.synthetic import Synthetic

JPEG_QUALITY = 95
_LABELS = ("expression", "valence", "arousal")


def render(source: Synthetic, count: int, out: Path, workers: int = 2) -> None:
    """Write the first ``count`` examples of a source of finished crops with their truth, and the hash of its head.

    Args:
        source: gives finished crops; random numbers of an example depend on its index.
        count: how many.
        out: the ``.npz``.
        workers: threads.
    """

    def one(index: int) -> dict[str, Any]:
        example = source.example(index, np.random.default_rng(index))
        _, picture = cv2.imencode(".jpg", example.pop("image")[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        return example | {"jpeg": picture, "mask": np.packbits(example["mask"] > 127)}

    with ThreadPoolExecutor(workers) as pool:
        rows = list(tqdm(pool.map(one, range(count)), total=count, unit="face", desc="rendering"))
    jpegs = [row.pop("jpeg") for row in rows]
    arrays = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    arrays |= {"jpeg": np.concatenate(jpegs), "offset": np.cumsum([0, *map(len, jpegs)])}
    arrays |= {name: getattr(source.labels, name)[:count] for name in _LABELS}
    arrays["id"] = np.array([source.ids[index] for index in range(count)])
    arrays["head"] = np.array([source.head.sha256()])
    if source.persons is not None:
        arrays["person"] = np.asarray(source.persons)[:count]
    write_shard(out, arrays)


class Rendered:
    """A :class:`~training.datasets.source.Source` over a file that :func:`render` wrote.

    Args:
        path: the ``.npz``.

    Attributes:
        head: SHA-256 of the head that was drawn, whose codes and landmarks these are; empty in older files.

    Raises:
        UserError: if the file is damaged or of another layout.
    """

    def __init__(self, path: Path | str) -> None:
        self.where, self.arrays = str(path), map_npz(Path(path))
        missing = [name for name in ("id", "jpeg", "offset", "landmarks_mp", "mask") if name not in self.arrays]
        if missing:
            raise UserError(f"{path} holds no rendered faces (no {', '.join(missing)})")
        self.head = str(self.arrays["head"][0]) if "head" in self.arrays else ""
        self.ids: Sequence[str] = [str(name) for name in self.arrays["id"]]
        count = len(self.ids)
        labels = Labels(*(np.asarray(self.arrays[name]) for name in _LABELS))
        self.labels = checked_labels(labels, count, self.where)
        self.persons: np.ndarray | None = np.asarray(self.arrays["person"]) if "person" in self.arrays else None
        self.offset = np.asarray(self.arrays["offset"])
        if len(self.offset) != count + 1 or self.offset[-1] > len(self.arrays["jpeg"]):
            raise UserError(f"{path}: offset does not fit id and jpeg; the file is damaged")

    def __len__(self) -> int:
        return len(self.ids)

    def example(self, index: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        start, end = self.offset[index : index + 2]
        picture = cv2.imdecode(np.asarray(self.arrays["jpeg"][start:end]), cv2.IMREAD_COLOR)
        if picture is None:
            raise UserError(f"{self.where}: picture {self.ids[index]} is damaged")
        mask = np.unpackbits(self.arrays["mask"][index])[: CROP_SIZE**2].reshape(CROP_SIZE, CROP_SIZE) * np.uint8(255)
        names = ("landmarks_mp", "landmarks68", *(name for name in CODES if name in self.arrays))
        return {"image": cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), "mask": mask} | {
            name: np.array(self.arrays[name][index]) for name in names
        }


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--count", default=12_000, show_default=True, type=click.IntRange(1), help="Number of faces.")
@click.option("--seed", default=0, show_default=True, type=int, help="Another seed gives other people and pictures.")
@click.option("--free", default=0.35, show_default=True, type=click.FloatRange(0, 1), help="Share without a class.")
def main(out: Path, count: int, seed: int, free: float) -> None:
    """Render synthetic faces with known truth into OUT (.npz)."""
    if out.suffix != ".npz":
        raise UserError(f"{out}: the file's name must end in .npz")
    render(Synthetic(count, seed, free=free), count, out)
    print(f"{count} faces in {out}")


if __name__ == "__main__":
    sys.exit(run(main, "rendered"))
