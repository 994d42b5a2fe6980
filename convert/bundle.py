"""Write a bundle: every model, array and golden vector that an app needs, and the manifest that vouches for them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from convert.heads import decimated
from convert.jobs import Result, Workshop
from convert.networks import Network
from emoca_tf import __version__
from emoca_tf.capture.bundle import FORMAT, MANIFEST, Bundle, digest
from emoca_tf.capture.tflite import TFLiteModel
from emoca_tf.emotion.recognition import EXPRESSIONS
from emoca_tf.errors import UserError
from emoca_tf.faces import blazeface
from emoca_tf.flame.head import HeadModel
from emoca_tf.io.images import read_image
from emoca_tf.io.mesh import staged_folder

DETECTOR = "models/face_detector.tflite"
ENCODERS = ({"pose", "shape", "expression"}, {"coarse", "expression"})
GOLDEN_PHOTO = "sample:astronaut"


class _Folder:
    """Files of the bundle while it grows, and their manifest entries."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: dict[str, dict[str, Any]] = {}
        self.arrays: dict[str, dict[str, Any]] = {}

    def add(self, name: str, content: bytes, licence: str) -> str:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        entry = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), "licence": licence}
        self.files[name] = entry
        return name

    def add_array(self, name: str, file: str, values: np.ndarray, licence: str) -> None:
        """An array, little-endian and row by row."""
        values = np.ascontiguousarray(values)
        if values.dtype not in (np.float32, np.int32, np.uint8):
            raise ValueError(f"{name}: arrays of a bundle are float32, int32 or uint8, not {values.dtype}")
        self.add(file, values.astype(values.dtype.newbyteorder("<")).tobytes(), licence)
        self.arrays[name] = {"file": file, "dtype": values.dtype.newbyteorder("<").str, "shape": list(values.shape)}


def write_bundle(folder: Path, workshop: Workshop, kept: Mapping[str, Result], networks: Mapping[str, Network]) -> None:
    """Write everything into ``folder``; it appears only when all of it is complete.

    Args:
        folder: where to; files of the same names are replaced.
        workshop: of the conversion.
        kept: network name -> the file to take.
        networks: the networks.

    Raises:
        UserError: networks are missing that a photo needs, or mediapipe is not installed.
    """
    if not any(needed <= kept.keys() for needed in ENCODERS) or "head" not in kept:
        raise UserError(
            f"a bundle needs pose, shape, expression and head (or coarse, expression and head); "
            f"{workshop.source.origin} gave {', '.join(kept)}"
        )
    for result in kept.values():
        if result.obstacles:
            raise UserError(f"{result.network} {result.recipe} cannot be in a bundle: {result.obstacles[0]}")
    head = workshop.source.head
    with staged_folder(folder) as staged:
        files = _Folder(staged)
        stages = {"detector": files.add(DETECTOR, detector_bytes(), "Apache-2.0 (MediaPipe)")}
        for name, result in kept.items():
            path = f"models/{name}.tflite"
            stages[name] = files.add(path, result.content, workshop.licence(networks[name]))
            files.add(f"models/{name}.json", json.dumps(result.description, indent=1).encode(), "Apache-2.0")
        _add_head(files, head, small="head_small" in kept)
        files.add_array("anchors", "detector/anchors.f32", blazeface.anchors(), "Apache-2.0")
        manifest = _manifest(workshop, files, stages)
        _write(staged, manifest)
        golden = add_golden(files, Bundle(staged))
        _write(staged, _manifest(workshop, files, stages) | {"golden": golden})


def detector_bytes() -> bytes:
    """BlazeFace (short range) from the installed mediapipe package.

    Raises:
        UserError: mediapipe or the file is not there.
    """
    from importlib.util import find_spec

    spec = find_spec("mediapipe")
    root = Path((spec.submodule_search_locations or [""])[0]) if spec else Path()
    path = root / "modules" / "face_detection" / "face_detection_short_range.tflite"
    if not path.is_file():
        raise UserError(
            "the face detector comes from mediapipe 0.10.21; install it with: pip install mediapipe==0.10.21"
        )
    return path.read_bytes()


