"""Look at what the mobile encoders make of faces: photo, head over photo, grey head, class and emotion read from codes.

Run: ``python benchmarks/contact_sheet.py --weights mobile --data packed:/data/mux_dev -o sheet.png``
or, for a folder of photographs (faces are detected, sub-folders may name classes): ``--data photos/``.

The faces are drawn with a fixed seed, every class the same number of times as far as there are as many. With
``--show wink,lopsided,closed,open,pucker,frown`` they are those on which MediaPipe's blendshapes are strongest of that
(``--data packed:/data/mux_dev,teacher=blendshapes-alone``). Pictures may be of people: whoever passes the sheet on
needs the right to.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image, ImageDraw

from emoca_tf.cli import run
from emoca_tf.emotion.recognition import EXPRESSIONS
from emoca_tf.errors import UserError
from emoca_tf.io.atomic import atomic_path

CELL, LINE, GAP = 160, 18, 6
BATCH = 8
INK, RIGHT, WRONG = (30, 30, 34), (20, 120, 60), (180, 40, 40)
Axes = Mapping[str, np.ndarray]
SHOWS: dict[str, Callable[[Axes], np.ndarray]] = {
    "wink": lambda a: np.abs(a["eyeBlinkLeft"] - a["eyeBlinkRight"]),
    "lopsided": lambda a: np.abs(a["mouthSmileLeft"] - a["mouthSmileRight"]),
    "closed": lambda a: np.minimum(a["eyeBlinkLeft"], a["eyeBlinkRight"]),
    "open": lambda a: a["jawOpen"],
    "pucker": lambda a: a["mouthPucker"],
    "frown": lambda a: a["browDownLeft"] + a["browDownRight"],
}
"""How much of something a face shows, by its blendshapes ``name -> [N]``."""


def equal_shares(classes: np.ndarray, count: int, seed: int) -> np.ndarray:
    """``[count]`` rows, every class equally often; what rare classes lack comes from the others. Sorted by class."""
    rng = np.random.default_rng(seed)
    piles = [rng.permutation(np.flatnonzero(classes == name)).tolist() for name in np.unique(classes)]
    chosen: list[int] = []
    while len(chosen) < count and any(piles):
        for pile in piles:
            if pile and len(chosen) < count:
                chosen.append(pile.pop())
    return np.array(sorted(chosen, key=lambda row: (classes[row], row)), int)


def strongest(axes: Axes, shows: list[str], count: int) -> list[tuple[str, int]]:
    """What is shown and row, strongest first, every show equally often; NaN (no face) is never chosen.

    Raises:
        UserError: a show that is not known, fewer faces than shows, or no face at all.
    """
    unknown = [name for name in shows if name not in SHOWS]
    if unknown:
        raise UserError(f"--show {', '.join(unknown)}: there are {', '.join(SHOWS)}")
    if count < len(shows):
        raise UserError(f"--faces {count} are too few for {len(shows)} shows; each takes at least one")
    chosen = []
    for name in shows:
        amount = SHOWS[name](axes)
        order = np.argsort(-np.nan_to_num(amount, nan=-np.inf), kind="stable")[: np.isfinite(amount).sum()]
        chosen += [(name, int(row)) for row in order[: count // len(shows)]]
    if not chosen:
        raise UserError("--show: none of these pictures has blendshapes")
    return chosen


def from_source(spec: str, shows: list[str], count: int, seed: int) -> tuple[np.ndarray, list[str], list[int]]:
    """Crops ``[N, 224, 224, 3]``, captions and classes (-1 unknown) of a training data set."""
    from training.config import Config
    from training.datasets.augment import NONE
    from training.datasets.crops import finish
    from training.inputs import open_source

    source = open_source(spec, Config(), seed)
    chosen = strongest(_axes(source, spec), shows, count) if shows else []
    rows = [row for _, row in chosen] or equal_shares(source.labels.expression[: max(10_000, count)], count, seed)
    rng = np.random.default_rng(seed)
    images = [finish(source.example(int(row), rng), NONE, rng)["image"] for row in rows]
    classes = [int(source.labels.expression[row]) for row in rows]
    captions = [EXPRESSIONS[label] if label >= 0 else source.ids[row] for label, row in zip(classes, rows, strict=True)]
    if shows:
        captions = [f"{name}; {caption}" for (name, _), caption in zip(chosen, captions, strict=True)]
    return np.stack(images), captions, classes


def _axes(source: Any, spec: str) -> Axes:
    """The blendshapes of a taught source by name."""
    from emoca_tf.flame.head import HeadModel
    from training.datasets.taught import Taught

    if not isinstance(source, Taught):
        raise UserError(f"--show goes by blendshapes: --data {spec},teacher=blendshapes-alone")
    names = HeadModel.load().expression_names
    return {name: source.exp[:, axis] for axis, name in enumerate(names)} | {"jawOpen": source.jaw[:, 0]}


def from_folder(folder: Path, count: int, seed: int) -> tuple[np.ndarray, list[str], list[int]]:
    """The same of a folder of photographs, every face detected; the classes are those of its sub-folders."""
    from emoca_tf.capture.crops import detected_crop
    from emoca_tf.capture.dataset import list_pictures
    from emoca_tf.faces.crop import INFERENCE_SCALE
    from training.datasets.folder import SYNONYMS, class_index

    def known(path: Path) -> int:
        return class_index(path.parent.name) if path.parent.name.lower() in SYNONYMS else -1

    files = list_pictures(folder)
    wanted = partial(detected_crop, scale=INFERENCE_SCALE)
    chosen = [files[row] for row in equal_shares(np.array([known(path) for path in files]), count, seed)]
    crops = [(path, wanted(path)) for path in chosen]
    found = [(path, crop) for path, crop in crops if crop is not None]
    if not found:
        raise UserError(f"{folder}: no face found in any of its pictures")
    if len(found) < len(chosen):
        click.echo(f"no face found in {len(chosen) - len(found)} of {len(chosen)} pictures", err=True)
    return np.stack([crop for _, crop in found]), [path.stem for path, _ in found], [known(path) for path, _ in found]


def drawn(mobile: Any, scene: Any, images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Overlays, grey heads ``[N, 224, 224, 3]`` and class probabilities ``[N, 8]`` (None without a read-out)."""
    import tensorflow as tf

    overlays, heads, shares = [], [], []
    for start in range(0, len(images), BATCH):
        batch = tf.constant(images[start : start + BATCH])
        codes = mobile.encode(batch)
        view = scene.decode(codes)
        overlays.append(scene.overlay(view, batch).numpy())
        heads.append(scene.shape_image(view, codes).numpy())
        if "readout" in mobile.networks:
            shares.append(tf.nn.softmax(mobile.read(codes)["expression"]).numpy())
    return np.concatenate(overlays), np.concatenate(heads), np.concatenate(shares) if shares else None


