"""``import-weights``: an official checkpoint -> one file of ours, with every tensor accounted for.

The file is either an ``.npz`` of torch-named arrays (``E_flame.encoder.conv1.weight``; one array each, not compressed)
or a ``.keras`` file; both carry their card (:mod:`emoca_tf.weights.card`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from emoca_tf import __version__
from emoca_tf.errors import UserError
from emoca_tf.io.files import sha256_of
from emoca_tf.io.npz import write_npz
from emoca_tf.io.torch_file import Checkpoint, Tensor, open_checkpoint
from emoca_tf.weights.card import Card
from emoca_tf.weights.kinds import KINDS, Kind, Shapes, emoca_config, identify
from emoca_tf.weights.torch_layout import (
    LISTED,
    META,
    LoadReport,
    compare,
    expected_shapes,
    is_counter,
    listed,
    load_state,
    matches,
    sub_state,
)

SUFFIXES = (".npz", ".keras")


@dataclass(frozen=True)
class Imported:
    """What an import did.

    Attributes:
        path: the file written.
        card_path: its card.
        card: the card's contents.
        loaded: number of entries that were taken over.
    """

    path: Path
    card_path: Path
    card: Card
    loaded: int


def import_weights(
    source: Path | str, output: Path | str, strict: bool = True, replaces_global: bool = False
) -> Imported:
    """Convert an official checkpoint.

    Args:
        source: torch checkpoint or pickled arrays: DECA, EMOCA, SMIRK, emotion network, EmoDECA, VGGFace2, VGG19.
        output: ``.npz`` or ``.keras`` file to write; ``<output>.card.md`` appears beside it.
        strict: refuse missing and unknown entries.
        replaces_global: read an expression encoder of 53 outputs as expression and global rotation, not jaw.

    Raises:
        UserError: the file is damaged, hostile or unknown, a shape is wrong (both are named), or ``strict`` and
            entries are missing or left over. Nothing is written then.
    """
    source, output = Path(source), Path(output)
    if output.suffix not in SUFFIXES:
        raise UserError(f"{output}: give a file ending in {' or '.join(SUFFIXES)}")
    with open_checkpoint(source) as checkpoint:
        state = _state(checkpoint)
        kind = identify(list(state), str(source))
        config = _config(kind, {key: tensor.shape for key, tensor in state.items()}, source, replaces_global)
        model = kind.build(**config)
        expected = {name: expected_shapes(network) for name, network in kind.networks(model).items()}
        reports = _accounted(kind, expected, state, source, strict)
        entries = {
            kind.entry(network, key): state[kind.sources[network] + key]
            for network, report in reports.items()
            for key in report.loaded
        }
        card = _card(kind, config, expected, reports, state, source, checkpoint.skipped)
        if output.suffix == ".npz":
            write_npz(output, {**entries, META: card.to_array()}, compress=False)
        else:
            from emoca_tf.weights.keras_file import save_keras

            fill(kind, model, entries, card.missing)
            save_keras(output, model, card)
    return Imported(output, card.write_beside(output), card, len(entries))


def fill(kind: Kind, model: Any, entries: Mapping[str, Any], missing: Sequence[str]) -> None:
    """Put the entries of one of our files into a model of its kind.

    Args:
        kind: of the file.
        model: what ``kind.build`` made.
        entries: names as in our files -> arrays.
        missing: names that may be absent; their layers keep their initial values.

    Raises:
        UserError: entries of another shape, unknown ones, or others absent than ``missing`` and the optional ones.
    """
    for name, network in kind.networks(model).items():
        prefix = kind.entry(name, "")
        absent = [key.removeprefix(prefix) for key in missing]
        load_state(network, sub_state(entries, prefix), optional=[*absent, *kind.optional])


def _state(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """Entry name -> tensor: of ``state_dict`` in a Lightning file, else of everything; ``module.`` is taken off."""
    root = checkpoint.root
    inner = root.get("state_dict") if isinstance(root, dict) else None
    state = checkpoint.tensors(inner if isinstance(inner, dict) else root)
    if not state:
        raise UserError(f"{checkpoint.where} holds no tensors under names; it is not a checkpoint of weights")
    if all(key.startswith("module.") for key in state):
        state = sub_state(state, "module.")
    return state


def _config(kind: Kind, shapes: Shapes, source: Path, replaces_global: bool) -> dict[str, Any]:
    make = kind.config
    if replaces_global:
        if kind is not KINDS["emoca"]:
            raise UserError(f"{source} is a {kind.name} checkpoint; only EMOCA's can replace the global rotation")
        make = partial(emoca_config, replaces_global=True)
    try:
        return make(shapes)
    except UserError as error:
        raise UserError(f"{source}: {error}") from None


def _accounted(
    kind: Kind, expected: Mapping[str, Shapes], state: Mapping[str, Tensor], source: Path, strict: bool
) -> dict[str, LoadReport]:
    """Compare every network with its entries, and look for entries that belong to nobody."""
    reports, wrong, problems = {}, [], []
    for network, shapes in expected.items():
        own = sub_state(state, kind.sources[network])
        report = compare(shapes, own, _ignored_here(kind, network), kind.optional)
        reports[network] = report
        wrong += [f"{network}.{text}" for text in report.mismatched]
        if not report.loaded:
            problems.append(f"{network} is not in the file")
        elif report.problems():
            problems.append(f"{network}{_outputs(network, own)}: {report.problems()}")
    strangers = _strangers(kind, expected, state)
    if strangers:
        problems.append(f"no network knows {listed('entries', strangers)}")
    who = f"{source} ({kind.name})"
    if wrong:
        more = [f"and {len(wrong) - LISTED} more wrong shapes"] if len(wrong) > LISTED else []
        raise UserError(f"{who}: {'; '.join([*wrong[:LISTED], *more, *problems])}")
    absent = [network for network, report in reports.items() if not report.loaded]
    if absent and not strict:
        raise UserError(f"{who}: {', '.join(absent)} not in the file; there is nothing to import it from")
    if problems and strict:
        raise UserError(f"{who}: {'; '.join(problems)} (--no-strict takes what fits)")
    return reports


def _outputs(network: str, own: Mapping[str, Tensor]) -> str:
    last = own.get("layers.2.weight")
    return f" ({last.shape[0]} outputs)" if last is not None and network == "E_expression" else ""


def _ignored_here(kind: Kind, network: str) -> tuple[str, ...]:
    """In a file of one network without prefix, what other purposes own is ignored inside the network."""
    return kind.ignore if kind.sources[network] == "" else ()


def _strangers(kind: Kind, expected: Mapping[str, Shapes], state: Mapping[str, Tensor]) -> list[str]:
    prefixes = tuple(kind.sources[network] for network in expected)
    return [
        key
        for key in state
        if not key.startswith(prefixes)
        and not matches(key, kind.ignore)
        and not is_counter(key)
        and not key.startswith(tuple(kind.sources[network] for network in kind.optional_networks))
    ]


def _card(
    kind: Kind,
    config: dict[str, Any],
    expected: Mapping[str, Shapes],
    reports: Mapping[str, LoadReport],
    state: Mapping[str, Tensor],
    source: Path,
    skipped: set[str],
) -> Card:
    missing = [kind.entry(network, key) for network, report in reports.items() for key in report.missing]
    unused = [kind.sources[network] + key for network, report in reports.items() for key in report.unused]
    unused += _strangers(kind, expected, state)
    loaded = sum(len(report.loaded) for report in reports.values())
    counters = sum(map(is_counter, state))
    return Card(
        kind=kind.name,
        config=config,
        networks={
            network: sum(math.prod(shapes[key]) for key in reports[network].loaded if not _is_statistic(key))
            for network, shapes in expected.items()
        },
        title=kind.title,
        licence=kind.licence,
        source_file=source.name,
        source_sha256=sha256_of(source),
        source_bytes=source.stat().st_size,
        missing=missing,
        unused=unused,
        ignored=len(state) - loaded - counters - len(unused),
        skipped=sorted(skipped),
        crop_scale=kind.crop_scale,
        made_by=__version__,
    )


def _is_statistic(key: str) -> bool:
    return key.endswith(("running_mean", "running_var"))
