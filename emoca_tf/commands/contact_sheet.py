"""``emoca-tf contact-sheet``: look at a head model."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Picture to write (.jpg, .png).")
@click.option("--head", default="default", show_default=True, help="Head model file (.npz) with ARKit's axis names.")
@click.option("--albedo", default="default", show_default=True, help="Albedo model file (.npz).")
@click.option(
    "--size", default=256, show_default=True, type=click.IntRange(64, 1024), help="Edge of a portrait, pixels."
)
def command(output: Path, head: str, albedo: str, size: int) -> None:
    """Draw the head's named expressions, eight identities and six albedos, from the front and from 45 degrees."""
    import os

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from PIL import Image

    from emoca_tf.errors import UserError
    from emoca_tf.faces.detect import quiet_stderr
    from emoca_tf.io.atomic import atomic_path

    if output.suffix.lower() not in {".jpg", ".jpeg", ".png"}:
        raise UserError(f"{output}: the sheet is a picture; give a name that ends in .jpg or .png")
    if output.is_dir():
        raise UserError(f"{output} is a folder; give a file name")
    with quiet_stderr():  # TensorFlow's native libraries log while they load, whatever the log level
        from emoca_tf.flame.head import HeadModel
        from emoca_tf.rendering.albedo import AlbedoModel
        from emoca_tf.rendering.contact_sheet import contact_sheet

        sheet = contact_sheet(HeadModel.load(head), AlbedoModel.load(albedo), size)
    with atomic_path(output) as path:
        Image.fromarray(sheet).save(path, quality=88)
    click.echo(f"{output}: {sheet.shape[1]} x {sheet.shape[0]} pixels")
