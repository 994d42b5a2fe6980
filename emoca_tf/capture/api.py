"""``capture``: one photo in, codes, mesh and pictures of its head out."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emoca_tf import __version__
from emoca_tf.capture import overlay
from emoca_tf.capture.encoded import FaceEncoder, Method, open_encoder
from emoca_tf.capture.fit import FitOptions, Progress
from emoca_tf.capture.morphs import morph_targets
from emoca_tf.capture.versions import package_versions
from emoca_tf.codes import UNITS, Codes, axis_names
from emoca_tf.emotion.reading import Emotion
from emoca_tf.faces.crop import INFERENCE_SCALE, CropTransform, crop_from_landmarks
from emoca_tf.faces.detect import Face, detect_faces, select_faces
from emoca_tf.flame.head import HeadModel
from emoca_tf.io.images import read_image
from emoca_tf.io.mesh import plain_mesh, seam_corners, staged_folder, textured_mesh, write_glb, write_obj
from emoca_tf.io.outputs import require_folder


@dataclass(frozen=True)
class Capture:
    """The 3D head of one face.

    Attributes:
        codes: one row of every parameter group (NumPy).
        vertices: ``[V, 3]`` float32 posed head, metres, FLAME space (before the camera).
        landmarks: ``[478, 2]`` detected MediaPipe points, pixels of the photo.
        crop: photo pixels -> crop pixels.
        head: the head model.
        texture: ``[256, 256, 3]`` float32 albedo in 0..1, or None for a head without texture coordinates.
        pictures: ``photo``, ``over`` and ``shape``, each ``[448, 448, 3]`` float32 in 0..1.
        landmark_error: mean distance between detected and projected landmarks, pixels of the 224 crop.
        seconds: how long it took, detection and pictures left out.
        method: ``fit``, ``encoder`` or ``encoder, then fit``.
        emotion: what the weights read from the codes (or from the picture); None without such a network.
    """

    codes: Codes
    vertices: np.ndarray
    landmarks: np.ndarray
    crop: CropTransform
    head: HeadModel
    texture: np.ndarray | None
    pictures: dict[str, np.ndarray]
    landmark_error: float
    seconds: float
    method: str = "fit"
    emotion: Emotion | None = None

    def expression(self) -> dict[str, float]:
        """Expression coefficients by axis name."""
        return {name: float(v) for name, v in zip(self.head.expression_names, self.codes.exp[0], strict=True)}

    def to_json(self) -> dict[str, Any]:
        """What ``capture.json`` holds."""
        codes = {
            name: {
                "unit": UNITS[name],
                "shape": list(values.shape[1:]),
                "axes": axis_names(name, values.shape[1]),
                "values": values[0].tolist(),
            }
            for name, values in self.codes.to_dict().items()
        }
        codes["exp"]["axes"] = list(self.head.expression_names)
        return {
            "format": "emoca-tf capture 1",
            "emoca_tf": __version__,
            "method": self.method,
            "head": self.head.name,
            "codes": codes,
            "camera": {
                "model": "weak perspective: image = scale * (x + t), y down, in [-1, 1] of the crop",
                "scale": float(self.codes.cam[0, 0]),
                "translation": self.codes.cam[0, 1:].tolist(),
            },
            "crop": {
                "unit": "pixels; matrices act on (x, y, 1)",
                "photo_to_crop": self.crop.matrix.tolist(),
                "crop_to_photo": np.linalg.inv(self.crop.matrix).tolist(),
                "size": self.crop.size,
            },
            "head_model": self.head.identity(),
            "versions": package_versions(),
            "emotion": None if self.emotion is None else self.emotion.to_json(),
            "landmark_error_px": self.landmark_error if np.isfinite(self.landmark_error) else None,
            "seconds": self.seconds,
        }

    def save(self, directory: Path | str, *, morphs: bool = True) -> None:
        """Write ``head.obj``, ``head.glb``, ``overlay.png`` and ``capture.json``.

        A head with a texture gets ``head.mtl`` and ``head.png`` beside the ``.obj``. All files are made beside the
        directory first and moved in when every one of them is complete.

        Args:
            directory: made if it is not there; files of the same names are replaced.
            morphs: give ``head.glb`` a morph target for every expression axis and ``jawOpen``, with the captured
                expression as its weights. Needs TensorFlow.

        Raises:
            UserError: if ``directory`` is a file or may not be written to.
            OSError: if the disk refuses.
        """
        from PIL import Image

        directory = require_folder(directory)
        head, rows = self.head, np.arange(len(self.vertices))
        if head.uv is None or head.uv_faces is None or self.texture is None:
            mesh = plain_mesh(self.vertices, head.f)
        else:
            mesh = textured_mesh(self.vertices, head.f, head.uv, head.uv_faces, self.texture)
            rows = seam_corners(head.f, head.uv_faces)[0][:, 0]
        targets, weights = morph_targets(head, self.codes) if morphs else ({}, [])
        points = self.crop.resized(overlay.PANEL).points_to_crop(self.landmarks)
        strip = overlay.contact_strip(
            self.pictures["photo"], points, self.pictures["over"], self.pictures["shape"], self._told()
        )
        with staged_folder(directory) as folder:
            write_obj(folder / "head.obj", mesh, self._told())
            write_glb(
                folder / "head.glb",
                mesh,
                {name: target[rows] for name, target in targets.items()},
                weights,
                {} if self.emotion is None else {"emotion": self.emotion.to_json()},
            )
            Image.fromarray(strip).save(folder / "overlay.png")
            (folder / "capture.json").write_text(json.dumps(self.to_json(), indent=1))

    def _told(self) -> str:
        """The emotion in words; empty where none was read."""
        if self.emotion is None:
            return ""
        return f"emotion: {self.emotion} ({self.emotion.source})"


def capture(
    source: str | Path | np.ndarray,
    *,
    head: HeadModel | str | Path = "default",
    face: str = "largest",
    method: Method = "auto",
    weights: Sequence[str | Path] = (),
    options: FitOptions | None = None,
    progress: Progress | None = None,
) -> Capture:
    """Recover the 3D head of a photo.

    Args:
        source: path of a picture, an image array, or ``sample:astronaut``.
        head: head model or its file; ``default`` is the embedded one.
        face: ``largest`` or a number, 0 being the largest.
        method: ``auto`` encodes where there are weights and fits otherwise; ``encoder`` insists on weights; ``fit``
            fits landmarks and pixels, from the encoder's codes where weights are given.
        weights: files of ``emoca-tf import-weights`` or names of presets; empty for the default preset on the default
            head; ``("none",)`` for no encoder at all.
        options: weights of the fit.
        progress: called after every step of the fit.

    Raises:
        UserError: if the picture cannot be read or shows no such face, or weights and head do not belong together.
    """
    if face == "all":
        raise ValueError("capture returns one face; use capture_all for every face")
    return capture_all(
        source, head=head, face=face, method=method, weights=weights, options=options, progress=progress
    )[0]


def capture_all(
    source: str | Path | np.ndarray,
    *,
    head: HeadModel | str | Path = "default",
    face: str = "all",
    method: Method = "auto",
    weights: Sequence[str | Path] = (),
    options: FitOptions | None = None,
    progress: Progress | None = None,
) -> list[Capture]:
    """Like :func:`capture` for every face of the photo, largest first."""
    model = head if isinstance(head, HeadModel) else HeadModel.load(head)
    image = read_image(source)
    encoder = open_encoder(method, weights, model)
    chosen = select_faces(detect_faces(image), face)
    refine = method == "fit" or encoder is None
    return [_capture_face(image, one, model, encoder, options, refine, progress) for one in chosen]


def _capture_face(
    image: np.ndarray,
    face: Face,
    head: HeadModel,
    encoder: FaceEncoder | None,
    options: FitOptions | None,
    refine: bool,
    progress: Progress | None,
) -> Capture:
    from emoca_tf.capture.refine import albedo_of, fit_photo, texture_of
    from emoca_tf.flame.layer import Flame
    from emoca_tf.rendering.camera import project

    start = time.perf_counter()
    crop = crop_from_landmarks(face.landmarks, encoder.crop_scale if encoder else INFERENCE_SCALE)
    in_crop = np.concatenate([crop.points_to_crop(face.landmarks[:, :2]), face.landmarks[:, 2:] * crop.matrix[0, 0]], 1)
    small = crop.apply(image)
    codes = encoder.encode(small) if encoder else None
    if refine:
        codes, texture = fit_photo(head, in_crop, small, options, progress, start=codes)
    else:
        assert codes is not None
        texture = texture_of(albedo_of(head), codes)
    posed = Flame(head)(codes.shape, codes.exp, codes.pose, codes.neck_pose, codes.eye_pose, codes.eyelid)
    seconds = time.perf_counter() - start
    if "mediapipe" in head.landmarks:
        projected = project(posed.landmarks_mp, codes.cam).numpy()[0, :, :2]
        detected = in_crop[head.mediapipe_indices, :2] / (crop.size / 2) - 1
        error = float(np.linalg.norm(projected - detected, axis=1).mean() * crop.size / 2)
    else:
        error = float("nan")
    return Capture(
        codes=codes.numpy(),
        vertices=posed.vertices.numpy()[0],
        landmarks=face.landmarks[:, :2],
        crop=crop,
        head=head,
        texture=None if head.uv is None else texture,
        pictures=_pictures(head, posed.vertices, codes, texture, crop.resized(overlay.PANEL).apply(image)),
        landmark_error=error,
        seconds=seconds,
        emotion=encoder.read(small, codes.numpy()) if encoder else None,
        method="fit" if encoder is None else "encoder, then fit" if refine else "encoder",
    )


def _pictures(
    head: HeadModel, vertices: Any, codes: Codes, texture: np.ndarray, photo: np.ndarray
) -> dict[str, np.ndarray]:
    """The panels of the overlay."""
    from emoca_tf.capture.refine import renderer_of

    renderer = renderer_of(head, overlay.PANEL)
    rendered = renderer(vertices, codes.cam, albedo=texture[None], light=codes.light)
    alpha = rendered.alpha.numpy()[0]
    return {
        "photo": photo,
        "over": rendered.image.numpy()[0] * alpha + photo * (1 - alpha),
        "shape": renderer.shape_image(vertices, codes.cam).numpy()[0],
    }
