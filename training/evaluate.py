"""Measure: emotion from codes or from any features, and geometry. ``python training/evaluate.py --help``.

Of stored codes   ``--dataset codes:CODES/default_fer_dev.npz --readout runs/readout_mobile``
By the read-out   ``--dataset affectnet:/data/AffectNet,split=validation --run runs/coarse --readout runs/readout``
Any features      ``--dataset D --features test.npz --train T --train-features train.npz [--dev D --dev-features F]``
Write features    ``--dataset D --run runs/coarse --extract codes.npz``
Geometry          ``--dataset synthetic --run runs/distill --geometry``
NoW's layout      ``--now PREDICTIONS [--now-truth SCANS]``
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # started as a script: import the packages beside training/, not those inside it
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import click
import numpy as np

from emoca_tf.cli import run
from emoca_tf.errors import UserError
from emoca_tf.io.atomic import write_text
from emoca_tf.io.npz import write_npz
from training import published
from training.config import Config, from_json

BATCH = 16


def run_config(folder: Path) -> Config:
    """The configuration of a finished run.

    Raises:
        UserError: no run there.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise UserError(f"{folder}: no config.json there; --run takes a run directory of training/train.py")
    return from_json(path.read_text(encoding="utf-8"))


class Codes:
    """The encoders of a run, from pictures to codes.

    Args:
        folder: the run directory.
    """

    def __init__(self, folder: Path) -> None:
        from training.networks import Reconstruction, initialise
        from training.scene import Scene

        self.config = run_config(folder)
        self.scene = Scene(self.config.head, self.config.albedo)
        self.encoders = Reconstruction(
            self.config.family, self.scene.model, self.config.layout, shrink=self.config.shrink
        )
        self.loaded = initialise(self.encoders.models, [str(folder)])
        missing = self.encoders.models.keys() - {line.partition(":")[0] for line in self.loaded}
        if missing - {"E_expression"}:
            raise UserError(f"{folder} lacks {', '.join(sorted(missing))}; give the run that holds all encoders")
        self.coarse_only = "E_expression" in missing

    def __call__(self, images: Any) -> Any:
        return self.encoders.coarse(images) if self.coarse_only else self.encoders.encode(images)


def pictures(source: Any, limit: int, words: str) -> Iterator[dict[str, Any]]:
    """Batches in order, with a bar."""
    from tqdm import tqdm

    from training.datasets.pipeline import InputReport, batches

    report = InputReport()
    total = min(len(source), limit or len(source))
    with tqdm(total=total, desc=words, unit="face") as bar:
        for batch in batches(source, batch_size=BATCH, seed=0, training=False, report=report):
            count = min(BATCH, total - bar.n)
            yield {name: value[:count] for name, value in batch.items()}
            bar.update(min(len(batch["id"]), count))
            if bar.n >= total:
                break
    if report.bad:
        click.echo(f"{len(report.bad)} pictures could not be read, such as {next(iter(report.bad.items()))}", err=True)


def expression_features(codes: Any) -> np.ndarray:
    """Expression and jaw, without identity, pose or camera: what the protocol compares."""
    return np.concatenate([codes.exp.numpy(), codes.pose.numpy()[:, 3:6]], 1)


def extract(encoders: Codes, source: Any, target: Path, limit: int) -> None:
    """Write ``id`` and ``feat`` (expression, jaw) of every picture."""
    ids, rows = [], []
    for batch in pictures(source, limit, "codes"):
        ids += [name.decode() for name in batch["id"].numpy()]
        rows.append(expression_features(encoders(batch["image"])))
    if not ids:
        raise UserError("no picture could be read; nothing written")
    write_npz(target, {"id": np.array(ids), "feat": np.concatenate(rows).astype(np.float32)})
    click.echo(f"{len(ids)} x {rows[0].shape[1]} features (expression, jaw): {target}")


