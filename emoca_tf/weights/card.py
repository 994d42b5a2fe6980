"""What travels with imported weights: kind, source, licence and what was left out, for machines and for people."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from emoca_tf.errors import UserError
from emoca_tf.io.atomic import atomic_path

FORMAT = "emoca-tf weights 1"


@dataclass(frozen=True)
class Card:
    """Description of a weights file.

    Attributes:
        kind: a key of :data:`emoca_tf.weights.kinds.KINDS`.
        config: what the model is built with, such as ``{"layout": "exp", "with_detail": True}``.
        networks: network name -> number of parameters.
        title: what it is, for people.
        licence: the licence that binds whoever uses the weights.
        source_file: name of the official file.
        source_sha256: its hash.
        source_bytes: its size.
        missing: entries that the file did not have (their layers keep their initial values).
        unused: entries that no network asked for (with ``--no-strict``).
        ignored: number of entries that the official file holds for other purposes.
        skipped: classes in the file that were left unresolved.
        crop_scale: how much larger than the landmarks' box (times 1.1) the crop is that the network expects.
        head: name and SHA-256 of the head whose codes the networks give; empty for FLAME's.
        training: of networks trained here, what each run was trained with (stage, data, seed, steps, ...).
        made_by: version of this library.
    """

    kind: str
    config: dict[str, Any]
    networks: dict[str, int]
    title: str = ""
    licence: str = ""
    source_file: str = ""
    source_sha256: str = ""
    source_bytes: int = 0
    missing: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    ignored: int = 0
    skipped: list[str] = field(default_factory=list)
    crop_scale: float = 1.25
    head: dict[str, str] = field(default_factory=dict)
    training: list[dict[str, Any]] = field(default_factory=list)
    made_by: str = ""

    def to_json(self) -> str:
        return json.dumps({"format": FORMAT} | asdict(self), indent=1, sort_keys=True)

    def to_array(self) -> np.ndarray:
        """The JSON as bytes, for an ``.npz`` entry."""
        return np.frombuffer(self.to_json().encode(), np.uint8)

    @classmethod
    def from_json(cls, text: str | bytes, where: str) -> Card:
        """Read what :meth:`to_json` wrote.

        Raises:
            UserError: if it is damaged or of another format.
        """
        try:
            values = json.loads(text)
            if values.pop("format", None) != FORMAT:
                raise ValueError(f"format is not '{FORMAT}'")
            return cls(**values)
        except (ValueError, TypeError, AttributeError) as error:
            raise UserError(
                f"{where}: the description of the weights is damaged ({error}); import them again"
            ) from None

    def write_beside(self, weights: Path) -> Path:
        """Write the card for people as Markdown beside the weights file.

        Returns:
            The file written: ``weights.npz`` gets ``weights.npz.card.md``.
        """
        networks = "".join(f"| {name} | {count:,} |\n" for name, count in self.networks.items())
        origin = self._imported() if self.source_file else self._trained()
        text = (
            f"# {weights.name}\n\n{self.title}\n\n"
            f"- Kind: `{self.kind}`, built with {json.dumps(self.config, sort_keys=True)}\n{origin}\n"
            f"**Licence.** {self.licence}\n\n"
            f"| network | parameters |\n|---|---|\n{networks}"
        )
        if self.source_file:
            text += "\n" + "\n".join(self._left_out()) + "\n"
        target = weights.with_name(f"{weights.name}.card.md")
        with atomic_path(target) as temporary:
            temporary.write_text(text, encoding="utf-8")
        return target

    def _imported(self) -> str:
        return (
            f"- Source: `{self.source_file}`, {self.source_bytes:,} bytes, SHA-256 `{self.source_sha256}`\n"
            f"- Imported by emoca-tf {self.made_by}\n"
        )

    def _trained(self) -> str:
        runs = "".join(
            f"- Trained: {', '.join(f'{key} {value}' for key, value in run.items())}\n" for run in self.training
        )
        head = f"- Head: {self.head['name']}, SHA-256 `{self.head['sha256']}`\n" if self.head else ""
        return f"{head}{runs}- Made by emoca-tf {self.made_by}\n"

    def _left_out(self) -> list[str]:
        lines = [f"{self.ignored} entries of the source serve other purposes (renderer, losses, optimiser)."]
        if self.missing:
            lines.append(f"Missing in the source: {', '.join(self.missing)}.")
        if self.unused:
            lines.append(f"Used by no network: {', '.join(self.unused)}.")
        if self.skipped:
            lines.append(f"Objects that were not resolved: {', '.join(self.skipped)}.")
        return lines
