"""Folders for results, refused before the work rather than after it."""

from __future__ import annotations

import os
from pathlib import Path

from emoca_tf.errors import UserError


def require_folder(path: Path | str) -> Path:
    """Check that results can be written into ``path``, which need not exist yet; nothing is made.

    Returns:
        The path.

    Raises:
        UserError: it or a part of it is a file, or it may not be written to.
    """
    path = Path(path)
    for part in (path, *path.parents):
        try:
            exists = part.exists()
        except OSError as error:
            raise UserError(f"{path} cannot be a folder for the results: {error.strerror}") from None
        if not exists:
            continue
        if not part.is_dir():
            raise UserError(f"{part} is a file; give a folder for the results")
        if not os.access(part, os.W_OK | os.X_OK):
            raise UserError(f"{part}: no permission to write there; give another folder for the results")
        break
    return path
