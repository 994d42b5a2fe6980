"""Trained mobile networks -> the file that ships, with its card: ``python -m training.export_preset RUN... -o FILE``.

Matrices are stored as float16, vectors (biases, batch norms) as float32; equal networks give equal bytes. With
``--grid`` the kernels are first rounded to 8 bits, channel by channel, so that a file for phones with 8-bit weights is
the same network and not an approximation of it. ``--gain`` multiplies the expression: least squares under doubt gives
too little of it, and ``benchmarks/emotion_loss.py`` tells how much is missing. The codes of the stored networks are
compared with those of the original ones before anything is written. ``--install`` puts the file, its card and its size
and hash (``presets.json``) into the package.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np

from emoca_tf import __version__
from emoca_tf.cli import run
from emoca_tf.errors import UserError
from emoca_tf.flame.head import HeadModel
from emoca_tf.io.atomic import atomic_path, write_text
from emoca_tf.io.files import sha256_of
from emoca_tf.io.npz import write_npz
from emoca_tf.weights import presets as registry
from emoca_tf.weights.card import Card
from emoca_tf.weights.presets import REGISTRY, Preset, presets

MAX_BYTES = 16 * 2**20  # with head, albedo and default emotion network the package stays below 20 MB
TOLERANCE = 0.02  # of a code's spread
GRID_TOLERANCE = 0.4  # the same for kernels rounded to 8 bits, a guard only: what that costs is measured on faces
LEVELS = 127
LICENCE = (
    "The weights were trained on pictures that are free for research only (see the model card): use them for research. "
    "They are no statement about people: do not imitate anyone who did not agree to it."
)
SUMMARY = "phone-sized encoders of pose, identity and expression on the default head"


def stored(networks: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Torch-named arrays of all networks under their names' prefixes, in the types of the file.

    Raises:
        UserError: a weight that is no number or too large for float16.
    """
    from emoca_tf.weights.torch_layout import to_state

    arrays = {}
    for name, model in networks.items():
        for key, value in to_state(model).items():
            packed = value.astype(np.float16 if value.ndim > 1 else np.float32)
            if not np.isfinite(packed).all():
                raise UserError(f"{name}.{key} holds values that are no numbers or too large for float16; not written")
            arrays[f"{name}.{key}"] = packed
    return arrays


def to_grid(model: Any) -> None:
    """Round every kernel of a network to symmetric 8 bits by output channel, as weight-only quantisation does."""
    for layer in model.layers:
        if not layer.weights or getattr(layer, "kernel", None) is None:
            continue
        kernel, *rest = layer.get_weights()
        depthwise = type(layer).__name__ == "DepthwiseConv2D"
        others = tuple(axis for axis in range(kernel.ndim) if axis != (2 if depthwise else kernel.ndim - 1))
        step = np.maximum(np.abs(kernel).max(others, keepdims=True), 1e-12) / LEVELS
        layer.set_weights([(np.round(kernel / step) * step).astype(np.float32), *rest])


def amplify(encoder: Any, reader: Any, gain: float) -> None:
    """Multiply the expression that an encoder gives, not the jaw; a linear reader goes on reading the same.

    An encoder that keeps to the head's range cuts what then lies beyond the upper limit.

    Args:
        encoder: see :func:`emoca_tf.encoders.mobilenet_v3.expression_head`.
        reader: the network that reads the classes off its codes, expression first; None without one.
        gain: the factor.
    """
    n_exp = encoder.output["exp"].shape[-1]
    head = encoder.get_layer(f"expression_layers.0.rows.0.{n_exp}")
    head.set_weights([weight * gain for weight in head.get_weights()])
    if reader is not None:
        first = reader.get_layer("model.0")
        kernel, bias = first.get_weights()
        factors = np.where(np.arange(len(kernel)) < n_exp, 1 / gain, 1)
        first.set_weights([kernel * factors[:, None], bias])


def rounding(
    networks: Mapping[str, Any], again: Mapping[str, Any], head: HeadModel, faces: int = 8
) -> dict[str, float]:
    """Output -> largest change by storing, over its standard deviation on synthetic faces.

    Args:
        networks: name -> original encoder.
        again: the same with the stored weights.
        head: to draw the faces with.
        faces: how many.
    """
    from training.datasets.synthetic import Synthetic

    source = Synthetic(faces, 90_002, head=head)
    images = np.stack([source.example(k)["image"] for k in range(faces)]).astype(np.float32) / 255
    worst = {}
    for name, model in networks.items():
        if name == "readout":
            continue  # sees codes; its matrices are few
        before, after = (m(images, training=False) for m in (model, again[name]))
        for output, values in before.items():
            wide = np.maximum(np.asarray(values).std(), 1e-3)
            worst[f"{name}.{output}"] = float(np.abs(np.asarray(after[output]) - np.asarray(values)).max() / wide)
    return worst


def card_of(mobile: Any, config: dict[str, Any], head: HeadModel, sources: Sequence[str], licence: str) -> Card:
    """The short card inside the file: what it holds, on which head, from which runs."""
    return Card(
        kind="mobile",
        config=config | {"eyelids": head.eyelids is not None, "exp_limits": head.exp_limits},
        networks={name: model.count_params() for name, model in mobile.networks.items()},
        title="The mobile model of emoca-tf: phone-sized encoders of pose, identity and expression.",
        licence=licence,
        head={"name": head.name, "sha256": head.sha256()},
        training=unique(recipe for source in sources for recipe in _recipes(source)),
        made_by=__version__,
    )


