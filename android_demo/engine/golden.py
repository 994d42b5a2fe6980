#!/usr/bin/env python3
"""Write the golden vectors of the engine's stages: what the library computes, for the JVM tests to match.

    python android_demo/engine/golden.py          # into src/test/resources/golden
    python android_demo/engine/golden.py DIR

``index.json`` lists cases of ``stage``, ``parameters``, ``inputs`` and ``outputs``; an array is a file of little-endian
values, row by row, with its type and shape. The references are the library itself, NumPy and the papers' formulas; the
networks' own golden vectors are part of every bundle.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from emoca_tf.capture.sketch import project
from emoca_tf.emotion.circumplex import CIRCUMPLEX
from emoca_tf.emotion.recognition import EXPRESSIONS
from emoca_tf.faces import blazeface
from emoca_tf.faces.crop import crop_from_landmarks
from emoca_tf.io.images import read_image

DEFAULT = Path(__file__).parent / "src" / "test" / "resources" / "golden"


class Writer:
    """Cases and their arrays."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cases: list[dict[str, Any]] = []
        self.rng = np.random.default_rng(7)
        folder.mkdir(parents=True, exist_ok=True)

    def case(self, stage: str, inputs: dict[str, Any], outputs: dict[str, Any], **parameters: Any) -> None:
        """Add one case; floats are stored as float64 so that nothing is lost on the way."""
        number = sum(case["stage"] == stage for case in self.cases)
        self.cases.append({
            "stage": stage,
            "parameters": parameters,
            "inputs": {name: self._store(f"{stage}{number}_in_{name}", v) for name, v in inputs.items()},
            "outputs": {name: self._store(f"{stage}{number}_out_{name}", v) for name, v in outputs.items()},
        })  # fmt: skip

    def _store(self, name: str, value: Any) -> dict[str, Any]:
        array = np.ascontiguousarray(value)
        kind = "u8" if array.dtype == np.uint8 else "f4" if array.dtype == np.float32 else "f8"
        (self.folder / f"{name}.{kind}").write_bytes(array.astype({"u8": "u1"}.get(kind, f"<{kind}")).tobytes())
        return {"file": f"{name}.{kind}", "shape": list(array.shape)}

    def close(self) -> None:
        """Write the list."""
        (self.folder / "index.json").write_text(json.dumps({"cases": self.cases}, indent=1) + "\n")


def yuv(out: Writer) -> None:
    """Planes with strides, turned and mirrored; JFIF's matrix."""
    for number, (rotation, mirror) in enumerate((r, m) for r in (0, 90, 180, 270) for m in (False, True)):
        width, height = (38, 26) if number % 3 else (37, 25)
        y_stride, uv_pixel, y_pixel = width * (1 + number % 2) + 7, 1 + number % 2, 1 + (number == 5)
        y_stride = max(y_stride, width * y_pixel)
        half_w, half_h = (width + 1) // 2, (height + 1) // 2
        uv_stride = half_w * uv_pixel + 3
        planes = [
            out.rng.integers(0, 256, (height, y_stride)),
            *(out.rng.integers(0, 256, (half_h, uv_stride)) for _ in "uv"),
        ]
        y, u, v = (plane.astype(np.uint8) for plane in planes)
        crop = (0, 0, width, height) if number % 4 == 0 else (3, 5, width - 8, height - 7)
        luma = y[:, : width * y_pixel : y_pixel].astype(np.float64)
        cb, cr = (
            np.repeat(np.repeat(p[:, : half_w * uv_pixel : uv_pixel], 2, 0), 2, 1)[:height, :width] - 128.0
            for p in (u, v)
        )
        rgb = np.stack([luma + 1.402 * cr, luma - 0.344136 * cb - 0.714136 * cr, luma + 1.772 * cb], 2)
        left, top, w, h = crop
        upright = np.rot90(rgb[top : top + h, left : left + w], -rotation // 90)
        upright = np.clip(np.round(upright[:, ::-1] if mirror else upright), 0, 255).astype(np.uint8)
        strides = {"y_row": y_stride, "y_pixel": y_pixel, "uv_row": uv_stride, "uv_pixel": uv_pixel}
        place = {"width": width, "height": height, "crop": list(crop), "rotation": rotation, "mirror": mirror}
        out.case("yuv", {"y": y, "u": u, "v": v}, {"rgb": upright}, **place, **strides)


def detector_input(out: Writer) -> None:
    """Shrunk by a broken factor, by two, and enlarged; wide and tall; a window."""
    photo = read_image("sample:astronaut")
    for width, height in ((170, 131), (130, 256), (60, 45)):
        image = cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)
        values, side, corner = blazeface.prepare(image)
        levels = np.round((values[0] + 1) * 127.5).astype(np.uint8)
        out.case("detector_input", {"image": image}, {"levels": levels}, side=side, left=corner[0], top=corner[1])
    image = cv2.resize(photo, (180, 150), interpolation=cv2.INTER_AREA)
    window = np.ascontiguousarray(image[10:150, 20:160])
    values, side, _ = blazeface.prepare(window)
    levels = np.round((values[0] + 1) * 127.5).astype(np.uint8)
    out.case(
        "detector_input", {"image": image}, {"levels": levels}, window=[20, 10, 140, 140], side=side, left=20, top=10
    )


