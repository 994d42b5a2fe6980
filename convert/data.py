"""Pictures to calibrate and to judge with: drawn, from shards, or from a folder of photographs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from convert.export import Calibration
from emoca_tf.errors import UserError
from emoca_tf.flame.head import HeadModel

CALIBRATION_SEED, JUDGE_SEED = 7001, 9001  # different people and pictures


@dataclass(frozen=True)
class Faces:
    """Face crops and where they came from.

    Attributes:
        images: ``[N, 224, 224, 3]`` float32 RGB in 0..1.
        origin: ``synthetic``, or the folder's path.
        seed: of the drawing or of the choice of pictures.
    """

    images: np.ndarray
    origin: str
    seed: int

    def __len__(self) -> int:
        return len(self.images)

    def describe(self) -> dict[str, Any]:
        """For the reports."""
        return {"origin": self.origin, "count": len(self), "seed": self.seed}


def load_faces(where: str, count: int, seed: int, head: HeadModel | None = None) -> Faces:
    """Read or draw crops.

    Args:
        where: ``synthetic``, a folder of shards (``training/datasets/prepare.py``), a folder of photographs, or
            ``kind:path`` of a data set that training reads (``packed:/data/mux_dev``).
        count: how many; a folder may have fewer.
        seed: another seed gives other pictures.
        head: the head that synthetic pictures show; the default head if None.

    Raises:
        UserError: no such folder, or no face in it.
    """
    from training.datasets.augment import Augmentation
    from training.datasets.crops import finish

    source = _source(where, count, seed, head)
    order = np.random.default_rng(seed).permutation(len(source))
    images: list[np.ndarray] = []
    with tqdm(total=min(count, len(source)), desc=f"faces ({where})", unit="face", leave=False) as bar:
        for index in order:
            if len(images) == count:
                break
            rng = np.random.default_rng((seed, int(index)))
            try:
                images.append(finish(source.example(int(index), rng), Augmentation(), rng)["image"])
            except UserError:
                continue
            bar.update(1)
    if not images:
        raise UserError(f"{where}: no picture with a face could be read")
    return Faces(np.stack(images).astype(np.float32), where, seed)


def check(where: str) -> None:
    """See that there are such data, before anything long begins.

    Raises:
        UserError: as :func:`load_faces`.
    """
    if where != "synthetic":
        _source(where, 1, JUDGE_SEED, None)


def _source(where: str, count: int, seed: int, head: HeadModel | None) -> Any:
    if where == "synthetic":
        from training.datasets.synthetic import Synthetic

        return Synthetic(count, seed, head=head)
    path = Path(where)
    if not path.is_dir():
        if ":" in where:
            from training.config import Config
            from training.inputs import open_source

            return open_source(where, Config(), seed)
        raise UserError(f"{where}: no such folder; give synthetic, shards, a folder of photographs, or kind:path")
    if (path / "index.json").is_file():
        from training.datasets.shards import Shards

        return Shards(path)
    return _Photographs(path)


class _Photographs:
    """Pictures of a folder, cropped around the largest face as for capture."""

    def __init__(self, folder: Path) -> None:
        kinds = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}
        self.paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in kinds)
        if not self.paths:
            raise UserError(f"{folder} holds no pictures")

    def __len__(self) -> int:
        return len(self.paths)

    def example(self, index: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        del rng
        from emoca_tf.faces.detect import detect_faces, select_faces
        from emoca_tf.io.images import read_image

        image = read_image(self.paths[index])
        face = select_faces(detect_faces(image), "largest")[0]
        landmarks = np.concatenate([face.landmarks[:, :2], np.ones((len(face.landmarks), 1))], 1)
        return {"image": image, "landmarks": landmarks.astype(np.float32)}


def calibration(inputs: dict[str, np.ndarray], batch: int = 1) -> Calibration:
    """A converter's representative data set: rows of the inputs, ``batch`` at a time, in order."""
    length = len(next(iter(inputs.values())))

    def rows() -> Iterator[dict[str, np.ndarray]]:
        for start in range(0, length - batch + 1, batch):
            yield {name: value[start : start + batch] for name, value in inputs.items()}

    return rows