def by_readout(encoders: Codes | None, folder: Path, source: Any, limit: int, classes: int) -> list[Any]:
    """Rows of the table by a trained read-out; without encoders the source brings the codes itself."""
    from emoca_tf.flame.head import HeadModel
    from training.networks import initialise, readout_code, readout_network
    from training.probe import Split, measured
    from training.scene import truth_codes

    config = run_config(folder)
    kind = config.readout
    network = readout_network(HeadModel.load(config.head), kind)
    initialise({"readout": network}, [str(folder)])
    kept: dict[str, list[np.ndarray]] = {}
    for batch in pictures(source, limit, "read-out"):
        codes = truth_codes(batch) if encoders is None else encoders(batch["image"])
        seen = network(readout_code(kind, codes), training=False)
        values = {
            "class": seen["expression"].numpy()[:, :classes].argmax(1),
            **{f"predicted {name}": seen[name].numpy()[:, 0] for name in ("valence", "arousal")},
            **{name: batch[name].numpy() for name in ("expression", "valence", "arousal")},
        }
        for name, value in values.items():
            kept.setdefault(name, []).append(value)
    found = {name: np.concatenate(parts) for name, parts in kept.items()}
    count = len(found["class"])
    groups = np.arange(count) if source.persons is None else np.asarray(source.persons)[:count]
    keep = found["expression"] < classes
    split = Split(
        np.zeros((int(keep.sum()), 1)),
        found["expression"][keep], found["valence"][keep], found["arousal"][keep], groups[keep],
    )  # fmt: skip
    values = {name: found[f"predicted {name}"][keep] for name in ("valence", "arousal")}
    return measured(split, found["class"][keep], values)


def by_probe(kind: str, train: Any, dev: Any, test: Any) -> list[Any]:
    """Rows of the table by a probe fitted here; see :mod:`training.probe`."""
    from training.probe import Probe, measured

    probe = Probe(kind, train, dev)
    click.echo(
        f"{kind}: chosen {json.dumps(probe.setting)}; {int(test.found.sum())} of {len(test.found)} have features"
    )
    return measured(test, probe.classes(test), {name: probe.values(name, test) for name in ("valence", "arousal")})


def geometry(encoders: Codes, source: Any, limit: int) -> dict[str, dict[str, float]]:
    """Plain and NoW-style errors on pictures with known truth, pose and expression taken out of the latter."""
    import tensorflow as tf

    from training import geometry as measure
    from training.scene import truth_codes

    scene, kept = encoders.scene, {"plain": [], "expression": [], "NoW-style": []}  # type: ignore[var-annotated]
    face = np.unique(scene.model.masks.get("face", np.arange(scene.model.n_vertices)))
    for batch in pictures(source, limit, "geometry"):
        if "exp" not in batch:
            raise UserError("--geometry needs pictures with known truth: --dataset synthetic")
        codes, truth = encoders(batch["image"]), truth_codes(batch)
        same = codes.replace(neck_pose=truth.neck_pose, eye_pose=truth.eye_pose)
        still = tf.zeros_like(truth.pose)
        pairs = {
            "plain": (same, truth),
            "expression": (
                truth.replace(exp=codes.exp, pose=tf.concat([truth.pose[:, :3], codes.pose[:, 3:]], 1)),
                truth,
            ),
        }
        for name, (mine, true) in pairs.items():
            heads = [
                scene.flame(c.shape, c.exp, c.pose, c.neck_pose, c.eye_pose).vertices.numpy() for c in (mine, true)
            ]
            kept[name].append(measure.vertex_errors(heads[0][:, face], heads[1][:, face]).ravel())
        neutral = [scene.flame(c.shape, tf.zeros_like(c.exp), still) for c in (codes, truth)]
        for mine, true in zip(
            *(zip(h.vertices.numpy(), h.landmarks2d.numpy(), strict=True) for h in neutral), strict=True
        ):
            inner = [marks[17:][list(measure.NOW_LANDMARKS)] for marks in (mine[1], true[1])]
            prediction = measure.Prediction("", mine[0], scene.model.f, inner[0])
            kept["NoW-style"].append(measure.scan_to_mesh(true[0][face], inner[1], prediction) * measure.MILLIMETRES)
    return {name: measure.summary(np.concatenate(parts)) for name, parts in kept.items()}


def now(predictions: Path, truth: Path | None) -> list[str]:
    """What is in a folder of NoW predictions; with scans (same layout), their distances in millimetres."""
    from training.geometry import read_now_predictions, scan_to_mesh, summary

    found = read_now_predictions(predictions)
    lines = [f"{len(found)} predictions with seven landmarks each, such as {found[0].name}"]
    if truth is None:
        return lines
    scans = {scan.name: scan for scan in read_now_predictions(truth)}
    pairs = [(p, scans[p.name]) for p in found if p.name in scans]
    if not pairs:
        raise UserError(f"no prediction has a scan of its name in {truth}")
    distances = np.concatenate([scan_to_mesh(scan.vertices, scan.landmarks, p) for p, scan in pairs])
    lines.append(f"{len(pairs)} of them against scans, in the scans' unit: {numbers(summary(distances))}")
    return lines