def decoding(out: Writer) -> None:
    """Two faces with neighbours that vote for them, and noise below the score."""
    rng = out.rng
    anchors = blazeface.anchors()
    regressors = rng.normal(0, 20, (1, 896, 16)).astype(np.float32)
    logits = rng.uniform(-9, -2, (1, 896, 1)).astype(np.float32)
    for x, y, size in ((0.3, 0.35, 40.0), (0.75, 0.7, 22.0)):
        near = np.argsort(((anchors - [x, y]) ** 2).sum(1))[:7]
        regressors[0, near, :2] = (np.array([x, y]) - anchors[near]) * 128 + rng.normal(0, 1, (7, 2))
        regressors[0, near, 2:4] = size + rng.normal(0, 1.5, (7, 2))
        logits[0, near, 0] = rng.uniform(0.2, 4, 7)
    found = blazeface.decode(regressors, logits, 640.0, (0.0, -80.0))
    assert len(found) == 2
    out.case("decoding", {"regressors": regressors, "logits": logits}, {
        "boxes": np.array([face.box for face in found]), "scores": np.array([face.score for face in found]),
        "keypoints": np.stack([face.keypoints for face in found]),
    }, side=640, left=0, top=-80)  # fmt: skip
    out.case("anchors", {}, {"anchors": anchors})


def crops(out: Writer) -> None:
    """Pixels of squares inside, across the border and enlarged; squares round landmarks."""
    image = cv2.resize(read_image("sample:astronaut"), (170, 131), interpolation=cv2.INTER_AREA)
    for box in ((60.3, 12.7, 101.2, 55.9), (-20.5, 70.0, 45.5, 150.25), (100.0, 30.0, 109.0, 41.0)):
        transform = blazeface.Detection(1.0, box, np.zeros((6, 2))).crop().resized(48)
        pixels = transform.apply(image)
        square = [-transform.matrix[0, 2] / transform.matrix[0, 0], -transform.matrix[1, 2] / transform.matrix[0, 0],
                  47 / transform.matrix[0, 0]]  # fmt: skip
        out.case(
            "crop", {"image": image, "box": np.array(box)}, {"pixels": pixels, "square": np.array(square)}, size=48
        )
    for _ in range(5):
        points = out.rng.uniform(0, 400, (68, 2)) * out.rng.uniform(0.2, 1, 2) + out.rng.uniform(-50, 50, 2)
        matrix = crop_from_landmarks(points).matrix
        square = np.array([-matrix[0, 2] / matrix[0, 0], -matrix[1, 2] / matrix[0, 0], 223 / matrix[0, 0]])
        out.case("landmark_crop", {"points": points}, {"square": square})
    transform = blazeface.Detection(1.0, (60.3, 12.7, 101.2, 55.9), np.zeros((6, 2))).crop()
    points, cam = out.rng.normal(0, 0.08, (20, 3)), np.array([8.5, 0.01, -0.02])
    pixels = transform.points_to_source(project(points, cam, 224)[:, :2])
    out.case("project", {"points": points, "cam": cam, "box": np.array((60.3, 12.7, 101.2, 55.9))}, {"pixels": pixels})


