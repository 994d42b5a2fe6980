"""Data sets by name, for recipes: ``open_source("packed", "faces/train")``."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from emoca_tf.errors import UserError
from training.datasets.source import Source


def open_source(kind: str, path: Path | str | None = None, **options: Any) -> Source:
    """Open a data set.

    Args:
        kind: ``synthetic``, ``rendered``, ``codes``, ``shards``, ``packed``, ``mosaics``, ``affectnet``, ``afew-va``,
            ``folder`` or ``unlabelled``.
        path: its folder or file; ``synthetic`` takes none.
        options: of the reader.

    Raises:
        UserError: for an unknown kind, a missing path or an option that the reader does not have.
    """
    readers = _readers()
    if kind not in readers:
        near = get_close_matches(kind, readers, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(readers)}"
        raise UserError(f"no data set '{kind}'; {hint}")
    if kind == "synthetic":
        if path is not None:
            raise UserError(f"synthetic data are made, not read; received the path {path}")
        return _opened(kind, readers[kind], (), options)
    if path is None:
        raise UserError(f"data set '{kind}' needs the path of its folder or file")
    if not Path(path).exists() and kind != "packed":
        raise UserError(f"{path}: no such file or folder")
    return _opened(kind, readers[kind], (path,), options)


def _opened(kind: str, reader: Callable[..., Source], arguments: tuple[Any, ...], options: dict[str, Any]) -> Source:
    try:
        return reader(*arguments, **options)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        raise UserError(f"data set '{kind}': {str(error).split(') ', 1)[-1].split('() ', 1)[-1]}") from None


def _readers() -> dict[str, Callable[..., Source]]:
    from training.datasets import afew_va, affectnet, codes, folder, packed, rendered, shards, synthetic

    return {
        "synthetic": synthetic.Synthetic,
        "rendered": rendered.Rendered,
        "codes": codes.StoredCodes,
        "shards": shards.Shards,
        "packed": packed.Packed,
        "mosaics": packed.Mosaics,
        "affectnet": affectnet.affectnet,
        "afew-va": afew_va.afew_va,
        "folder": folder.labelled,
        "unlabelled": folder.unlabelled,
    }