def sheet(panels: list[np.ndarray], captions: list[str], classes: list[int], shares: np.ndarray | None,
          columns: int) -> np.ndarray:  # fmt: skip
    """Faces in columns: photo, overlay and head side by side, caption and reading below."""
    width, height = len(panels) * CELL + GAP, CELL + LINE + GAP
    rows = -(-len(captions) // columns)
    canvas = Image.new("RGB", (columns * width, rows * height), (250, 250, 250))
    draw = ImageDraw.Draw(canvas)
    for index, caption in enumerate(captions):
        x, y = index % columns * width, index // columns * height
        for place, pictures in enumerate(panels):
            cell = Image.fromarray((pictures[index].clip(0, 1) * 255).round().astype(np.uint8)).resize((CELL, CELL))
            canvas.paste(cell, (x + place * CELL, y))
        draw.text((x + 4, y + CELL + 3), f"{index}: {caption}"[:44], fill=INK)
        if shares is not None:
            order = np.argsort(-shares[index])[:2]
            text = ", ".join(f"{EXPRESSIONS[k]} {shares[index, k]:.2f}" for k in order)
            colour = INK if classes[index] < 0 else RIGHT if classes[index] == order[0] else WRONG
            draw.text((x + int(1.5 * CELL), y + CELL + 3), f"codes read: {text}", fill=colour)
    return np.asarray(canvas)


@click.command(help=__doc__)
@click.option("--weights", "sources", multiple=True, default=("mobile",), help="Preset, .npz or run directory.")
@click.option("--head", default="default", help="Head model file.")
@click.option("--data", required=True, help="A folder of photographs, or kind:path of training data.")
@click.option("--faces", default=48, show_default=True, type=click.IntRange(1, 400))
@click.option("--seed", default=0, show_default=True)
@click.option("--show", "shown", default="", help=f"Faces that show most of: {', '.join(SHOWS)}.")
@click.option("--columns", default=4, show_default=True, type=click.IntRange(1, 12))
@click.option("-o", "--out", "output", required=True, type=click.Path(path_type=Path), help="The .png to write.")
def command(
    sources: tuple[str, ...], head: str, data: str, faces: int, seed: int, shown: str, columns: int, output: Path
) -> None:
    from training.scene import Scene
    from training.trained import load_mobile

    if output.suffix.lower() != ".png":
        raise UserError(f"{output}: give a name that ends in .png")
    folder, shows = Path(data), [name for name in shown.split(",") if name]
    if shows and folder.is_dir():
        raise UserError("--show needs blendshapes; a folder of photographs has none")
    gather = partial(from_folder, folder) if folder.is_dir() else partial(from_source, data, shows)
    images, captions, classes = gather(faces, seed)
    scene = Scene(head)
    found = load_mobile(sources, scene.model)
    overlays, heads, shares = drawn(found.mobile, scene, images)
    picture = sheet([images, overlays, heads], captions, classes, shares, columns)
    with atomic_path(output) as temporary:
        Image.fromarray(picture).save(temporary, "PNG")
    right = "" if shares is None else _score(shares, np.array(classes))
    click.echo(f"{output}: {len(images)} faces, {picture.shape[1]} x {picture.shape[0]} pixels{right}")


def _score(shares: np.ndarray, classes: np.ndarray) -> str:
    known = classes >= 0
    if not known.any():
        return ""
    return f"; class read as labelled: {int((shares.argmax(1) == classes)[known].sum())} of {int(known.sum())}"


if __name__ == "__main__":
    sys.exit(run(command, "contact_sheet"))
