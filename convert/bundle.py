"""Write a bundle: every model, array and golden vector that an app needs, and the manifest that vouches for them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from convert.heads import small_mesh
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
ENCODERS = ({"pose_shape", "expression"}, {"pose", "shape", "expression"}, {"coarse", "expression"})
GOLDEN_PHOTO = "sample:astronaut"
LEVEL = 1 / 255
THUMB = 8
"""Every so many rows and columns of the golden crop are stored: enough to tell where and how it was cut."""
SUFFIXES = {np.dtype(kind): suffix for kind, suffix in (("f4", "f32"), ("i4", "i32"), ("u2", "u16"), ("u1", "u8"))}


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

    def add_array(self, name: str, stem: str, values: np.ndarray, licence: str) -> None:
        """An array, little-endian and row by row; its type becomes the suffix of the file.

        Indices take two bytes if that is enough for them.
        """
        if values.dtype == np.int32 and values.size and values.min() >= 0 and values.max() < 1 << 16:
            values = values.astype(np.uint16)
        if values.dtype not in SUFFIXES:
            raise ValueError(f"{name}: arrays of a bundle are float32, int32, uint16 or uint8, not {values.dtype}")
        stored = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
        file = self.add(f"{stem}.{SUFFIXES[values.dtype]}", stored.tobytes(), licence)
        self.arrays[name] = {"file": file, "dtype": stored.dtype.str, "shape": list(stored.shape)}

    def add_levels(self, name: str, values: np.ndarray, scale: float, offset: float, licence: str) -> None:
        """An array of real numbers that are ``offset + scale * level`` with levels of 8 bits."""
        self.add_array(name, name, np.round((values - offset) / scale).astype(np.uint8), licence)
        self.arrays[name] |= {"scale": scale, "offset": offset}


def chosen(networks: Mapping[str, Network], asked: Sequence[str]) -> list[str]:
    """Which networks a bundle holds: all that were asked for by name, else those that an app runs.

    The small mesh consists of vertices of the whole head, and a read-out of the codes tells the emotion without another
    look at the picture.
    """
    if asked and "all" not in asked:
        return list(networks)
    spare = {"head_small"} | ({"emotion"} if "readout" in networks else set())
    return [name for name in networks if name not in spare]


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
            f"a bundle needs head, expression, and pose_shape, pose and shape, or coarse; "
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
        _add_head(files, head)
        files.add_array("anchors", "detector/anchors", blazeface.anchors(), "Apache-2.0")
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


def _add_head(files: _Folder, head: HeadModel) -> None:
    licence = head.licence or "unknown"
    files.add_array("triangles", "head/triangles", head.f.astype(np.int32), licence)
    if head.uv is not None and head.uv_faces is not None:
        files.add_array("uv", "head/uv", head.uv.astype(np.float32), licence)
        files.add_array("uv_triangles", "head/uv_triangles", head.uv_faces.astype(np.int32), licence)
    vertices, triangles = small_mesh(head)
    files.add_array("small_vertices", "head/small_vertices", vertices.astype(np.int32), licence)
    files.add_array("small_triangles", "head/small_triangles", triangles, licence)


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


def golden_photo(bundle: Bundle) -> np.ndarray:
    """``[224, 224, 3]`` uint8: the sample photo as the networks see it, a photo with a face as well as a crop."""
    photo = read_image(GOLDEN_PHOTO)
    return np.asarray(np.round(bundle.detect(photo)[0].crop().apply(photo) / LEVEL), np.uint8)


def add_golden(files: _Folder, bundle: Bundle) -> list[dict[str, Any]]:
    """Input and output of every stage on one small photo, as the loader computes them; arrays named ``golden/...``.

    The same bytes are the photo in which a face is found and the crop that the networks look at.
    """
    licence = "public domain (NASA) and Apache-2.0"
    photo = golden_photo(bundle)
    values, side, corner = blazeface.prepare(photo)
    detected = bundle.model("detector")({"input": values})
    face = blazeface.decode(detected["regressors"], detected["classificators"], side, corner)[0]
    files.add_levels("golden/image", photo * LEVEL, LEVEL, 0.0, licence)
    files.arrays["golden/photo"] = {key: files.arrays["golden/image"][key] for key in ("file", "dtype", "shape")}
    files.add_levels("golden/input", values, 2 * LEVEL, -1.0, licence)
    image = np.float32(LEVEL) * photo[None]
    codes = bundle.encode(image[0])
    records: list[dict[str, Any]] = []
    keys = {id(photo): "golden/photo", id(image): "golden/image", id(values): "golden/input"}
    kept: list[np.ndarray] = []  # an array that lives keeps its id

    def store(name: str, value: np.ndarray) -> str:
        if id(value) not in keys:
            keys[id(value)] = f"golden/{name}"
            kept.append(value)
            files.add_array(keys[id(value)], keys[id(value)], value.astype(np.float32), licence)
        return keys[id(value)]

    def record(stage: str, inputs: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray], within: float) -> None:
        records.append({
            "stage": stage,
            "inputs": {name: store(f"{stage}_in_{name}", value) for name, value in inputs.items()},
            "outputs": {name: store(f"{stage}_out_{name}", value) for name, value in outputs.items()},
            "tolerance": within,
        })  # fmt: skip

    record("prepare", {"photo": photo}, {"input": values}, 1e-5)
    record("detector", {"input": values}, detected, 1e-3)
    found = {"box": np.array(face.box), "keypoints": face.keypoints, "score": np.array([face.score])}
    record("detection", detected, found, 1e-2)
    thumb = face.crop().apply(photo)[::THUMB, ::THUMB]
    record("crop", {"photo": photo, "box": found["box"]}, {"thumb": thumb}, 1e-5)
    for stage in bundle.manifest["stages"]:
        model: TFLiteModel = bundle.model(stage)
        if "image" in model.inputs:
            record(stage, {"image": image}, model({"image": image}), 1e-3)
        elif all(hasattr(codes, name) for name in model.inputs):
            fed = {name: np.asarray(getattr(codes, name), np.float32) for name in model.inputs}
            record(stage, fed, model(fed), 1e-4)
    return records
