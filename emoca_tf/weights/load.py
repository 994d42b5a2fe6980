"""One door for weights: a preset's name, or a file of ours, to a Keras model and its card."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emoca_tf.errors import UserError
from emoca_tf.io.files import sha256_of
from emoca_tf.io.npz import read_npz
from emoca_tf.weights.card import Card
from emoca_tf.weights.kinds import KINDS, Kind
from emoca_tf.weights.official import SUFFIXES, fill
from emoca_tf.weights.presets import preset_file
from emoca_tf.weights.torch_layout import META

MAX_SIZE_IN_CONFIG = 4096
MAX_LIMIT = 1e3  # of expression coefficients


@dataclass(frozen=True)
class LoadedModel:
    """A model with its weights.

    Attributes:
        model: the Keras model: ``Emoca`` for the kinds ``emoca`` and ``deca``, otherwise what the kind builds.
        card: kind, source, licence.
        sha256: of the file it came from.
    """

    model: Any
    card: Card
    sha256: str

    @property
    def kind(self) -> Kind:
        return KINDS[self.card.kind]


def load_model(source: Path | str = "default", complete: bool = True) -> LoadedModel:
    """Load weights; nothing in the file is executed.

    Args:
        source: name of a preset (see :mod:`emoca_tf.weights.presets`), or an ``.npz`` or ``.keras`` file written by
            ``emoca-tf import-weights``.
        complete: False leaves out what capture does not need, which saves time: the emotion network of mobile weights
            that have a read-out.

    Raises:
        UserError: no such file or preset, damaged, changed, or not ours.
    """
    path = Path(source)
    if path.suffix not in SUFFIXES:
        if path.is_file():
            raise UserError(f"{path} is no weights file of ours; convert it first: emoca-tf import-weights {path}")
        path = preset_file(str(source))
    if path.suffix == ".keras":
        from emoca_tf.weights.keras_file import load_keras, read_card

        card = read_card(path)
        _kind(card, path)
        return LoadedModel(load_keras(path), card, sha256_of(path))
    entries = read_npz(path)
    if META not in entries:
        raise UserError(f"{path} is no weights file of ours (no card inside); write one with: emoca-tf import-weights")
    card = Card.from_json(entries.pop(META).tobytes(), str(path))
    kind = _kind(card, path)
    config = card.config
    if not complete and kind.name == "mobile" and "readout_inputs" in config:
        config = {name: value for name, value in config.items() if name != "emotion"}
        entries = {name: value for name, value in entries.items() if not name.startswith("emotion.")}
    try:
        model = kind.build(**config)
        fill(kind, model, entries, card.missing)
    except (TypeError, ValueError, UserError) as error:
        raise UserError(f"{path}: weights and card do not fit together ({error}); import them again") from None
    return LoadedModel(model, card, sha256_of(path))


def _kind(card: Card, path: Path) -> Kind:
    """The kind a card names; its numbers must be sizes that a model can have."""
    if card.kind not in KINDS:
        raise UserError(f"{path} holds weights of kind '{card.kind}'; this version knows {', '.join(KINDS)}")
    if any(isinstance(v, int) and not 0 <= v <= MAX_SIZE_IN_CONFIG for v in card.config.values()):
        raise UserError(f"{path}: the card asks for an absurd size; refused")
    if "exp_limits" in card.config and not _is_range(card.config["exp_limits"]):
        raise UserError(f"{path}: the card's exp_limits {card.config['exp_limits']!r:.60} are no range of numbers")
    return KINDS[card.kind]


def _is_range(limits: Any) -> bool:
    """Nothing, or two numbers of a sensible size, the lower one first."""
    if limits is None:
        return True
    numbers = isinstance(limits, list) and len(limits) == 2 and all(type(n) in (int, float) for n in limits)
    return numbers and all(abs(n) <= MAX_LIMIT for n in limits) and limits[0] < limits[1]