def unique(runs: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every run once, in order: several networks, and several files of a mean, come from the same ones."""
    seen: list[dict[str, Any]] = []
    for each in runs:
        if each not in seen:
            seen.append(each)
    return seen


def _recipes(source: str) -> list[dict[str, Any]]:
    """What runs were trained with, from a run directory or the card of a file that was exported before.

    Data are told by name, without the folders of the machine they lay on.
    """
    from emoca_tf.io.npz import read_npz
    from emoca_tf.weights.torch_layout import META
    from training.trained import chosen_networks, weights_path

    source, _ = chosen_networks(source)
    config = Path(source) / "config.json"
    if config.is_file():
        made = json.loads(config.read_text(encoding="utf-8"))
        keys = ("stage", "seed", "steps", "batch_size", "learning_rate")
        return [{key: made[key] for key in keys} | {"data": _without_folders(made["data"])}]
    meta = read_npz(weights_path(source)).get(META)
    return [] if meta is None else Card.from_json(meta.tobytes(), source).training


def _without_folders(spec: str) -> str:
    return "+".join(":".join(part.rsplit("/", 1)[-1] for part in piece.split(":")) for piece in spec.split("+"))


def install(path: Path, name: str, card: Card, summary: str, folder: Path | None = None) -> Preset:
    """Copy a weights file beside the registry, write its card for people, and make it the registry's first entry.

    Args:
        path: the file.
        name: of the preset.
        card: of the file.
        summary: one line for people.
        folder: of the registry; the package's own if None.
    """
    folder = folder or registry.FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}.npz"
    with atomic_path(target) as temporary:
        temporary.write_bytes(path.read_bytes())
    preset = Preset(
        name=name,
        file=target.name,
        bytes=target.stat().st_size,
        sha256=sha256_of(target),
        licence="research only (training data)",
        summary=summary,
        head=card.head["name"],
        sizes={key: value for key, value in card.config.items() if type(value) is int},
        card=card.write_beside(target).name,
    )
    others = [asdict(other) for other in presets(folder).values() if other.name != name]
    write_text(folder / REGISTRY, json.dumps([asdict(preset), *others], indent=1, sort_keys=True) + "\n")
    return preset


@click.command(help=__doc__)
@click.argument("sources", nargs=-1, required=True)
@click.option("-o", "--out", "output", required=True, type=click.Path(path_type=Path), help="The .npz to write.")
@click.option("--head", default="default", show_default=True, help="Head the networks were trained on.")
@click.option("--name", default="mobile", show_default=True, help="Of the preset.")
@click.option("--licence", default=LICENCE, help="What binds whoever uses the weights.")
@click.option("--summary", default=SUMMARY, help="One line about it.")
@click.option("--grid", is_flag=True, help="Round the kernels of the encoders to 8 bits first.")
@click.option("--gain", default=1.0, show_default=True, type=click.FloatRange(0.5, 2), help="Of the expression.")
@click.option("--install", "into_package", is_flag=True, help="Also make it the package's default preset.")
def command(
    sources: tuple[str, ...],
    output: Path,
    head: str,
    name: str,
    licence: str,
    summary: str,
    grid: bool,
    gain: float,
    into_package: bool,
) -> None:
    import keras

    from emoca_tf.encoders.mobile import mobile_config
    from emoca_tf.weights.load import load_model
    from emoca_tf.weights.torch_layout import META
    from training.trained import load_mobile

    if output.suffix != ".npz":
        raise UserError(f"{output}: give a file ending in .npz")
    model = HeadModel.load(head)
    found = load_mobile(sources, model)
    click.echo("\n".join(found.lines))
    networks = found.mobile.networks
    if gain != 1:
        amplify(networks["expression_encoder"], networks.get("readout"), gain)
    original = {key: keras.models.clone_model(network) for key, network in networks.items()} if grid else networks
    if grid:
        for key, kept in original.items():
            kept.set_weights(networks[key].get_weights())
            to_grid(networks[key])
    arrays = stored(networks)
    card = card_of(found.mobile, mobile_config({k: v.shape for k, v in arrays.items()}), model, sources, licence)
    with atomic_path(output) as temporary:
        write_npz(temporary, {**arrays, META: card.to_array()}, compress=False)
        if temporary.stat().st_size > MAX_BYTES:
            raise UserError(f"{temporary.stat().st_size:,} bytes; at most {MAX_BYTES:,} may ship: leave networks out")
        worst = rounding(original, load_model(temporary).model.networks, model)
        for output_name, change in worst.items():
            click.echo(f"  {output_name:32s} storing changes it by at most {change:.4f} of its spread")
        if max(worst.values()) > (GRID_TOLERANCE if grid else TOLERANCE):
            raise UserError(f"storing changes {max(worst, key=lambda k: worst[k])} too much; not written")
    click.echo(f"{output}: {output.stat().st_size:,} bytes, sha256 {sha256_of(output)}")
    if into_package:
        preset = install(output, name, card, summary)
        click.echo(f"preset '{preset.name}' installed: {registry.FOLDER / preset.file}")


if __name__ == "__main__":
    sys.exit(run(command, "export_preset"))
