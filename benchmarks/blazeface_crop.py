"""How a face detector's box relates to the crop that landmarks give: the source of CROP_SIDE and CROP_DOWN.

Command: python benchmarks/blazeface_crop.py FOLDER_OF_PHOTOGRAPHS
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from tqdm import tqdm

from convert.bundle import detector_bytes
from emoca_tf.capture.tflite import TFLiteModel
from emoca_tf.errors import UserError
from emoca_tf.faces.blazeface import detect
from emoca_tf.faces.crop import crop_from_landmarks
from emoca_tf.faces.detect import detect_faces
from emoca_tf.io.images import read_image


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(folder: Path) -> None:
    """Print median and spread of the crop's side and centre in units of the box's side, over the photographs' faces."""
    model, rows, missed = TFLiteModel(detector_bytes()), [], 0
    for path in tqdm(sorted(p for p in folder.rglob("*") if p.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"})):
        try:
            image = read_image(path)
        except UserError:
            continue
        wanted, found = detect_faces(image), detect(model, image)
        if not wanted:
            continue
        if not found:
            missed += 1
            continue
        crop = crop_from_landmarks(wanted[0].landmarks)
        middle = crop.points_to_source(np.array([[111.5, 111.5]]))[0]
        left, top, right, bottom = found[0].box
        side = ((right - left) + (bottom - top)) / 2
        rows.append([223 / crop.matrix[0, 0] / side, (middle[0] - (left + right) / 2) / side,
                     (middle[1] - (top + bottom) / 2) / side])  # fmt: skip
    values = np.array(rows)
    click.echo(f"{len(rows)} faces; {missed} that landmarks found and the detector did not")
    for name, column in zip(("side", "right", "down"), values.T, strict=True):
        click.echo(f"{name:6} median {np.median(column):.3f}, standard deviation {column.std():.3f}")


if __name__ == "__main__":
    main()