def numbers(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in values.items())


def emotion_rows(options: dict[str, Any], source: Any) -> list[Any]:
    """The table that the options ask for.

    Raises:
        UserError: options that do not go together.
    """
    from training.inputs import open_source
    from training.probe import read_features, split_of

    if options["features"] is None:
        stored = options["dataset"].startswith("codes:")
        if (options["run"] is None and not stored) or options["readout"] is None:
            raise UserError("give --run and --readout, or --features with --train and --train-features")
        encoders = None if stored else Codes(options["run"])
        return by_readout(encoders, options["readout"], source, options["limit"], options["classes"])
    if options["train"] is None or options["train_features"] is None:
        raise UserError("--features needs --train and --train-features to fit the probe on")

    def split(spec: str, path: Path) -> Any:
        return split_of(open_source(spec, Config(), 0), read_features(path), spec, options["classes"])

    train = split(options["train"], options["train_features"])
    dev = split(options["dev"], options["dev_features"]) if options["dev"] and options["dev_features"] else train
    if dev is train:
        click.echo("no --dev given: the probe's setting is chosen on the training data", err=True)
    return by_probe(options["probe"], train, dev, split(options["dataset"], options["features"]))


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--dataset", default="synthetic", help="kind:path,option=value as in recipes.")
@click.option("--run", type=click.Path(path_type=Path), help="Run directory whose encoders are measured.")
@click.option("--readout", type=click.Path(path_type=Path), help="Run directory of a read-out.")
@click.option("--features", type=click.Path(path_type=Path), help="Features of the data set: .npz of id and feat.")
@click.option("--train", help="Data set to fit the probe on.")
@click.option("--train-features", type=click.Path(path_type=Path))
@click.option("--dev", help="Data set to choose the probe's setting on.")
@click.option("--dev-features", type=click.Path(path_type=Path))
@click.option("--probe", type=click.Choice(["logreg", "mlp"]), default="logreg")
@click.option("--classes", type=click.Choice(["7", "8"]), default="7", help="7 leaves contempt out.")
@click.option("--extract", "target", type=click.Path(path_type=Path), help="Write features and stop.")
@click.option("--geometry", "with_geometry", is_flag=True, help="Vertex errors on synthetic truth.")
@click.option("--now", "now_folder", type=click.Path(path_type=Path), help="Folder of NoW predictions.")
@click.option("--now-truth", type=click.Path(path_type=Path), help="Scans in the same layout.")
@click.option("--limit", type=int, default=0, help="Only so many pictures; 0 is all.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the table as Markdown, too.")
def command(**options: Any) -> None:
    from training.inputs import open_source
    from training.probe import table

    options["classes"] = int(options["classes"])
    if options["now_folder"]:
        text = "\n".join([*now(options["now_folder"], options["now_truth"]), published.NOW])
        click.echo(text)
        return
    if (options["target"] or options["with_geometry"]) and options["run"] is None:
        raise UserError("--extract and --geometry need --run RUN_DIRECTORY")
    source = None
    if options["features"] is None:
        settings = run_config(options["run"]) if options["run"] else Config()
        default = 256 if options["dataset"].startswith("synthetic") and not options["limit"] else options["limit"]
        options["limit"] = default
        source = open_source(options["dataset"], settings, 90_001)  # other faces than any training run's
    if options["target"]:
        extract(Codes(options["run"]), source, options["target"], options["limit"])
        return
    if options["with_geometry"]:
        found = geometry(Codes(options["run"]), source, options["limit"])
        rows = [f"| {name} | {v['median']:.2f} | {v['mean']:.2f} | {v['std']:.2f} |" for name, v in found.items()]
        text = "\n".join(["| error, mm | median | mean | std |", "|---|---|---|---|", *rows, "", published.NOW])
    else:
        kind = options["dataset"].partition(":")[0]
        measured = emotion_rows(options, source)
        beside = published.beside_emotion(kind, measured, f"{options['dataset']}, {options['classes']} classes")
        text = "\n\n".join(part for part in (options["dataset"], table(measured), beside) if part)
    click.echo(text)
    if options["out"]:
        write_text(options["out"], text + "\n")


def main(argv: list[str] | None = None) -> int:
    """The command with one-line errors; returns the exit code."""
    return run(command, "evaluate", argv)


if __name__ == "__main__":
    sys.exit(main())
