"""Train EMOCA: ``python training/train.py [RECIPE] [--set key=value ...] [--out DIR] [--resume] [--dry-run]``.

Without arguments the recipe ``default`` runs on embedded data in minutes. A run directory holds ``config.json``,
``metrics.csv``, ``tensorboard/``, ``pictures/``, ``checkpoints/`` (last and best), ``models/`` and ``report.html``.
"""

from __future__ import annotations

import math
import resource
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # started as a script: import the packages beside training/, not those inside it
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import click

from emoca_tf.cli import run
from emoca_tf.errors import UserError
from emoca_tf.io.atomic import atomic_path, write_text
from training.config import Config, differences, from_json, load_recipe, recipe_names, with_settings

RESUMABLE = ("steps", "patience", "log_every", "picture_every", "validate_every", "checkpoint_every")
"""Settings that may differ from those that a run was started with."""


class Run:
    """A run directory and everything that is trained in it.

    Args:
        name: of the recipe.
        purpose: the recipe's docstring, for the report.
        config: what to do.
        folder: the run directory.
        build_stage: makes the stage; by default the one that the configuration names.
        open_sources: opens the data; by default those that the configuration names.
    """

    def __init__(
        self,
        name: str,
        purpose: str,
        config: Config,
        folder: Path,
        build_stage: Callable[[Config], Any] | None = None,
        open_sources: Callable[[Config], Any] | None = None,
    ) -> None:
        from training import inputs, stages
        from training.loop import Trainer
        from training.machines import prepare, workers

        self.name, self.purpose, self.config, self.folder = name, purpose, config, folder
        self.strategy, self.chief = prepare(config), workers()[0] == 0
        self.sources = (open_sources or inputs.open_sources)(config)
        with self.strategy.scope():
            self.stage = (build_stage or stages.build)(config)
        self.stage.prepare(self.sources.training.labels)
        self.trainer = Trainer(self.stage, config, self.strategy)
        self.state = self.trainer.state()
        self.last, self.best = folder / "checkpoints/last.npz", folder / "checkpoints/best.npz"
        self.stop = False

    def batches(self, start: int, training: bool = True) -> Iterator[Any]:
        """Batches from position ``start``; validation batches are the same ones each time."""
        from training import inputs
        from training.loop import distribute

        def shard(part: tuple[int, int]) -> Any:
            return inputs.batches(self.sources, self.config, part, start, training)

        return distribute(shard, self.strategy)

    def train(self, resume: bool) -> int:
        """The loop: draw, step, watch, log, validate, keep. Returns the exit code: 0, or 130 when interrupted."""
        from training.checkpoint import Progress
        from training.journal import Journal

        config = self.config
        progress = self.state.restore(self.last) if resume else Progress()
        journal = Journal(self.folder, progress.step, config.steps) if self.chief else None
        batches = self.batches(progress.step)
        batch: Any = None
        for step in range(config.steps if self.exhausted(progress) else progress.step, config.steps):
            began = time.perf_counter()
            batch = next(batches)
            drawn = time.perf_counter()
            values = self.step(batch, step)
            ended = time.perf_counter()
            wait = (drawn - began) / (ended - began)
            done, stopping = step + 1, self.stop
            final = done == config.steps
            row = values | {"seconds": ended - began, "input_wait": wait}
            if done % config.validate_every == 0 or final:
                progress = self.validate(done, progress, row)
                final = final or self.exhausted(progress)
            progress = Progress(done, progress.best, progress.best_step, progress.stale)
            if journal:
                if done % config.log_every == 0 or final or "val/loss" in row:
                    journal.record(done, self.complete(row))
                if done % config.picture_every == 0 or done == 1 or final:
                    journal.picture(done, self.picture(done, batch))
                if done % config.checkpoint_every == 0 or final or stopping:
                    self.state.save(self.last, progress)
                journal.advance(values["loss"], wait)
            if final or stopping:
                break
        if journal:
            journal.close()
        if progress.step < config.steps and not self.exhausted(progress):
            again = shlex.join(["python", "training/train.py", self.name, "--out", str(self.folder), "--resume"])
            click.echo(f"stopped after step {progress.step}; go on with: {again}", err=True)
            return 130
        if self.chief:
            self.finish(progress)
        return 0

    def exhausted(self, progress: Any) -> bool:
        """Whether validation has not improved for ``patience`` times."""
        return bool(self.config.patience and progress.stale >= self.config.patience)

    def step(self, batch: Any, step: int) -> dict[str, float]:
        """One update; the values as Python numbers.

        Raises:
            UserError: the loss or the gradient is not finite; nothing is saved after that.
        """
        import tensorflow as tf

        given, ids = _without_ids(batch)
        values = {k: float(v) for k, v in self.trainer.train_step(given, tf.constant(step, tf.int64)).items()}
        broken = [name for name, value in values.items() if not math.isfinite(value)]
        if self.config.precision == "mixed_float16" and broken == ["gradient_norm"]:
            return values  # the loss scale was too large; that step is skipped and the scale halved
        if broken:
            raise UserError(
                f"step {step + 1}: {', '.join(broken)} not finite on pictures {', '.join(ids)}; "
                f"the last good checkpoint is {self.last if self.last.exists() else 'none yet'}; "
                f"lower learning_rate or set clip_norm, then --resume"
            )
        return values

    def validate(self, step: int, progress: Any, row: dict[str, float]) -> Any:
        """Mean terms over the validation batches into ``row``; keeps the best checkpoint."""
        from training.checkpoint import Progress

        sums: dict[str, float] = {}
        with self.trainer.averaged():
            batches = self.batches(0, training=False)
            for _ in range(self.config.validation_batches):
                values = self.trainer.validation_step(_without_ids(next(batches))[0])
                for name, value in values.items():
                    sums[name] = sums.get(name, 0.0) + float(value) / self.config.validation_batches
        row |= {f"val/{name}": value for name, value in sums.items()}
        if not sums["loss"] < progress.best:  # not a number is no improvement either
            return Progress(step, progress.best, progress.best_step, progress.stale + 1)
        progress = Progress(step, sums["loss"], step, 0)
        if self.chief:
            with self.trainer.averaged():
                self.state.save(self.best, progress)
        return progress

    def complete(self, row: dict[str, float]) -> dict[str, float]:
        """The row with a place for every validation value, so that all rows have the same columns."""
        terms = [name for name in row if name not in ("seconds", "input_wait") and not name.startswith("val/")]
        blank: dict[str, Any] = {f"val/{name}": "" for name in terms if name != "gradient_norm"}
        return {name: row[name] for name in (*terms, "seconds", "input_wait")} | blank | row

    def picture(self, step: int, batch: Any) -> Any:
        """A sheet of what the networks see, written to ``pictures/`` and returned."""
        from training.pictures import save_picture, sheet

        with self.trainer.averaged():
            made = sheet(self.stage.pictures(_without_ids(self.strategy.experimental_local_results(batch)[0])[0]))
        save_picture(self.folder / f"pictures/step_{step:07d}.png", made)
        return made

    def finish(self, progress: Any) -> None:
        """Write the networks and the report."""
        from training.journal import read_metrics, series
        from training.report import write_report

        with self.trainer.averaged():
            for name, model in self.stage.networks.items():
                with atomic_path(self.folder / f"models/{name}.keras") as temporary:
                    model.save(temporary)
        rows = read_metrics(self.folder / "metrics.csv")
        seconds, wait = (series(rows, name)[1][1:] for name in ("seconds", "input_wait"))
        notes = [*self.stage.describe(), *self.stage.loaded]
        if len(seconds):
            share, each = float((wait * seconds).sum() / seconds.sum()), seconds.mean() / self.config.batch_size * 1e3
            notes.append(f"{each:.1f} ms per picture, input wait {share:.1%} of the time")
        report = write_report(self.folder, self.name, self.purpose, self.config, progress, notes)
        click.echo(f"{progress.step} steps done; {notes[-1]}\nreport: {report}\nmodels: {self.folder / 'models'}")

    def dry_run(self) -> None:
        """Print what would be done and what it would cost; trains two steps in memory, writes nothing."""
        batches = self.batches(0)
        seconds = []
        for step in range(3):  # the first one compiles
            began = time.perf_counter()
            self.step(next(batches), step)
            seconds.append(time.perf_counter() - began)
        total = min(seconds[1:]) * self.config.steps
        click.echo(self.config.to_json())
        click.echo("\n".join([*self.stage.describe(), *self.stage.loaded, *self.sources.lines()]))
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        size = self.config.batch_size
        click.echo(f"first step {seconds[0]:.1f} s (compiles), then {min(seconds[1:]):.3f} s a step of {size} pictures")
        click.echo(f"memory: {memory:.2f} GiB at most so far")
        click.echo(f"estimated total for {self.config.steps} steps without validation: {_duration(total)}")


