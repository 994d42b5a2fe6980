"""``emoca-tf encode``: the codes of a whole data set, one row a picture."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import click

LISTED = 10


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The .npz to write.")
@click.option(
    "--weights",
    multiple=True,
    help="Weights (.npz or .keras from import-weights, or a preset); twice for codes and emotion.",
)
@click.option("--no-detect", is_flag=True, help="The pictures are face crops already (any size, grey too).")
@click.option("--batch", default=16, show_default=True, type=click.IntRange(1, 512), help="Crops encoded at a time.")
def command(source: Path, output: Path, weights: tuple[str, ...], no_detect: bool, batch: int) -> None:
    """Encode every picture of SOURCE (a folder, or a text file with one path a line) into one .npz.

    One row a picture: id, found, shape, tex, exp, pose, cam, light, and where the weights give them eyelid,
    expression_prob (with expression_names), valence, arousal; NaN where no face was found. Interrupted runs go on where
    they stopped. Pictures that cannot be read are counted and listed, in full in OUTPUT.skipped.txt.
    """
    import os

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from tqdm import tqdm

    from emoca_tf.capture.crops import detected_crop, whole_crop
    from emoca_tf.capture.dataset import encode_dataset, list_pictures
    from emoca_tf.errors import UserError
    from emoca_tf.faces.detect import quiet_stderr

    if output.suffix != ".npz" or output.is_dir():
        raise UserError(f"{output}: give a file ending in .npz")
    pictures = list_pictures(source)
    with quiet_stderr():  # TensorFlow's native libraries log while they load, whatever the log level
        from emoca_tf.capture.encoder import CodesEncoder
    encoder = CodesEncoder.from_files(weights or ("default",))

    def progress(waiting: Iterable[int], done: int) -> Iterable[int]:
        bar: Iterable[int] = tqdm(
            waiting, desc="encoding", unit="picture", initial=done, total=len(pictures), leave=False
        )
        return bar

    crop = whole_crop if no_detect else partial(detected_crop, scale=encoder.crop_scale)
    batch = min(batch, len(pictures))  # short batches are filled up
    settings = "no-detect" if no_detect else f"detect {encoder.crop_scale:.6f}"
    summary = encode_dataset(pictures, encoder, crop, output, batch=batch, settings=settings, progress=progress)
    skipped = [f"{name}: no face found" for name in summary.no_face]
    skipped += [f"{name}: {reason}" for name, reason in summary.unreadable]
    _write_skipped(output, skipped)
    click.echo(
        f"{output}: {summary.rows} rows, {summary.found} encoded, {len(summary.no_face)} without a face, "
        f"{len(summary.unreadable)} unreadable"
    )
    for line in skipped[:LISTED]:
        click.echo(f"  {line}", err=True)
    if len(skipped) > LISTED:
        click.echo(f"  ... and {len(skipped) - LISTED} more in {_skipped_file(output)}", err=True)


def _skipped_file(output: Path) -> Path:
    return output.with_name(f"{output.name}.skipped.txt")


def _write_skipped(output: Path, lines: list[str]) -> None:
    """Every picture without codes and why; an older list goes away when there are none."""
    from emoca_tf.io.atomic import atomic_path

    if not lines:
        _skipped_file(output).unlink(missing_ok=True)
        return
    with atomic_path(_skipped_file(output)) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
