"""Whether heads are as bright and as coloured as their photographs, from the encoders alone.

Run: ``python benchmarks/skin.py --weights mobile --data packed:/data/mux_dev``

The mean colour of the skin that rendering and photo share (the rendered face within the data's mask), of every
photograph with at least ``PIXELS`` such pixels, apart for coloured and grey ones:

* brightness: mean of the three channels, 0..1, of photo and rendering, the mean distance of the two and their
  correlation; ``constant`` is the mean distance of a rendering that is always as bright as the average photograph;
* colourfulness: largest less smallest channel over their mean;
* pixels: mean absolute difference of the pixels, which contains hair, shadows and where the face was put.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import click
import numpy as np

from emoca_tf.cli import run
from emoca_tf.errors import UserError

PIXELS = 200
COLOURED = 0.12  # colourfulness of the photo's skin from which it counts as coloured
SHRINK = 2


def colourfulness(skin: np.ndarray) -> np.ndarray:
    """``[N, 3]`` mean colours -> ``[N]``, 0 for grey."""
    spread: np.ndarray = np.ptp(skin, axis=1) / np.maximum(skin.mean(1), 1e-6)
    return spread


def rows(mobile: Any, scene: Any, batches: Iterator[dict[str, Any]]) -> Iterator[np.ndarray]:
    """``[7]`` for every face: mean skin colour of photo and rendering, mean absolute difference of the pixels."""
    import tensorflow as tf

    from emoca_tf.codes import Codes
    from training.scene import composite_mask

    encode = tf.function(lambda images: mobile.encode(images).to_dict(), reduce_retracing=True)
    for batch in batches:
        drawn = scene.decode(Codes(**encode(batch["image"]))).rendered
        photos = scene.shrunk(batch["image"]).numpy()
        masks = composite_mask(drawn, scene.shrunk(batch["mask"]), "intersection").numpy()[..., 0] > 0.5
        for photo, head, mask in zip(photos, drawn.image.numpy(), masks, strict=True):
            if mask.sum() >= PIXELS:
                yield np.r_[photo[mask].mean(0), head[mask].mean(0), np.abs(photo[mask] - head[mask]).mean()]


def line(name: str, found: np.ndarray) -> str:
    """One row of the table for some faces ``[N, 7]``."""
    photo, head = found[:, :3], found[:, 3:6]
    bright = photo.mean(1)
    gap, constant = np.abs(bright - head.mean(1)).mean(), np.abs(bright - bright.mean()).mean()
    varies = min(bright.std(), head.mean(1).std()) > 1e-6
    related = np.corrcoef(bright, head.mean(1))[0, 1] if varies else 0.0
    values = [bright.mean(), head.mean(), gap, constant, related, *(colourfulness(x).mean() for x in (photo, head))]
    return f"| {name} | {len(found)} | " + " | ".join(f"{v:.3f}" for v in (*values, found[:, 6].mean())) + " |"


@click.command(help=__doc__)
@click.option("--weights", "sources", multiple=True, default=("mobile",), help="Preset, .npz or run directory.")
@click.option("--data", required=True, help="kind:path of photographs, such as packed:/data/mux_dev.")
@click.option("--limit", default=0, type=click.IntRange(0), help="Only so many photographs.")
def main(sources: tuple[str, ...], data: str, limit: int) -> None:
    from emoca_tf.faces.crop import CROP_SIZE
    from training.config import Config
    from training.evaluate import pictures
    from training.inputs import open_source
    from training.scene import Scene
    from training.trained import load_mobile

    source = open_source(data, Config(), 0)
    scene = Scene(size=CROP_SIZE // SHRINK)
    found = load_mobile(sources, scene.model)
    seen = list(rows(found.mobile, scene, pictures(source, limit, "photographs")))
    if not seen:
        raise UserError(f"{data}: no face with {PIXELS} pixels of skin; are there masks or landmarks?")
    faces = np.stack(seen)
    coloured = colourfulness(faces[:, :3]) >= COLOURED
    print("\n| photographs | faces | brightness: photo | head | distance | constant | correlation "
          "| colourfulness: photo | head | pixels |")  # fmt: skip
    print("|---" * 10 + "|")
    for name, chosen in (("coloured", coloured), ("grey", ~coloured)):
        if chosen.any():
            print(line(name, faces[chosen]))


if __name__ == "__main__":
    sys.exit(run(main, "skin"))
