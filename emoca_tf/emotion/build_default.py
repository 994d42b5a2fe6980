"""Writes the embedded emotion network from the npm package it comes in (MIT), without running any of its code.

    npm pack @vladmandic/face-api@1.7.15
    python -m emoca_tf.emotion.build_default --package vladmandic-face-api-1.7.15.tgz -o default_emotion.npz

Equal packages give equal bytes. The weights keep the 8 bits they come with; names and layouts become those of the rest
of this package (:mod:`emoca_tf.weights.torch_layout`).
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import click
import numpy as np

from emoca_tf.errors import UserError
from emoca_tf.io.files import sha256_of
from emoca_tf.io.npz import write_npz

PACKAGE = "@vladmandic/face-api@1.7.15"
PACKAGE_SHA256 = "0d77fffeef362ef9c0939cf6c567f3a2e8e177f114fa257a3270cbd2e509b031"
MODEL = "package/model/face_expression_model"
LABELS = ("neutral", "happy", "sad", "anger", "fear", "disgust", "surprise")
"""The package's order (neutral, happy, sad, angry, fearful, disgusted, surprised) in our words."""

# Last part of the package's name -> our leaf, axes as stored -> torch.
_LEAVES: dict[str, tuple[str, tuple[int, ...]]] = {
    "filters": ("weight", (3, 2, 0, 1)),
    "depthwise_filter": ("depthwise.weight", (2, 3, 0, 1)),
    "pointwise_filter": ("pointwise.weight", (3, 2, 0, 1)),
    "weights": ("weight", (1, 0)),
    "bias": ("bias", (0,)),
}


def build(package: Path) -> dict[str, np.ndarray]:
    """The arrays of the data file.

    Raises:
        UserError: if the package is missing or is not the one this script was written for.
    """
    if not package.is_file():
        raise UserError(f"{package}: no such package; get it with: npm pack {PACKAGE}")
    found = sha256_of(package)
    if found != PACKAGE_SHA256:
        raise UserError(f"{package}: sha256 {found[:12]}..., expected {PACKAGE} ({PACKAGE_SHA256[:12]}...)")
    with tarfile.open(package) as archive:
        manifest = json.loads(_member(archive, f"{MODEL}-weights_manifest.json"))[0]["weights"]
        data = _member(archive, f"{MODEL}.bin")
    arrays, quantisation, start = {}, {}, 0
    for entry in manifest:
        quantised = entry.get("quantization")
        dtype = np.dtype(quantised["dtype"] if quantised else entry["dtype"]).newbyteorder("<")
        stored = np.frombuffer(data, dtype, int(np.prod(entry["shape"])), start).reshape(entry["shape"])
        start += stored.nbytes
        module, leaf = entry["name"].rsplit("/", 1)
        ours, axes = _LEAVES[leaf]
        if leaf == "bias" and f"{module}/pointwise_filter" in {other["name"] for other in manifest}:
            ours = "pointwise.bias"
        name = f"{module.replace('/', '.')}.{ours}"
        arrays[name] = np.ascontiguousarray(stored.transpose(axes))
        if quantised:
            quantisation[name] = [quantised["scale"], quantised["min"]]
    if start != len(data):
        raise UserError(
            f"{package}: {len(data) - start} bytes of weights are left over; the manifest does not fit them"
        )
    meta = {"source": f"npm {PACKAGE}", "licence": "MIT", "labels": LABELS, "quantisation": quantisation}
    arrays["meta"] = np.frombuffer(json.dumps(meta, sort_keys=True).encode(), np.uint8)
    return arrays


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    stream = archive.extractfile(name)
    if stream is None:
        raise UserError(f"{name} is not a file in the package")
    return stream.read()


@click.command()
@click.option("--package", type=click.Path(path_type=Path), required=True, help="vladmandic-face-api-1.7.15.tgz")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="the .npz to write")
def main(package: Path, output: Path) -> None:
    """Build the default emotion network's weights and write them."""
    write_npz(output, build(package))


if __name__ == "__main__":
    main()
