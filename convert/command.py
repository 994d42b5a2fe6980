"""What ``convert --tflite`` does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click
from tqdm import tqdm

from convert.quiet import silent
from emoca_tf.errors import UserError

AUTO = ("float32", "float16", "dynamic", "mixed", "int8", "int16x8", "int8-qat")


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


def convert_command(request: Request) -> None:
    """Convert, judge, write the reports; with ``--bundle`` also everything an app needs.

    Raises:
        UserError: a file did not pass its gates (all files and reports are written before).
    """
    from emoca_tf.flame.head import HeadModel

    for folder in filter(None, (request.output, request.bundle)):
        if folder.exists() and not folder.is_dir():
            raise UserError(f"{folder} is a file; give a folder for the results")
    with silent():  # TensorFlow's native libraries log while they load, whatever the log level
        from convert import report
        from convert.collection import collect
        from convert.jobs import Result, Settings, Workshop, choose, write
        from convert.networks import load_source
    source = load_source(request.model, HeadModel.load(request.head))
    networks = collect(source, request.networks, everything=request.bundle is not None)
    settings = Settings(
        calibration=request.data, calibration_count=request.data_count, judge=request.judge_data,
        judge_count=request.judge_count, batch=request.batch, integer_io=request.integer_io,
        qat_steps=request.qat_steps,
    )  # fmt: skip
    click.echo(f"weights: {source.origin} ({source.family}); head: {source.head.name}")
    workshop = Workshop(source, settings)
    results: list[Result] = []
    kept: dict[str, Result] = {}
    jobs = [(network, recipe) for network in networks.values() for recipe in _recipes(request, network.kind)]
    with tqdm(jobs, desc="converting", unit="file", leave=False) as bar:
        for network, recipe in bar:
            bar.set_postfix_str(f"{network.name} {recipe}")

            def learning(done: int, total: int, loss: float, what: str = f"{network.name} {recipe}") -> None:
                bar.set_postfix_str(f"{what}, step {done}/{total}, loss {loss:.4f}")

            results.append(workshop.make(network, recipe, learning))
    workshop.time(results)
    automatic = "auto" in request.recipes
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
    for result in results:
        for reason in [*result.reasons, *(result.verdict.notes if result.verdict else [])]:
            click.echo(f"{result.network} {result.recipe}: {reason}")
    if automatic:
        for name, recipe in chosen.items():
            click.echo(f"{name}: {recipe} is the fastest that passes")
    click.echo(f"{request.output}: files, parity.json, parity.html")
    if request.bundle is not None:
        from convert.bundle import write_bundle

        _require(networks.keys() - kept.keys(), request.output)
        write_bundle(request.bundle, workshop, kept, networks)
        click.echo(f"{request.bundle}: bundle; try: emoca-tf capture --bundle {request.bundle} sample:astronaut -o out")
    failed = [r for r in results if not r.passed]
    _require({f"{r.network} {r.recipe}" for r in failed} if not automatic else networks.keys() - kept.keys(),
             request.output)  # fmt: skip


def _recipes(request: Request, kind: str) -> tuple[str, ...]:
    """Recipes for a kind of network: the head and the small code networks lose nothing by half precision."""
    if kind == "head":
        asked = tuple(r for r in request.recipes if r in ("float32", "float16"))
        return asked or ("float16",)
    if "auto" in request.recipes:
        return AUTO if kind == "encoder" else tuple(r for r in AUTO if r != "int8-qat")
    return request.recipes or ("int8",)


def _require(failed: set[str], folder: Path) -> None:
    if failed:
        raise UserError(f"not within the gates: {', '.join(sorted(failed))}; see {folder / 'parity.html'}")