def _add_head(files: _Folder, head: HeadModel, small: bool) -> None:
    licence = head.licence or "unknown"
    files.add_array("triangles", "head/triangles.i32", head.f.astype(np.int32), licence)
    if head.uv is not None and head.uv_faces is not None:
        files.add_array("uv", "head/uv.f32", head.uv.astype(np.float32), licence)
        files.add_array("uv_triangles", "head/uv_triangles.i32", head.uv_faces.astype(np.int32), licence)
    if small:
        files.add_array("small_triangles", "head/small_triangles.i32", decimated(head).f, licence)


def _manifest(workshop: Workshop, files: _Folder, stages: Mapping[str, str]) -> dict[str, Any]:
    head = workshop.source.head
    return {
        "format": FORMAT,
        "emoca_tf": __version__,
        "weights": workshop.source.origin,
        "family": workshop.source.family,
        "head": {"name": head.name, "licence": head.licence, "source": head.source, "vertices": head.n_vertices},
        "expression_axes": list(head.expression_names),
        "expression_range": None if head.exp_range is None else head.exp_range.tolist(),
        "code_sizes": {"shape": head.n_shape, "tex": 50, "exp": head.n_exp, "pose": 6, "cam": 3, "light": 27},
        "emotion_classes": list(EXPRESSIONS),
        "detector": {
            "input": blazeface.SIZE, "range": [-1, 1], "score": blazeface.SCORE, "overlap": blazeface.OVERLAP,
            "keypoints": list(blazeface.KEYPOINTS),
        },
        "crop": {
            "size": 224, "side": blazeface.CROP_SIDE, "down": blazeface.CROP_DOWN, "range": [0, 1], "colour": "RGB",
            "rule": "square of side x mean box side, centre moved by down x mean box side; corners on 0 and 223",
        },
        "camera": "weak perspective: x_image = scale (x + tx), y_image = -scale (y + ty), in [-1, 1] of the crop",
        "stages": dict(stages),
        "arrays": files.arrays,
        "files": files.files,
    }  # fmt: skip


def _write(folder: Path, manifest: dict[str, Any]) -> None:
    (folder / MANIFEST).write_text(json.dumps(manifest | {"digest": digest(manifest)}, indent=1))


def add_golden(files: _Folder, bundle: Bundle) -> list[dict[str, Any]]:
    """Input and output of every stage on one photo, as the loader computes them; arrays named ``golden/...``."""
    licence = "public domain (NASA) and Apache-2.0"
    photo = read_image(GOLDEN_PHOTO)
    values, side, corner = blazeface.prepare(photo)
    detected = bundle.model("detector")({"input": values})
    faces = blazeface.decode(detected["regressors"], detected["classificators"], side, corner)
    shot = bundle.look(photo, faces[0])
    records: list[dict[str, Any]] = []
    stored: dict[int, tuple[str, np.ndarray]] = {}  # the array is kept, so that its id stays its own

    def store(name: str, value: np.ndarray) -> str:
        if id(value) not in stored:
            key = f"golden/{name}"
            kind = value.dtype if value.dtype in (np.float32, np.int32, np.uint8) else np.dtype(np.float32)
            suffix = {"float32": "f32", "int32": "i32", "uint8": "u8"}[str(kind)]
            files.add_array(key, f"{key}.{suffix}", value.astype(kind), licence)
            stored[id(value)] = key, value
        return stored[id(value)][0]

    def record(stage: str, inputs: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray], within: float) -> None:
        records.append({
            "stage": stage,
            "inputs": {name: store(f"{stage}_in_{name}", value) for name, value in inputs.items()},
            "outputs": {name: store(f"{stage}_out_{name}", value) for name, value in outputs.items()},
            "tolerance": within,
        })  # fmt: skip

    record("prepare", {"photo": photo}, {"input": values}, 1e-5)
    record("detector", {"input": values}, detected, 1e-3)
    face = faces[0]
    found = {"box": np.array(face.box), "keypoints": face.keypoints, "score": np.array([face.score])}
    record("detection", detected, found, 1e-2)
    record("crop", {"photo": photo, "box": found["box"]}, {"image": shot.image}, 2e-2)
    for stage in bundle.manifest["stages"]:
        model: TFLiteModel = bundle.model(stage)
        if stage == "detector":
            continue
        if "image" in model.inputs:
            record(stage, {"image": shot.image}, model({"image": shot.image[None]}), 1e-3)
        elif all(hasattr(shot.codes, name) for name in model.inputs):
            codes = {name: np.asarray(getattr(shot.codes, name), np.float32) for name in model.inputs}
            record(stage, codes, model(codes), 1e-4)
    return records
