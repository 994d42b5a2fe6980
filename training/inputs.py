"""From ``data=kind:path`` to batches: opens the readers of ``training/datasets`` and keeps validation apart."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emoca_tf.errors import UserError
from emoca_tf.flame.head import HeadModel
from emoca_tf.rendering.albedo import AlbedoModel
from training.config import Config
from training.datasets import catalog
from training.datasets.augment import PRESETS
from training.datasets.mixture import Mixture
from training.datasets.movable import Movable
from training.datasets.pipeline import Batches, InputReport
from training.datasets.pipeline import batches as pipeline_batches
from training.datasets.source import Labels, Source
from training.datasets.taught import TEACHERS, Taught

ENDLESS = 1_000_000
HELD_OUT_EVERY = 20
VALIDATION_SEED = 7919  # added to the run's seed: other people, other pictures
STAGE_AUGMENT = {
    "emotion": "emotion", "coarse_pretrain": "deca", "coarse": "coarse", "detail": "detail", "readout": "none",
    "distill": "coarse",
}  # fmt: skip


@dataclass
class Sources:
    """Training and validation data of a run; ``report`` collects pictures that could not be read."""

    training: Source
    validation: Source
    report: InputReport

    def lines(self) -> list[str]:
        """Counts for people."""
        return [_counts("training", self.training), _counts("validation", self.validation)]


SHARE = re.compile(r"(?:(\d+)\*)?(.+)", re.DOTALL)


class Subset:
    """Some rows of a source, as a source."""

    def __init__(self, source: Source, rows: np.ndarray) -> None:
        self.source, self.rows = source, rows
        self.labels: Labels = source.labels.take(rows)
        self.persons: np.ndarray | None = None if source.persons is None else np.asarray(source.persons)[rows]
        self.ids: Sequence[str] = [source.ids[row] for row in rows]

    def __len__(self) -> int:
        return len(self.rows)

    def example(self, index: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return self.source.example(int(self.rows[index]), rng)


def open_source(spec: str, config: Config, seed: int) -> Source:
    """The source of ``kind``, ``kind:path`` or ``kind:path,option=value,...``; ``synthetic:plain`` has no surroundings.

    With ``known=expression`` rendered faces are mirrored, and gently moved, and give up their other codes.
    With ``teacher=blendshapes`` the photographs' own blendshapes, in a file beside them, and their labels teach the
    expression; with ``teacher=blendshapes-alone`` the labels say nothing.

    Raises:
        UserError: unknown kind (the nearest is suggested), the reader's complaint, or renders of another head.
    """
    kind, _, rest = spec.partition(":")
    path, *settings = rest.split(",")
    options: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise UserError(f"data {spec}: options are written option=value; received {setting!r}")
        options[key] = int(value) if value.isdecimal() else value
    if kind == "synthetic":
        if path not in ("", "plain"):
            raise UserError(f"{spec}: only 'synthetic' and 'synthetic:plain' (no surroundings) exist")
        options |= {
            "size": config.data_size or ENDLESS,
            "seed": seed,
            "images_per_person": config.ring,
            "head": HeadModel.load(config.head),
            "albedo": AlbedoModel.load(config.albedo),
            "clutter": path != "plain",
        }
        path = ""
    teacher, known = options.pop("teacher", None), options.pop("known", None)
    source = catalog.open_source(kind, path or None, **options)
    if kind == "rendered" and getattr(source, "head", "") != HeadModel.load(config.head).sha256():
        raise UserError(
            f"{path} shows another head or an older one, whose landmarks or codes differ; render it anew: "
            "python -m training.datasets.rendered"
        )
    if known is not None:
        if known != "expression":
            raise UserError(f"data {spec}: known=expression is all that there is; received {known!r}")
        source = Movable(source, HeadModel.load(config.head))
    if teacher is None:
        return source
    if teacher not in TEACHERS:
        raise UserError(f"data {spec}: the teachers are {' and '.join(TEACHERS)}; received {teacher!r}")
    return Taught.beside(source, Path(path), HeadModel.load(config.head), TEACHERS[teacher])


def open_sources(config: Config) -> Sources:
    """Training and validation data; ``SHARE*spec+SHARE*spec`` mixes several sources, each with its own validation part.

    Validation is its own source if given; ``train`` means the training pictures themselves; else other synthetic
    pictures, or every twentieth person (picture, where persons are unknown), which is then not trained on.
    """
    report = InputReport()
    specs = re.split(r"\+(?=\d+\*)", config.data)
    if len(specs) > 1:
        if config.validation:
            raise UserError("a mixture of sources brings its own validation pictures; leave validation empty")
        shares, names = zip(*(SHARE.fullmatch(spec).groups(default="1") for spec in specs), strict=True)  # type: ignore[union-attr]
        parts = [open_sources(dataclasses.replace(config, data=name)) for name in names]
        counts = [int(share) for share in shares]
        training, validation = (Mixture([getattr(p, k) for p in parts], counts) for k in ("training", "validation"))
        return Sources(training, validation, report)
    source = open_source(config.data, config, config.seed)
    if config.validation == "train":
        return Sources(source, source, report)
    if config.validation:
        return Sources(source, open_source(config.validation, config, config.seed + VALIDATION_SEED), report)
    if config.data.partition(":")[0] == "synthetic":
        return Sources(source, open_source(config.data, config, config.seed + VALIDATION_SEED), report)
    groups = np.arange(len(source)) if source.persons is None else np.unique(source.persons, return_inverse=True)[1]
    held = groups % HELD_OUT_EVERY == 0
    return Sources(Subset(source, np.flatnonzero(~held)), Subset(source, np.flatnonzero(held)), report)


def batches(sources: Sources, config: Config, shard: tuple[int, int], start: int, training: bool) -> Batches:
    """Batches of one replica; validation batches are always full and repeat the source if it is small."""
    size = config.batch_size // shard[1]
    if training:
        balanced = config.balanced and config.ring == 1 and bool((sources.training.labels.expression >= 0).any())
        return pipeline_batches(
            sources.training,
            batch_size=size,
            seed=config.seed,
            start_step=start,
            shard=shard,
            balanced=balanced,
            power=config.balance_power,
            augment=PRESETS[STAGE_AUGMENT[config.stage] if config.augment == "stage" else config.augment],
            ring=config.ring,
            report=sources.report,
        )
    # A fixed shuffled order gives full batches of every class from data that is sorted by class.
    return pipeline_batches(
        sources.validation,
        batch_size=size,
        seed=VALIDATION_SEED,
        start_step=start,
        shard=shard,
        ring=config.ring,
        report=sources.report,
    )


def _counts(name: str, source: Source) -> str:
    from training.datasets.source import EXPRESSIONS

    labels = source.labels
    classes = [f"{word} {int((labels.expression == k).sum())}" for k, word in enumerate(EXPRESSIONS)]
    rated = int(np.isfinite(labels.valence).sum())
    return f"{name}: {len(source)} pictures; {', '.join(classes)}; {rated} with valence and arousal"
