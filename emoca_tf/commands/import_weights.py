"""``emoca-tf import-weights``: an official checkpoint to a weights file of ours."""

from __future__ import annotations

import time
from pathlib import Path

import click


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The .npz or .keras to write.")
@click.option("--strict/--no-strict", default=True, help="Refuse missing and unknown entries (default), or list them.")
@click.option(
    "--global-rotation",
    is_flag=True,
    help="An expression encoder of 53 outputs holds the global rotation, not the jaw.",
)
def command(checkpoint: Path, output: Path, strict: bool, global_rotation: bool) -> None:
    """Convert CHECKPOINT: DECA (deca_model.tar), EMOCA (.ckpt), SMIRK (SMIRK_em1.pt), EMOCA's emotion network (.ckpt),
    EmoDECA (.ckpt), VGGFace2 (resnet50_ft_weight.pkl) or VGG19 (.pth).

    The file is read as data: nothing in it is executed, torch is not needed. A card with source, hash and licence
    appears beside the output.
    """
    import os

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from emoca_tf.faces.detect import quiet_stderr
    from emoca_tf.weights.official import import_weights
    from emoca_tf.weights.torch_layout import listed

    start = time.perf_counter()
    with quiet_stderr():  # TensorFlow's native libraries log while they load, whatever the log level
        done = import_weights(checkpoint, output, strict=strict, replaces_global=global_rotation)
    card = done.card
    click.echo(card.title)
    for network, count in card.networks.items():
        click.echo(f"  {network:<20} {count:>12,} parameters")
    if "layout" in card.config:
        click.echo(f"  expression layout: {card.config['layout']}; detail branch: {_yes(card.config['with_detail'])}")
    for name, entries in (("missing", card.missing), ("unused", card.unused)):
        if entries:
            click.echo(f"  {listed(name, entries)}")
    click.echo(
        f"{done.path}: {done.loaded} entries in {time.perf_counter() - start:.1f} s, {card.ignored} others not needed; "
        f"card: {done.card_path}"
    )
    click.echo(f"Licence: {card.licence}")


def _yes(value: bool) -> str:
    return "yes" if value else "no"
