"""Weights that ship with the library: name -> file, size, hash, licence.

The registry is ``emoca_tf/weights/data/presets.json``, a list of objects with the fields of :class:`Preset`; the
files lie beside it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from emoca_tf.errors import UserError
from emoca_tf.io.files import sha256_of

FOLDER = Path(str(files("emoca_tf.weights"))) / "data"
REGISTRY = "presets.json"


@dataclass(frozen=True)
class Preset:
    """One weights file of the library.

    Attributes:
        name: what a user types; the first preset of the registry is the default.
        file: name of the file.
        bytes: its size.
        sha256: its hash.
        licence: short name of its licence.
        summary: one line for people.
        head: name of the head whose codes it gives.
        sizes: sizes of its networks, such as ``n_exp``.
        card: name of the card for people beside it.
    """

    name: str
    file: str
    bytes: int
    sha256: str
    licence: str
    summary: str
    head: str = ""
    sizes: Mapping[str, int] = field(default_factory=dict)
    card: str = ""


def presets(folder: Path | None = None) -> dict[str, Preset]:
    """Every preset by name, the default first."""
    registry = (folder or FOLDER) / REGISTRY
    if not registry.exists():
        return {}
    return {entry["name"]: Preset(**entry) for entry in json.loads(registry.read_text(encoding="utf-8"))}


def preset_file(name: str, folder: Path | None = None) -> Path:
    """The file of a preset after its size and hash were checked.

    Raises:
        UserError: no such preset, or its file is missing or was changed.
    """
    known = presets(folder)
    if name == "default" and known:
        name = next(iter(known))
    if name not in known:
        offered = f"there is {', '.join(known)}" if known else "no weights ship with this version"
        raise UserError(f"no weights called '{name}' ({offered}); give a file written by: emoca-tf import-weights")
    preset = known[name]
    path = (folder or FOLDER) / preset.file
    if not path.is_file():
        raise UserError(f"the weights '{name}' are missing ({path}); install emoca-tf again")
    if path.stat().st_size != preset.bytes or sha256_of(path) != preset.sha256:
        raise UserError(f"the weights '{name}' ({path}) are damaged or were changed; install emoca-tf again")
    return path
