"""Mobile networks that were trained, from wherever they lie: a preset, files, run directories, or several of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from emoca_tf.encoders.mobile import ENCODERS, OPTIONAL, Mobile, optional_config, trunk_config, trunk_of
from emoca_tf.encoders.separable import WIDTHS
from emoca_tf.errors import UserError
from emoca_tf.flame.head import HeadModel
from emoca_tf.io.npz import read_npz
from emoca_tf.weights.presets import preset_file, presets
from training.checkpoint import network_arrays
from training.config import from_json
from training.networks import checkpoint_of, load_arrays

N_HEADS = 3  # of a read-out: expression, valence, arousal


@dataclass(frozen=True)
class Found:
    """Networks with their weights.

    Attributes:
        mobile: the networks.
        lines: one for each network: how many arrays of which file.
    """

    mobile: Mobile
    lines: list[str]


def weights_path(source: str) -> Path:
    """A preset's verified file, a file, or the checkpoint of a run directory.

    Raises:
        UserError: nothing there.
    """
    return preset_file(source) if source == "default" or source in presets() else checkpoint_of(Path(source))


def load_mobile(sources: Sequence[str], head: HeadModel) -> Found:
    """The networks of one or several sources; later sources win.

    Without a read-out among them, the linear reader of the codes that an encoder's run trained beside it takes its
    place (``weights.labels``, :mod:`training.stages.face_terms`).

    Args:
        sources: names of presets, ``.npz`` files of torch-named arrays, or run directories of ``training/train.py``;
            ``SOURCE=NETWORK,NETWORK`` takes only these networks of it.
        head: whose codes they must give.

    Raises:
        UserError: nothing there, an encoder is in none of them, or they were made for another head or family.
    """
    chosen = [chosen_networks(source) for source in sources]
    for source, _ in chosen:
        _check_run(Path(source), head)
    files = [(path, read_npz(path)) for path in (weights_path(source) for source, _ in chosen)]
    extras: dict[str, Any] = {}
    reader: list[np.ndarray] = []
    owner: dict[str, Path] = {}
    for (path, stored), (_, wanted) in zip(files, chosen, strict=True):
        names = {key.removeprefix("network/").partition(".")[0].partition("/")[0] for key in stored}
        names = names & wanted if wanted else names
        owner |= dict.fromkeys(names, path)
        if not wanted:
            extras |= extras_in(stored)
        if "expression_encoder" in names:
            extras |= trunk_in(stored)
            reader = network_arrays(stored).get("reader", reader)
    linear = bool(reader) and "readout_inputs" not in extras
    if linear:
        extras |= {"readout_inputs": len(reader[0]), "readout_hidden": 0, "readout_depth": 0, "readout_derived": True}
    mobile = Mobile(keras, head.n_shape, head.n_exp, eyelids=head.eyelids is not None, **extras)
    lines = []
    for path, stored in files:
        own = {name: model for name, model in mobile.networks.items() if owner.get(name) == path}
        lines += load_arrays(own, stored, path) if own else []
    absent = set(ENCODERS) - {line.partition(":")[0] for line in lines}
    if absent:
        raise UserError(
            f"{', '.join(map(str, sources))}: no {', '.join(sorted(absent))} there; add the run that made it"
        )
    mobile.keep_in_range(head.exp_limits)  # only now: checkpoints are read by the order of their variables
    if linear:
        mobile.networks["readout"].get_layer("model.0").set_weights(reader)
        lines.append("readout: the linear reader that the expression encoder was trained with")
    return Found(mobile, lines)


def chosen_networks(source: str) -> tuple[str, set[str]]:
    """``SOURCE`` or ``SOURCE=NETWORK,NETWORK`` -> the source, and the networks to take; none for all.

    Raises:
        UserError: for a network that mobile weights do not have.
    """
    where, _, names = source.partition("=")
    wanted = {name for name in names.split(",") if name}
    if wanted - {*ENCODERS, *OPTIONAL}:
        raise UserError(
            f"{source}: no network {', '.join(sorted(wanted - {*ENCODERS, *OPTIONAL}))}; there are "
            f"{', '.join((*ENCODERS, *OPTIONAL))}"
        )
    return where, wanted


def _check_run(folder: Path, head: HeadModel) -> None:
    """Refuse a run on another head or of another family."""
    config = folder / "config.json"
    if not config.is_file():
        return
    made = from_json(config.read_text(encoding="utf-8"))
    if made.family == "resnet50":
        raise UserError(f"{folder} was trained with family {made.family}; a mobile family is needed here")
    theirs = HeadModel.load(made.head)
    if theirs.sha256() != head.sha256():
        raise UserError(f"{folder} was trained on head '{theirs.name}' ({made.head}), not on '{head.name}'")


def extras_in(stored: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Sizes of emotion network and read-out, if the file holds them."""
    if not any(key.startswith("network/") for key in stored):
        return optional_config({key: array.shape for key, array in stored.items()})
    extras: dict[str, Any] = {}
    emotion, readout = (_kernels(stored, f"network/{name}/") for name in ("emotion", "readout"))
    if emotion:
        extras["emotion"] = trunk_of(emotion[0].shape[0])
    if readout:
        inputs, hidden = readout[0].shape
        extras |= {"readout_inputs": inputs, "readout_hidden": hidden, "readout_depth": len(readout) - N_HEADS}
        extras["readout_derived"] = readout[-1].shape[0] != hidden  # from the eight classes
    return extras


def trunk_in(stored: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """``trunk`` and ``shrink`` of the encoders of a file of weights or a checkpoint."""
    shapes = {key: array.shape for key, array in stored.items()}
    if not any(key.startswith("network/") for key in shapes):
        return trunk_config(shapes)
    kernels = (shape for key, shape in sorted(shapes.items()) if key.startswith("network/expression_encoder/"))
    first = next(kernels, ())
    shrinks = len(first) == 4 and first[0] == first[1] < 3
    if first[-1:] != WIDTHS[:1]:
        return {"shrink": first[0] if shrinks else 1, "trunk": "mobilenet_v3"}
    return {"shrink": 1, "trunk": "separable"}


def _kernels(stored: Mapping[str, np.ndarray], prefix: str) -> list[np.ndarray]:
    """Kernels of the dense layers in order."""
    return [array for key, array in sorted(stored.items()) if key.startswith(prefix) and array.ndim == 2]