def one_euro(out: Writer) -> None:
    """The filter of Casiez, Roussel and Vogel (CHI 2012) as its pseudo-code has it, one signal at a time."""

    def alpha(cutoff: float, step: float) -> float:
        return 1 / (1 + 1 / (2 * math.pi * cutoff) / step)

    times = np.cumsum(out.rng.uniform(0.02, 0.06, 60))
    signal = np.stack([np.sin(times * 3), np.where(times > 1, 1.0, 0.0), times * 0 + 0.3, times * 2], 1)
    signal = (signal + out.rng.normal(0, 0.05, signal.shape)).astype(np.float32)
    for low, beta, speed_cutoff in ((1.0, 0.0, 1.0), (1.5, 2.0, 1.0), (0.4, 20.0, 2.5)):
        smooth = signal.astype(np.float64)
        for k in range(signal.shape[1]):
            previous, speed = float(signal[0, k]), 0.0
            for t in range(1, len(times)):
                step = times[t] - times[t - 1]
                a = alpha(speed_cutoff, step)
                speed = a * (signal[t, k] - previous) / step + (1 - a) * speed
                a = alpha(low + beta * abs(speed), step)
                previous = a * float(signal[t, k]) + (1 - a) * previous
                smooth[t, k] = previous
        out.case("one_euro", {"seconds": times, "signal": signal}, {"smooth": smooth}, min_cutoff=low, beta=beta,
                 speed_cutoff=speed_cutoff)  # fmt: skip


def readout(out: Writer) -> None:
    """Softmax, class, and places of the classes in the circumplex."""
    place = np.array([CIRCUMPLEX[name] for name in EXPRESSIONS])
    for scale in (0.5, 4.0, 300.0):
        logits = out.rng.normal(0, scale, 8).astype(np.float32)
        shares = np.exp(logits.astype(np.float64) - logits.max())
        shares /= shares.sum()
        out.case("readout", {"logits": logits}, {"probabilities": shares, "place": shares @ place},
                 classes=list(EXPRESSIONS), best=int(np.argmax(logits)))  # fmt: skip


def neutral(out: Writer) -> None:
    """Medians over frames taken off the next face."""
    for frames in (1, 8, 21):
        exp, jaw = out.rng.uniform(-0.2, 0.8, (frames, 5)), out.rng.normal(0, 0.1, (frames, 3))
        lids = out.rng.uniform(0, 1, (frames, 2))
        face = out.rng.uniform(0, 1, 5), out.rng.normal(0, 0.1, 3), out.rng.uniform(0, 1, 2)
        rest = [np.median(values.astype(np.float32), 0) for values in (exp, jaw, lids)]
        found = [np.clip(face[0] - rest[0], 0, 1), face[1] - rest[1], np.clip(face[2] - rest[2], 0, 1)]
        out.case("neutral", {"exp": exp, "jaw": jaw, "eyelid": lids, "face": np.concatenate(face)},
                 {"rest": np.concatenate(rest), "found": np.concatenate(found)})  # fmt: skip


def write(folder: Path) -> None:
    """Every case."""
    out = Writer(folder)
    for stage in (yuv, detector_input, decoding, crops, one_euro, readout, neutral):
        stage(out)
    out.close()


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT)
