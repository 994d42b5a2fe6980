"""The mean of exported weights: ``python -m training.average A.npz B.npz -o MEAN.npz``.

For runs that part from one common start: their weights lie in one basin, and the mean is at least as good as each, at
no cost (model soups, Wortsman et al., ICML 2022). Files of ``training/export_preset.py`` go in, with the gain that
they are to have; what comes out has their layout, and a card that tells what all of them were trained with.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from emoca_tf.cli import run
from emoca_tf.errors import UserError
from emoca_tf.io.atomic import atomic_path
from emoca_tf.io.npz import read_npz, write_npz
from emoca_tf.weights.card import Card
from emoca_tf.weights.torch_layout import META
from training.export_preset import unique


def mean(paths: Sequence[Path]) -> dict[str, np.ndarray]:
    """Arrays and card of the mean.

    Args:
        paths: two or more files with the same arrays, for the same head.

    Raises:
        UserError: fewer than two files, one without a card, or files that do not hold the same networks.
    """
    if len(paths) < 2:
        raise UserError("one file is its own mean; give two or more")
    files = [read_npz(path) for path in paths]
    cards = [_card(stored, path) for stored, path in zip(files, paths, strict=True)]
    first = files[0]
    for path, stored, card in zip(paths[1:], files[1:], cards[1:], strict=True):
        if {k: v.shape for k, v in stored.items()} != {k: v.shape for k, v in first.items()}:
            raise UserError(f"{path} does not hold the same networks as {paths[0]}; export both the same way")
        if card.head != cards[0].head:
            raise UserError(f"{path} was made for another head than {paths[0]}")
        keys = sorted(card.config.keys() | cards[0].config)
        differ = [key for key in keys if card.config.get(key) != cards[0].config.get(key)]
        if differ:
            raise UserError(
                f"{path} and {paths[0]} differ in {', '.join(differ)}; export both with this version: "
                "python -m training.export_preset FILE -o NEW.npz"
            )
    arrays = {
        name: np.mean([stored[name].astype(np.float64) for stored in files], 0).astype(value.dtype)
        for name, value in first.items()
    }
    runs = unique(each for card in cards for each in card.training)
    return arrays | {META: replace(cards[0], training=runs).to_array()}


def _card(stored: dict[str, np.ndarray], path: Path) -> Card:
    """Takes the card out of the arrays."""
    if META not in stored:
        raise UserError(f"{path} has no card; give files of training.export_preset")
    return Card.from_json(stored.pop(META).tobytes(), str(path))


@click.command(help=__doc__)
@click.argument("sources", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-o", "--out", "output", required=True, type=click.Path(path_type=Path), help="The .npz to write.")
def command(sources: tuple[Path, ...], output: Path) -> None:
    if output.suffix != ".npz":
        raise UserError(f"{output}: give a file ending in .npz")
    arrays = mean(sources)
    with atomic_path(output) as temporary:
        write_npz(temporary, arrays, compress=False)
    click.echo(f"{output}: the mean of {len(sources)} files, {output.stat().st_size:,} bytes")


if __name__ == "__main__":
    sys.exit(run(command, "average"))
