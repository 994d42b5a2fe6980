"""Write the zip of an APK with the alignment that Android asks for.

Android maps stored entries straight from the APK: libraries must then start at a multiple of the page size (16 KB on
new phones), everything else at a multiple of 4. The padding goes into an extra field of id 0xD935, in which Android's
own tools record the alignment, so that signing keeps it.
"""

from __future__ import annotations

import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path

ALIGNMENT_FIELD = 0xD935
LIBRARY_ALIGNMENT, OTHER_ALIGNMENT = 16384, 4
LOCAL_HEADER = 30
DATE = (2008, 1, 1, 0, 0, 0)  # as aapt2 has it: the same input gives the same bytes


@dataclass(frozen=True)
class Entry:
    """A file of the APK."""

    name: str
    content: bytes
    stored: bool

    @property
    def alignment(self) -> int:
        """Bytes of which its data must start at a multiple; 1 for compressed ones."""
        if not self.stored:
            return 1
        return LIBRARY_ALIGNMENT if self.name.endswith(".so") else OTHER_ALIGNMENT


def padding(offset: int, name_length: int, alignment: int) -> bytes:
    """The extra field after which the data of an entry at ``offset`` is aligned."""
    if alignment == 1:
        return b""
    start = offset + LOCAL_HEADER + name_length + 6  # id, size, alignment
    return struct.pack("<HHH", ALIGNMENT_FIELD, 2 + -start % alignment, alignment) + bytes(-start % alignment)


def write_apk(path: Path, entries: list[Entry]) -> None:
    """Write them in their order.

    Raises:
        ValueError: two entries of one name.
    """
    if len({entry.name for entry in entries}) != len(entries):
        raise ValueError("an APK cannot have two files of one name")
    with zipfile.ZipFile(path, "w") as archive:
        for entry in entries:
            info = zipfile.ZipInfo(entry.name, DATE)
            info.compress_type = zipfile.ZIP_STORED if entry.stored else zipfile.ZIP_DEFLATED
            assert archive.fp is not None
            info.extra = padding(archive.fp.tell(), len(entry.name.encode()), entry.alignment)
            archive.writestr(info, entry.content, compresslevel=9)
            info.extra = b""  # of the local header only: the central directory needs no padding
