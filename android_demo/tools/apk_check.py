"""What a phone, or a person who is about to install it, would want to know of an APK. Standard library only."""

from __future__ import annotations

import hashlib
import json
import re
import struct
import zipfile
from pathlib import Path
from typing import Any

import references
from apk_zip import LIBRARY_ALIGNMENT, OTHER_ALIGNMENT

ALLOWED_PERMISSIONS = {"android.permission.CAMERA"}
ELF_LOAD = 1


class CheckError(Exception):
    """The file is no APK."""


def examine(apk: Path, badging: str, android: Path, android26: Path, jdk: Path) -> dict[str, Any]:
    """Facts, ``notes`` and ``problems``.

    Args:
        apk: a signed APK.
        badging: of ``aapt2 dump badging``.
        android: jar of Android's classes at the target level; ``android26`` at the oldest level that is supported.
        jdk: a JDK with ``lib/ct.sym``, for ``java.*``.

    Raises:
        CheckError: it cannot be read.
    """
    problems: list[str] = []
    notes: list[str] = []
    try:
        with zipfile.ZipFile(apk) as archive:
            infos = archive.infolist()
            contents = {i.filename: archive.read(i) for i in infos if i.filename.endswith((".dex", ".so"))}
            bundle = _bundle(archive, problems)
        offsets = {info.filename: data_offset(apk, info) for info in infos}
    except (OSError, zipfile.BadZipFile) as error:
        raise CheckError(f"{apk} cannot be read ({error})") from None
    facts: dict[str, Any] = {
        "bytes": apk.stat().st_size,
        "sha256": hashlib.sha256(apk.read_bytes()).hexdigest(),
        "package": _said(badging, r"package: name='([^']+)'"),
        "version": _said(badging, r"versionName='([^']+)'"),
        "min_sdk": _said(badging, r"(?:minSdkVersion|sdkVersion):'(\d+)'"),
        "target_sdk": _said(badging, r"targetSdkVersion:'(\d+)'"),
        "permissions": sorted(set(re.findall(r"uses-permission: name='([^']+)'", badging))),
        "locales": (_said(badging, r"locales: (.+)") or "").replace("'", "").replace("--_-- ", "").split(),
        "abis": sorted({name.split("/")[1] for name in contents if name.startswith("lib/")}),
    }
    if extra := set(facts["permissions"]) - ALLOWED_PERMISSIONS:
        problems.append(f"permissions that the app has no use for: {', '.join(sorted(extra))}")
    facts["alignment"] = _alignment(infos, offsets, problems)
    facts["libraries"] = _libraries(contents, int(facts["min_sdk"] or 0), problems)
    facts["bundle"] = bundle
    code = [content for name, content in contents.items() if name.endswith(".dex")]
    found = references.check(code, android, android26, jdk)
    facts["references"] = found.facts
    problems += found.problems
    notes += found.notes
    return facts | {"notes": notes, "problems": problems}


def _said(badging: str, pattern: str) -> str | None:
    match = re.search(pattern, badging)
    return match[1] if match else None


def data_offset(apk: Path, info: zipfile.ZipInfo) -> int:
    """Where the bytes of an entry start in the file."""
    with apk.open("rb") as stream:
        stream.seek(info.header_offset)
        header = stream.read(30)
    name, extra = struct.unpack_from("<HH", header, 26)
    return info.header_offset + 30 + name + extra


def _alignment(infos: list[zipfile.ZipInfo], offsets: dict[str, int], problems: list[str]) -> dict[str, int]:
    """Largest power of two up to 16 KB that all libraries, models and other stored files start at a multiple of."""
    least = {"libraries": 1 << 20, "models": 1 << 20, "other_stored": 1 << 20}
    for info in infos:
        name, stored = info.filename, info.compress_type == zipfile.ZIP_STORED
        kind = "libraries" if name.endswith(".so") else "models" if name.endswith(".tflite") else "other_stored"
        if kind != "other_stored" and not stored:
            problems.append(f"{name} is compressed; a phone cannot map it")
        if not stored:
            continue
        offset = offsets[name]
        least[kind] = min(least[kind], offset & -offset)
        needed = LIBRARY_ALIGNMENT if kind == "libraries" else OTHER_ALIGNMENT
        if offset % needed:
            problems.append(f"{name} starts at {offset}, which is no multiple of {needed}")
    return {kind: value for kind, value in least.items() if value < 1 << 20}


def _libraries(contents: dict[str, bytes], min_sdk: int, problems: list[str]) -> dict[str, dict[str, int]]:
    """Smallest alignment of the LOAD segments of every library, and the Android level that it was built for."""
    found = {}
    for name, content in contents.items():
        if not name.endswith(".so"):
            continue
        found[name] = {"load_alignment": load_alignment(content), "built_for_api": built_for(content)}
        if found[name]["load_alignment"] < LIBRARY_ALIGNMENT:
            problems.append(
                f"{name} was linked for pages of {found[name]['load_alignment']} bytes: phones with 16 KB pages run it in "
                "Android 16's compatibility mode, with a warning, or not at all"
            )
        if found[name]["built_for_api"] > min_sdk:
            problems.append(f"{name} was built for API {found[name]['built_for_api']}, and the app installs from {min_sdk} on")
    return found


def built_for(elf: bytes) -> int:
    """Level in the NDK's note (owner ``Android``, type 1), which the oldest phone must have; 0 where there is none."""
    note = re.search(rb"\x08\0\0\0.{4}\x01\0\0\0Android\0(.{4})", elf, re.DOTALL)
    return int.from_bytes(note[1], "little") if note else 0


def load_alignment(elf: bytes) -> int:
    """Smallest ``p_align`` of the LOAD segments of a 64-bit little-endian ELF file; 0 if it is none."""
    if elf[:6] != b"\x7fELF\x02\x01":
        return 0
    (table,) = struct.unpack_from("<Q", elf, 32)
    size, count = struct.unpack_from("<HH", elf, 54)
    rows = [struct.unpack_from("<I44xQ", elf, table + i * size) for i in range(count)]
    return min((align for kind, align in rows if kind == ELF_LOAD), default=0)


def _bundle(archive: zipfile.ZipFile, problems: list[str]) -> dict[str, Any]:
    """What of the bundle is inside, every file compared with the manifest."""
    prefix = "assets/bundle/"
    inside = {name.removeprefix(prefix) for name in archive.namelist() if name.startswith(prefix)}
    if "manifest.json" not in inside:
        return {"present": False}
    manifest = json.loads(archive.read(f"{prefix}manifest.json"))
    for name, entry in manifest["files"].items():
        content = archive.read(prefix + name) if name in inside else b""
        if len(content) != entry["bytes"] or hashlib.sha256(content).hexdigest() != entry["sha256"]:
            problems.append(f"{name} is not the file that the bundle's manifest vouches for")
    return {
        "present": True,
        "files": len(manifest["files"]),
        "stages": sorted(manifest["stages"]),
        "digest": manifest["digest"],
    }
