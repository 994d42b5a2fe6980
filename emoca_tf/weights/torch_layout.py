"""PyTorch ``state_dict`` names and layouts for our Keras models, both ways, driven by layer names alone.

Every layer of our networks bears the dotted path of the torch module it equals (``encoder.layer1.0.conv1``), so that
the entry ``<layer name>.weight`` belongs to it. A layer that computes only some rows of a torch linear layer is called
``<module>.rows.<start>.<stop>``. Layout rules: spec section 7.2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from emoca_tf.errors import UserError
from emoca_tf.io.npz import read_npz

ROWS = re.compile(r"^(?P<module>.+)\.rows\.(?P<start>\d+)\.(?P<stop>\d+)$")
Entry = TypeVar("Entry")
LISTED = 5
META = "meta"
"""Entry of our own files that describes them (``emoca_tf/weights/card.py``); never a weight."""

# Layer class -> per weight, in the order of get_weights(): torch leaf, axes torch -> Keras, axes Keras -> torch.
_AXES: dict[str, tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]] = {
    "Conv2D": (("weight", (2, 3, 1, 0), (3, 2, 0, 1)), ("bias", (0,), (0,))),
    "DepthwiseConv2D": (("weight", (2, 3, 0, 1), (2, 3, 0, 1)), ("bias", (0,), (0,))),
    "Dense": (("weight", (1, 0), (1, 0)), ("bias", (0,), (0,))),
    "BatchNormalization": tuple((leaf, (0,), (0,)) for leaf in ("weight", "bias", "running_mean", "running_var")),
}


@dataclass(frozen=True)
class LoadReport:
    """What :func:`load_state` did.

    Attributes:
        loaded: entries of the state that were used.
        missing: entries the model needs and the state lacks; those layers keep their values.
        unused: entries of the state that no layer asked for (``num_batches_tracked`` and ``ignore`` not counted).
        mismatched: one sentence for every entry of another shape (empty when loaded).
        needed: the missing entries that are not optional.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unused: tuple[str, ...]
    mismatched: tuple[str, ...] = ()
    needed: tuple[str, ...] = ()

    def problems(self) -> str:
        """Needed and unused entries in words; empty when the names fit."""
        return "; ".join(filter(None, (listed("missing", self.needed), listed("unused", self.unused))))


@dataclass(frozen=True)
class _Slot:
    """One weight array of one layer and the (rows of the) state entry it equals."""

    layer: Any
    index: int
    key: str
    shape: tuple[int, ...]
    to_keras: tuple[int, ...]
    to_torch: tuple[int, ...]
    rows: tuple[int, int] | None