def _without_ids(batch: Any) -> tuple[Any, list[str]]:
    """The tensors for a step, and the pictures' names for people."""
    ids = batch["id"]
    parts = ids.values if hasattr(ids, "values") else [ids]
    names = [name.decode(errors="replace") for part in parts for name in part.numpy().ravel()]
    return {name: value for name, value in batch.items() if name != "id"}, names


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds > 5400 else f"{seconds / 60:.1f} minutes"


def choose_folder(name: str, out: Path | None, resume: bool) -> Path:
    """Where the run lives: ``out``, or ``runs/NAME``, ``runs/NAME-2``, ... (the newest one to resume).

    Raises:
        UserError: something is there already and ``--resume`` was not given, or nothing is there to resume.
    """
    if out is None:
        numbered = [Path("runs") / (name if k == 1 else f"{name}-{k}") for k in range(1, 1000)]
        free = next(k for k, path in enumerate(numbered) if not path.exists())
        out = numbered[max(free - 1, 0) if resume else free]
    if resume and not (out / "config.json").exists():
        raise UserError(f"{out}: nothing to resume there (no config.json)")
    if not resume and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} exists and is not empty; add --resume to go on with it, or choose another --out")
    return out


def check_same(stored: Config, config: Config) -> None:
    """A resumed run has to be the run that was started.

    Raises:
        UserError: a setting differs that would change the result.
    """
    free = [key for key in RESUMABLE if key != "steps" or stored.schedule == "constant"]  # a schedule depends on steps
    changed = {key: values for key, values in differences(stored, config).items() if key not in free}
    if changed:
        listed = "; ".join(f"{key} was {old}, now {new}" for key, (old, new) in changed.items())
        raise UserError(f"cannot resume with other settings: {listed}; start a new run with --out")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("recipe", default="default")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one setting; may be repeated.")
