"""Files a user gives: mapped into memory, and named for what they are when they are not what was asked for."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emoca_tf.errors import UserError

# First bytes -> what the file is instead. The offset is 0 unless given.
_IMPOSTORS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x1f\x8b", "is a gzip archive; unpack it first and give the file inside"),
    (257, b"ustar", "is a real tar archive; unpack it first and give the checkpoint inside"),
    (0, b"version https://git-lfs", "is a Git LFS pointer, not the file itself; fetch it with: git lfs pull"),
    (0, b"\x89HDF", "is an HDF5 file, not a torch checkpoint"),
    (0, b"7z\xbc\xaf", "is a 7z archive; unpack it first and give the file inside"),
    (0, b"Rar!", "is a rar archive; unpack it first and give the file inside"),
    (0, b"\x93NUMPY", "is a NumPy array, not a torch checkpoint"),
    (0, b"%PDF", "is a PDF document, not a torch checkpoint"),
)


@contextmanager
def map_file(path: Path) -> Iterator[memoryview]:
    """The bytes of a file without reading them into memory.

    Raises:
        UserError: no such file, a directory, no permission, or empty.
    """
    if path.is_dir():
        raise UserError(f"{path} is a directory; give the file")
    try:
        with path.open("rb") as stream:
            if path.stat().st_size == 0:
                raise UserError(f"{path} is empty; download it again")
            # No close(): arrays made from the mapping may outlive the block, and closing would raise BufferError.
            yield memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except PermissionError:
        raise UserError(f"{path}: no permission to read it") from None


def refuse_impostors(path: Path, head: bytes) -> None:
    """Name a file that is something else than its suffix says (web pages above all).

    Raises:
        UserError: if the first bytes are those of another format.
    """
    text = head.lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<head", b"<?xml")) or b"<html" in text:
        raise UserError(
            f"{path} is a web page saved under that name (a log-in or 'confirm download' page); "
            "download the file itself in a browser"
        )
    for offset, magic, what in _IMPOSTORS:
        if head[offset : offset + len(magic)] == magic:
            raise UserError(f"{path} {what}")


def sha256_of(path: Path) -> str:
    """Hex digest of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(2**22):
            digest.update(piece)
    return digest.hexdigest()