def _leaf_layers(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _leaf_layers(layer)
        else:
            yield layer


def _slots(model: Any) -> list[_Slot]:
    slots = []
    for layer in _leaf_layers(model):
        if not layer.weights:
            continue
        kind = type(layer).__name__
        if kind not in _AXES:
            raise ValueError(f"layer {layer.name} is a {kind} with weights; no torch layout is known for it")
        match = ROWS.match(layer.name)
        module = match["module"] if match else layer.name
        rows = (int(match["start"]), int(match["stop"])) if match else None
        for index, (variable, (leaf, to_keras, to_torch)) in enumerate(zip(layer.weights, _AXES[kind], strict=False)):
            shape = tuple(int(variable.shape[axis]) for axis in to_torch)
            slots.append(_Slot(layer, index, f"{module}.{leaf}", shape, to_keras, to_torch, rows))
    return slots


def expected_shapes(model: Any) -> dict[str, tuple[int, ...]]:
    """State entry -> torch shape of everything the model needs (``num_batches_tracked`` is left out)."""
    shapes: dict[str, tuple[int, ...]] = {}
    for slot in _slots(model):
        if slot.rows is None:
            shapes[slot.key] = slot.shape
        else:
            height = max(slot.rows[1], shapes.get(slot.key, (0,))[0])
            shapes[slot.key] = (height, *slot.shape[1:])
    return shapes


def load_state(
    model: Any,
    state: Mapping[str, np.ndarray],
    strict: bool = True,
    ignore: Sequence[str] = (),
    optional: Sequence[str] = (),
) -> LoadReport:
    """Copy a torch state into a Keras (or tf_keras) model whose layers bear torch names.

    Nothing is changed when an error is raised. Entries called ``num_batches_tracked`` or ``meta`` are dropped
    silently.

    Args:
        model: a built model; nested models are walked through.
        state: entry name -> array in torch layout, names relative to the network (see :func:`sub_state`).
        strict: refuse missing and unused entries; otherwise they are only reported.
        ignore: shell patterns of entries that may stay unused, such as ``"fc.*"``.
        optional: shell patterns of entries that may be missing even when strict; still reported as missing.

    Returns:
        What was loaded, missing and unused.

    Raises:
        UserError: a shape differs from the model's (both are named), or ``strict`` and the names do not match.
    """
    report = compare(expected_shapes(model), state, ignore, optional)
    if report.mismatched:
        raise UserError(f"{model.name}: {report.mismatched[0]}; choose the network that the weights were trained for")
    problems = report.problems()
    if strict and problems:
        raise UserError(f"{model.name}: the weights do not match this network: {problems}")
    _assign(model, state)
    return report


def compare(
    expected: Mapping[str, tuple[int, ...]],
    state: Mapping[str, Any],
    ignore: Sequence[str] = (),
    optional: Sequence[str] = (),
) -> LoadReport:
    """What :func:`load_state` would do with a state, without doing it.

    Args:
        expected: see :func:`expected_shapes`.
        state: entry name -> anything with a shape.
        ignore: see :func:`load_state`.
        optional: see :func:`load_state`.
    """
    return LoadReport(
        loaded=tuple(key for key in expected if key in state),
        missing=tuple(key for key in expected if key not in state),
        unused=tuple(
            key
            for key in state
            if key not in expected and key != META and not is_counter(key) and not matches(key, ignore)
        ),
        mismatched=tuple(
            f"{key} has shape {tuple(np.shape(state[key]))} in the file, but {shape} in this network"
            for key, shape in expected.items()
            if key in state and tuple(np.shape(state[key])) != shape
        ),
        needed=tuple(key for key in expected if key not in state and not matches(key, optional)),
    )


def is_counter(key: str) -> bool:
    """True for batch norm counters, which nothing needs."""
    return key.endswith("num_batches_tracked")


def matches(key: str, patterns: Sequence[str]) -> bool:
    """True if a shell pattern fits."""
    return any(fnmatchcase(key, pattern) for pattern in patterns)


def _assign(model: Any, state: Mapping[str, np.ndarray]) -> None:
    arrays: dict[int, list[np.ndarray]] = {}
    layers = {}
    for slot in _slots(model):
        current = arrays.setdefault(id(slot.layer), slot.layer.get_weights())
        layers[id(slot.layer)] = slot.layer
        if slot.key in state:
            value = np.asarray(state[slot.key], np.float32)
            if slot.rows is not None:
                value = value[slot.rows[0] : slot.rows[1]]
            current[slot.index] = value.transpose(slot.to_keras)
    for key, layer in layers.items():
        layer.set_weights(arrays[key])


def to_state(model: Any) -> dict[str, np.ndarray]:
    """The model's weights as a torch state, the inverse of :func:`load_state`."""
    state = {key: np.zeros(shape, np.float32) for key, shape in expected_shapes(model).items()}
    for slot in _slots(model):
        value = np.asarray(slot.layer.get_weights()[slot.index]).transpose(slot.to_torch)
        start, stop = slot.rows or (0, value.shape[0])
        state[slot.key][start:stop] = value
    return state


def sub_state(state: Mapping[str, Entry], prefix: str) -> dict[str, Entry]:
    """The entries below ``prefix`` (such as ``"deca.E_flame."``), with the prefix taken off."""
    return {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}


def listed(title: str, names: Sequence[str]) -> str:
    """``"7 missing (a, b, c, d, e and 2 more)"``, or nothing for no names."""
    if not names:
        return ""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"{len(names)} {title} ({', '.join(names[:LISTED])}{more})"


def load_file(model: Any, path: Path | str | None, needs: str, ignore: Sequence[str] = ()) -> LoadReport:
    """Load an ``.npz`` of torch-named arrays, as ``emoca-tf import-weights`` writes it.

    Args:
        model: see :func:`load_state`.
        path: the file, or None when the user has not given one.
        needs: start of the message when it is absent: who needs which weights.
        ignore: see :func:`load_state`.

    Raises:
        UserError: no path or no such file (one line with the remedy), or weights of another network.
    """
    if path is None or not Path(path).exists():
        given = "none given" if path is None else f"{path}: no such file"
        raise UserError(f"{needs} ({given}); convert your own copy with: emoca-tf import-weights FILE")
    return load_state(model, read_npz(Path(path)), ignore=ignore)