@click.option("--out", type=click.Path(path_type=Path), help="Run directory (default: runs/RECIPE).")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint.")
@click.option("--dry-run", is_flag=True, help="Print settings, sizes, time and memory; write nothing.")
@click.option("--list", "show", is_flag=True, help="List the recipes.")
def command(recipe: str, settings: tuple[str, ...], out: Path | None, resume: bool, dry_run: bool, show: bool) -> None:
    """Train RECIPE (a name in training/recipes; without one: default, minutes on embedded data)."""
    if show:
        for name in recipe_names():
            click.echo(f"{name:22s} {(load_recipe(name)[1].__doc__ or '').strip().splitlines()[0]}")
        return
    config, module = load_recipe(recipe)
    name = module.__name__.rpartition(".")[2]
    from training.machines import workers

    chief = workers()[0] == 0
    if out is None and not chief:
        raise UserError("with several workers give them all the same --out")
    if out is None or (chief and not dry_run):
        out = choose_folder(name, out, resume)
    folder = out
    stored = from_json((folder / "config.json").read_text(encoding="utf-8")) if resume else None
    config = with_settings(stored or config, settings)
    if stored is not None:
        check_same(stored, config)
    job = Run(name, module.__doc__ or "", config, folder)
    if dry_run:
        job.dry_run()
        return
    if chief:
        write_text(folder / "config.json", config.to_json())
    with stops_between_steps(job):
        code = job.train(resume=resume and job.last.exists())
    if code:
        raise click.exceptions.Exit(code)


@contextmanager
def stops_between_steps(job: Run) -> Iterator[None]:
    """Ctrl-C and SIGTERM let the step end and the checkpoint be written; a second one ends at once."""

    def handle(number: int, frame: Any) -> None:
        if job.stop:
            raise KeyboardInterrupt
        job.stop = True

    numbers = (signal.SIGINT, signal.SIGTERM)
    old = [signal.signal(number, handle) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, old, strict=True):
            signal.signal(number, handler)
        job.stop = False


def main(argv: list[str] | None = None, entry: Callable[..., int] = run) -> int:
    """The command with one-line errors; returns the exit code."""
    return entry(command, "train", argv)


if __name__ == "__main__":
    sys.exit(main())
