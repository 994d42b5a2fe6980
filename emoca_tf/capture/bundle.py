"""A bundle: everything an app needs to turn a photo into a head, and the loader that runs it with LiteRT alone.

No TensorFlow is imported here. A model file is a program, and a truncated one can end the process that opens it, so
every file's size and SHA-256 are compared with the manifest before anything in it is used, and the manifest vouches
for itself by a digest.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from emoca_tf.capture.tflite import TFLiteModel
from emoca_tf.codes import COARSE_SIZES, Codes, split
from emoca_tf.errors import UserError
from emoca_tf.faces import blazeface
from emoca_tf.faces.crop import CropTransform

FORMAT = "emoca-tf bundle 2"
MANIFEST = "manifest.json"
MAX_MANIFEST, MAX_FILE = 4 * 2**20, 512 * 2**20
_NAME = re.compile(r"[a-z0-9_]+(/[a-zA-Z0-9_.-]+)+")
_MEND = "copy the bundle again, or write it anew with: convert --tflite --bundle DIR"


@dataclass(frozen=True)
class Shot:
    """What a bundle sees in one face.

    Attributes:
        codes: one row of every parameter group.
        vertices: ``[V, 3]`` float32 posed head, metres.
        landmarks: ``[68, 3]`` float32 on the head, metres.
        emotion: ``expression [8]`` logits, ``valence``, ``arousal``: off the codes where the bundle has a read-out,
            else off the picture; empty where it has neither.
        face: the detection.
        crop: photo pixels -> crop pixels.
        image: ``[224, 224, 3]`` float32 the crop.
    """

    codes: Codes
    vertices: np.ndarray
    landmarks: np.ndarray
    emotion: Mapping[str, np.ndarray]
    face: blazeface.Detection
    crop: CropTransform
    image: np.ndarray


def digest(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest's canonical JSON without its own ``digest``."""
    rest = {key: value for key, value in manifest.items() if key != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class Bundle:
    """A folder written by ``convert --tflite --bundle``.

    Args:
        folder: the bundle.
        threads: threads of every model.

    Attributes:
        manifest: the parsed ``manifest.json``.

    Raises:
        UserError: missing, damaged or changed files; one line that names the file.
    """

    def __init__(self, folder: Path | str, threads: int = 1) -> None:
        self.folder, self.threads = Path(folder), threads
        self.manifest = read_manifest(self.folder)
        self._content = {name: _verified(self.folder, name, entry) for name, entry in self.manifest["files"].items()}
        self._models: dict[str, TFLiteModel] = {}

    def __contains__(self, stage: str) -> bool:
        return stage in self.manifest["stages"]

    def model(self, stage: str) -> TFLiteModel:
        """The network of a stage, opened on first use from the verified bytes.

        Raises:
            UserError: the bundle has no such stage.
        """
        if stage not in self:
            raise UserError(f"{self.folder} has no stage '{stage}'; there are: {', '.join(self.manifest['stages'])}")
        if stage not in self._models:
            self._models[stage] = TFLiteModel(self._content[self.manifest["stages"][stage]], self.threads)
        return self._models[stage]

    def array(self, name: str) -> np.ndarray:
        """An array of the manifest (``triangles``, ``uv``, ``anchors``, ...) in its shape.

        Real numbers are float32, also where levels of 8 bits stand for them; indices are as they are stored.

        Raises:
            UserError: the bundle has no such array.
        """
        entry = self.manifest["arrays"].get(name)
        if entry is None:
            raise UserError(f"{self.folder} has no array '{name}'")
        stored = np.frombuffer(self._content[entry["file"]], np.dtype(entry["dtype"])).reshape(entry["shape"])
        if "scale" not in entry:
            return stored
        return (stored * np.float64(entry["scale"]) + entry["offset"]).astype(np.float32)

    @property
    def axes(self) -> list[str]:
        """Names of the expression axes."""
        return list(self.manifest["expression_axes"])

    def detect(self, image: np.ndarray) -> list[blazeface.Detection]:
        """Faces of a picture ``[H, W, 3]`` uint8 RGB, largest first."""
        return blazeface.detect(self.model("detector"), image)

    def encode(self, image: np.ndarray) -> Codes:
        """Crop ``[224, 224, 3]`` float32 RGB in 0..1 -> codes of one face (NumPy)."""
        batch = {"image": image[None]}
        if "coarse" in self:
            codes = split(self.model("coarse")(batch)["codes"], self.manifest.get("code_sizes", COARSE_SIZES))
            return codes.replace(exp=self.model("expression")(batch)["exp"]).numpy()
        found: dict[str, np.ndarray] = {}
        for stage in ("pose_shape", "expression") if "pose_shape" in self else ("pose", "shape", "expression"):
            found |= self.model(stage)(batch)
        return Codes(
            shape=found["shape"], tex=found["tex"], exp=found["exp"],
            pose=np.concatenate([found["global"], found["jaw"]], 1), cam=found["cam"],
            light=found["light"].reshape(-1, 9, 3), eyelid=found["eyelid"],
        )  # fmt: skip

    def decode(self, codes: Codes, stage: str = "head") -> dict[str, np.ndarray]:
        """Codes of one face -> ``vertices [1, V, 3]`` and landmarks, metres; another stage (``readout``): its outputs.

        The small mesh is ``vertices[:, array("small_vertices")]`` with the triangles ``small_triangles``.
        """
        model = self.model(stage)
        return model({name: np.asarray(getattr(codes, name)) for name in model.inputs})

    def read_emotion(self, codes: Codes, image: np.ndarray) -> dict[str, np.ndarray]:
        """``expression [8]`` logits, ``valence [1]``, ``arousal [1]``, see :attr:`Shot.emotion`."""
        if "readout" in self:
            read = self.decode(codes, "readout")
        elif "emotion" in self:
            read = self.model("emotion")({"image": image[None]})
        else:
            return {}
        return {name: read[name][0] for name in ("expression", "valence", "arousal")}

    def look(self, image: np.ndarray, face: blazeface.Detection) -> Shot:
        """Everything about one detected face of a picture ``[H, W, 3]`` uint8 RGB."""
        crop = face.crop()
        pixels = crop.apply(image)
        codes = self.encode(pixels)
        head = self.decode(codes)
        emotion = self.read_emotion(codes, pixels)
        landmarks = head.get("landmarks", np.zeros((1, 0, 3), np.float32))
        return Shot(codes, head["vertices"][0], landmarks[0], emotion, face, crop, pixels)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest, checked in every field that the loader relies on.

    Raises:
        UserError: no bundle there, or its manifest is damaged.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise UserError(f"{folder} is not a bundle (no {MANIFEST}); make one with: convert --tflite --bundle DIR")
    if path.stat().st_size > MAX_MANIFEST:
        raise UserError(f"{path} has {path.stat().st_size} bytes; a manifest has at most {MAX_MANIFEST}")
    try:
        manifest = json.loads(path.read_bytes())
        if manifest["format"] != FORMAT:
            raise UserError(f"{path} is of format '{str(manifest['format'])[:60]}'; this version reads '{FORMAT}'")
        if digest(manifest) != manifest["digest"]:
            raise UserError(f"{path} was changed (its digest does not fit); {_MEND}")
        files = manifest["files"]
        stages, arrays = manifest["stages"].values(), [a["file"] for a in manifest["arrays"].values()]
        unknown = [name for name in [*stages, *arrays] if name not in files]
        sound = all(_NAME.fullmatch(name) and ".." not in name for name in files) and not unknown
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UserError(f"{path} is damaged; {_MEND}") from None
    if not sound:
        raise UserError(f"{path} names files that a bundle cannot have; {_MEND}")
    return dict(manifest)


def _verified(folder: Path, name: str, entry: Mapping[str, Any]) -> bytes:
    """The bytes of a file, once they are those that the manifest vouches for."""
    path = folder / name
    expected = int(entry["bytes"])
    if not path.is_file() or path.is_symlink():
        raise UserError(f"{path} is missing; {_MEND}")
    size = path.stat().st_size
    if size != expected or size > MAX_FILE:
        raise UserError(f"{path} has {size} bytes instead of {expected}; {_MEND}")
    content = path.read_bytes()
    if len(content) != expected or hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise UserError(f"{path} was changed or damaged (its SHA-256 does not fit); {_MEND}")
    return content


@dataclass
class BundleCapture:
    """A head captured with a bundle, ready to be saved.

    Attributes:
        bundle: which one.
        shot: what it saw.
        photo: ``[H, W, 3]`` uint8 the picture.
        seconds: detection to head.
    """

    bundle: Bundle
    shot: Shot
    photo: np.ndarray
    seconds: float = field(default=0.0)

    def to_json(self) -> dict[str, Any]:
        """What ``capture.json`` holds."""
        from emoca_tf import __version__
        from emoca_tf.codes import UNITS
        from emoca_tf.emotion.recognition import EXPRESSIONS

        shot = self.shot
        codes = {
            name: {"unit": UNITS[name], "shape": list(values.shape[1:]), "values": values[0].tolist()}
            for name, values in shot.codes.to_dict().items()
        }
        codes["exp"]["axes"] = self.bundle.axes
        facts = {
            "format": "emoca-tf capture 1",
            "emoca_tf": __version__,
            "method": "bundle",
            "weights": self.bundle.manifest["weights"],
            "head": self.bundle.manifest["head"]["name"],
            "codes": codes,
            "camera": {
                "model": "weak perspective: image = scale * (x + t), y down, in [-1, 1] of the crop",
                "scale": float(shot.codes.cam[0, 0]),
                "translation": shot.codes.cam[0, 1:].tolist(),
            },
            "crop": {"photo_to_crop": shot.crop.matrix.tolist(), "size": shot.crop.size},
            "face": {"score": shot.face.score, "box": list(shot.face.box)},
            "seconds": self.seconds,
        }
        if shot.emotion:
            logits = shot.emotion["expression"].astype(np.float64)
            shares = np.exp(logits - logits.max())
            facts["emotion"] = {
                "expression": dict(zip(EXPRESSIONS, (shares / shares.sum()).tolist(), strict=True)),
                "valence": float(shot.emotion["valence"][0]),
                "arousal": float(shot.emotion["arousal"][0]),
            }
        return facts

    def save(self, directory: Path | str) -> None:
        """Write ``head.obj``, ``head.glb``, ``overlay.png`` and ``capture.json``, all or none.

        Raises:
            UserError: ``directory`` is a file.
            OSError: if the disk refuses.
        """
        import trimesh
        from PIL import Image

        from emoca_tf.capture.sketch import strip
        from emoca_tf.io.mesh import staged_folder, write_glb

        directory = Path(directory)
        if directory.exists() and not directory.is_dir():
            raise UserError(f"{directory} is a file; give a folder for the results")
        triangles = self.bundle.array("triangles")
        mesh = trimesh.Trimesh(self.shot.vertices, triangles, process=False)
        picture = strip(self.shot.image, self.shot.vertices, triangles, self.shot.landmarks, self.shot.codes.cam[0])
        with staged_folder(directory) as folder:
            (folder / "head.obj").write_text(trimesh.exchange.obj.export_obj(mesh, include_normals=True))
            write_glb(folder / "head.glb", mesh)
            Image.fromarray(picture).save(folder / "overlay.png")
            (folder / "capture.json").write_text(json.dumps(self.to_json(), indent=1))


def capture_with_bundle(source: Any, folder: Path | str, face: str = "largest") -> list[BundleCapture]:
    """Recover heads with the networks of a bundle.

    Args:
        source: path of a picture, an image array, or ``sample:astronaut``.
        folder: the bundle.
        face: ``largest``, ``all`` or a number, 0 being the largest.

    Raises:
        UserError: a damaged bundle, or a picture that cannot be read or shows no such face.
    """
    import time

    from emoca_tf.faces.detect import select_faces
    from emoca_tf.io.images import read_image

    bundle = Bundle(folder)
    image = read_image(source)
    captures = []
    for one in select_faces(bundle.detect(image), face):  # type: ignore[arg-type,type-var]
        start = time.perf_counter()
        shot = bundle.look(image, one)  # type: ignore[arg-type]
        captures.append(BundleCapture(bundle, shot, image, time.perf_counter() - start))
    return captures
