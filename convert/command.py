"""What ``convert --tflite`` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from tqdm import tqdm

from convert.quiet import silent
from emoca_tf.errors import UserError

if TYPE_CHECKING:
    from convert.jobs import Result, Workshop
    from convert.networks import Network

AUTO = ("float32", "float16", "int8-weights", "dynamic", "part-dynamic", "mixed", "int8", "int16x8", "int8-qat")
POSSIBLE = {
    "encoder": AUTO, "detail_encoder": AUTO[:-1], "emotion": AUTO, "readout": AUTO[:4], "head": AUTO[:3],
    "detail": AUTO[:-1],
}  # fmt: skip
"""Recipes by kind of network; ``int8-qat`` needs a tf_keras twin, and 8-bit codes would be too coarse for the head."""
_PICTURES = ("int8-weights", "float16")
DEFAULT = {
    "encoder": ("part-dynamic", *_PICTURES), "detail_encoder": _PICTURES, "emotion": _PICTURES, "readout": ("float16",),
    "head": ("int8-weights", "float16"), "detail": ("int8", "int8-weights", "float16"),
}  # fmt: skip
"""Without ``--recipe`` the first of these that passes and that the app's runtime can run.

8-bit activations everywhere are not among them: they change too many emotion classes. They are for who asks for them.
"""


@dataclass(frozen=True)
class Request:
    """The command line of ``convert --tflite``, see ``convert --help``."""

    model: str
    output: Path
    bundle: Path | None
    networks: tuple[str, ...]
    recipes: tuple[str, ...]
    data: str
    data_count: int
    judge_data: tuple[str, ...]
    judge_count: int
    integer_io: bool
    batch: int
    qat_steps: int
    head: str
    runtime: str


def convert_command(request: Request) -> None:
    """Convert, judge, write the reports; with ``--bundle`` also everything an app needs.

    Raises:
        UserError: a file did not pass its gates (all files and reports are written before).
    """
    from emoca_tf.flame.head import HeadModel

    if request.bundle is not None and (request.batch != 1 or request.integer_io):
        raise UserError("a bundle holds files for one face at a time with float32 inputs; leave out --batch and --io")
    for folder in filter(None, (request.output, request.bundle)):
        if folder.exists() and not folder.is_dir():
            raise UserError(f"{folder} is a file; give a folder for the results")
    with silent():  # TensorFlow's native libraries log while they load, whatever the log level
        from convert import report
        from convert.collection import collect
        from convert.data import check
        from convert.jobs import Settings, Workshop, choose, write
        from convert.networks import load_source
    for where in (request.data, *request.judge_data):
        check(where)
    source = load_source(request.model, HeadModel.load(request.head))
    networks = collect(source, request.networks)
    settings = Settings(
        calibration=request.data, calibration_count=request.data_count, judge=request.judge_data,
        judge_count=request.judge_count, batch=request.batch, integer_io=request.integer_io,
        qat_steps=request.qat_steps, runtime=request.runtime,
    )  # fmt: skip
    click.echo(f"weights: {source.origin} ({source.family}); head: {source.head.name}")
    if "readout" not in source.networks:
        click.echo("no emotion read-out in these weights: an app reads the emotion off the picture, with the network "
                   "'emotion'; train one with: training/train.py readout")  # fmt: skip
    workshop = Workshop(source, settings)
    kept: dict[str, Result] = {}
    results: list[Result] = []
    with tqdm(networks.values(), desc="converting", unit="network", leave=False) as bar:
        for network in bar:
            results += _attempts(workshop, network, _recipes(request, network.kind), bool(request.recipes), bar)
    workshop.time(results, networks)
    automatic = "auto" in request.recipes or not request.recipes
    for name in networks:
        mine = [r for r in results if r.network == name]
        best = choose(mine)
        if best is not None:
            kept[name] = best
        for result in mine:
            if not automatic or result is best or not result.passed:
                write(result, request.output)
    chosen = {name: result.recipe for name, result in kept.items()}
    report.write_reports(request.output, workshop, results, chosen, networks)
    click.echo(report.text_table(results))
    for line in report.part_lines(results):
        click.echo(line)
    for result in results:
        for reason in [*result.reasons, *(result.verdict.notes if result.verdict else []), *result.obstacles]:
            click.echo(f"{result.network} {result.recipe}: {reason}")
    if "auto" in request.recipes:
        for name, recipe in chosen.items():
            click.echo(f"{name}: {recipe} is the fastest that passes")
    click.echo(f"{request.output}: files, parity.json, parity.html")
    if request.bundle is not None:
        from convert.bundle import chosen as bundled
        from convert.bundle import write_bundle

        names = bundled(networks, request.networks)
        absent = set(names) - kept.keys()
        if absent:
            raise UserError(f"no bundle: no file of {', '.join(sorted(absent))} passes the gates and runs in TFLite "
                            f"{request.runtime}; see {request.output / 'parity.html'}")  # fmt: skip
        write_bundle(request.bundle, workshop, {name: kept[name] for name in names}, networks)
        click.echo(f"{request.bundle}: bundle; try: emoca-tf capture --bundle {request.bundle} sample:astronaut -o out")
    failed = [r for r in results if not r.passed]
    _require({f"{r.network} {r.recipe}" for r in failed} if not automatic else networks.keys() - kept.keys(),
             request.output)  # fmt: skip


def _attempts(workshop: Workshop, network: Network, recipes: Sequence[str], every: bool, bar: Any) -> list[Result]:
    """Convert one network by every recipe, or by one after the other until one passes."""
    made: list[Result] = []
    for recipe in recipes:
        what = f"{network.name} {recipe}"
        bar.set_postfix_str(what)

        def learning(done: int, total: int, loss: float, what: str = what) -> None:
            bar.set_postfix_str(f"{what}, step {done}/{total}, loss {loss:.4f}")

        made.append(workshop.make(network, recipe, learning))
        if not every and made[-1].passed and not made[-1].obstacles:
            break
    return made


def _recipes(request: Request, kind: str) -> tuple[str, ...]:
    """Recipes to try; what a kind of network cannot have is replaced by its default."""
    if "auto" in request.recipes:
        return POSSIBLE[kind]
    default = ("int8",) if request.integer_io and "int8" in POSSIBLE[kind] else DEFAULT[kind]
    return tuple(recipe for recipe in request.recipes if recipe in POSSIBLE[kind]) or default


def _require(failed: set[str], folder: Path) -> None:
    if failed:
        raise UserError(f"not within the gates: {', '.join(sorted(failed))}; see {folder / 'parity.html'}")
