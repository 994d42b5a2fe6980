"""How well emotions can be read from our codes, beside MediaPipe's blendshapes and the image features of networks.

Run: ``python benchmarks/emotion.py --data FOLDER --weights default --blendshapes --network default``
For checkpoints: ``python benchmarks/emotion.py --data FOLDER --weights runs/mobile --readout logreg``

Every description goes through the same read-outs (``training/probe.py``): trained on the training pictures of a data
set, their one setting chosen and their recall measured on its development pictures, so all rows are a little
optimistic in the same way. Codes are 50 expression and 3 jaw coefficients (2 eyelids where the head has them), never
shape, pose or camera. UAR is the mean recall over the classes with at least 10 development pictures; a picture without
features counts as wrong. Pictures of ``mux`` are cropped by their landmarks as for the encoders; those of ``fer`` are
48 x 48 crops without landmarks and taken whole, as :class:`training.datasets.packed.Mosaics` gives them.

The data are research data and not part of this project; ``training/emotion_scores.py`` says how FOLDER is laid out.
Without it nothing is measured.

``--save FOLDER`` keeps the features as ``NAME_DATA_SPLIT.npz`` of ``id``, ``feat`` and ``expression``, for
``training/evaluate.py`` and for the read-out's recipe (``data=codes:FILE``).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # started as a script
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import click
import numpy as np

from emoca_tf.cli import run
from emoca_tf.errors import UserError
from emoca_tf.io.atomic import write_text

DATA = "EMOCA_TF_DATA"
BLENDSHAPES = {"mux": "faces_real/mux_{}_blendshapes_pose.npz", "fer": "fer2013/fer_{}_blendshapes.npz"}


class Bench:
    """Measures one description after the other and keeps the rows."""

    def __init__(self, folder: Path, readouts: tuple[str, ...], limit: int, save: Path | None) -> None:
        from training.emotion_scores import corpora

        self.folder, self.readouts, self.save = folder, readouts, save
        self.sets = corpora(folder, limit)
        self.rows: list[tuple[str, Any]] = []

    def network(self, name: str, describe: Any) -> None:
        """A description that comes from pictures."""
        from training.emotion_scores import extract

        for corpus in self.sets:
            parts = [
                extract(describe, source, f"{name}, {corpus.name} {part}")
                for part, source in (("train", corpus.train), ("dev", corpus.dev))
            ]
            self._add(name, corpus, parts)

    def as_is(self, name: str, logits: Any) -> None:
        """A network's own classes."""
        from training.emotion_scores import extract, score_as_is

        for corpus in self.sets:
            found = extract(logits, corpus.dev, f"{name}, {corpus.name} dev")
            self._show(name, score_as_is(corpus, found))

    def blendshapes(self) -> None:
        """MediaPipe's 52, made beforehand."""
        for corpus in self.sets:
            files = [self.folder / BLENDSHAPES[corpus.name].format(split) for split in ("train", "dev")]
            self._add("MediaPipe blendshapes", corpus, [_stored(file) for file in files])

    def _add(self, name: str, corpus: Any, parts: list[Any]) -> None:
        from emoca_tf.io.npz import write_npz
        from training.emotion_scores import score

        if self.save:
            self.save.mkdir(parents=True, exist_ok=True)
            for split, source, rows in zip(("train", "dev"), (corpus.train, corpus.dev), parts, strict=True):
                known = dict(zip(map(str, source.ids), source.labels.expression, strict=True))
                arrays = {
                    "id": np.array(list(rows)),
                    "feat": np.stack(list(rows.values())).astype(np.float32),
                    "expression": np.array([known.get(name, -1) for name in rows], np.int32),
                }
                write_npz(self.save / f"{Path(name.split()[-1]).stem}_{corpus.name}_{split}.npz", arrays)
        for readout in self.readouts:
            self._show(name, score(corpus, *parts, readout))

    def _show(self, name: str, one: Any) -> None:
        self.rows.append((name, one))
        click.echo(f"{name}: {one.corpus} {one.readout} accuracy {one.accuracy:.3f} UAR {one.uar:.3f}", err=True)


def _stored(path: Path) -> dict[str, np.ndarray]:
    from emoca_tf.io.npz import read_npz

    if not path.is_file():
        raise UserError(f"{path}: no such file; leave out --blendshapes or put it there")
    arrays = read_npz(path)
    return {str(name): row.astype(np.float64) for name, row in zip(arrays["id"], arrays["blendshapes"], strict=True)}


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--data", type=click.Path(path_type=Path), envvar=DATA, help=f"Folder of the data; or set {DATA}.")
@click.option("--weights", multiple=True, help="Codes of a preset, file of weights or run directory; repeatable.")
@click.option("--blendshapes", is_flag=True, help="MediaPipe's 52 blendshapes (stored beside the data).")
@click.option("--network", "networks", multiple=True, help="Image features of an emotion network: default, file, run.")
@click.option("--readout", "readouts", multiple=True, type=click.Choice(["logreg", "mlp"]), help="Default: both.")
@click.option("--train-limit", type=int, default=0, help="Train read-outs on so many pictures a data set; 0: all.")
@click.option("--threads", type=int, default=0, help="Threads of TensorFlow and the read-outs; 0: all cores.")
@click.option("--save", type=click.Path(path_type=Path), help="Keep the features there.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the table as Markdown, too.")
def command(**options: Any) -> None:
    folder = options["data"]
    if folder is None or not folder.is_dir():
        where = "no --data given" if folder is None else f"{folder} does not exist"
        click.echo(f"nothing measured: {where}; the labelled pictures are not part of this project (see --help)")
        return
    if options["threads"]:
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ[name] = str(options["threads"])
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(options["threads"])
        tf.config.threading.set_inter_op_parallelism_threads(options["threads"])
    from training.describers import emotion_network, expression_codes
    from training.emotion_scores import table

    bench = Bench(folder, options["readouts"] or ("logreg", "mlp"), options["train_limit"], options["save"])
    for source in options["weights"]:
        bench.network(f"our codes, {source}", expression_codes(source))
    if options["blendshapes"]:
        bench.blendshapes()
    for source in options["networks"]:
        eye = emotion_network(source)
        bench.as_is(f"emotion network {source}", lambda images, eye=eye: eye.probabilities(images))
        bench.network(f"features of emotion network {source}", eye.features)
    if not bench.rows:
        raise UserError("nothing to measure; give --weights, --blendshapes or --network")
    text = table(bench.rows)
    click.echo(text)
    if options["out"]:
        write_text(options["out"], text + "\n")


if __name__ == "__main__":
    sys.exit(run(command, "emotion"))
