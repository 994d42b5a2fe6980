#!/usr/bin/env python3
"""What the Python library sees in a photo and in every frame of a video with a bundle, for the JVM to match.

    python android_demo/engine/expected.py BUNDLE DIR                 # sample photo and a synthetic video of it
    python android_demo/engine/expected.py BUNDLE DIR --video FILE    # the frames of a video file

``DIR/index.json`` lists pictures (8-bit RGB, row by row) and, for each, the largest face: box, score, crop, codes,
vertices, emotion (float32 files), or null where there is none. ``trembling`` says how much codes, vertices and
probabilities move at most when the crop's pixels move by :data:`NOISE`, as two languages' rounding moves them: nothing to
speak of in float networks, and more where activations are quantised while running, one step of which a last bit may cross.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from emoca_tf.capture.bundle import Bundle, Shot
from emoca_tf.io.images import read_image

FRAMES = 24
NOISE = 1e-5
"""Of a pixel in 0..1."""
TRIES = 4
FRAME_SIZE = 480, 360  # width, height


def synthetic_video(frames: int = FRAMES) -> Iterator[np.ndarray]:
    """The sample photo moved, zoomed and turned a little; the face leaves the picture in the middle and returns."""
    photo = read_image("sample:astronaut")
    width, height = FRAME_SIZE
    face = 225.0, 120.0
    for number in range(frames):
        t = number / (frames - 1)
        zoom = 1.1 + 0.5 * np.sin(2 * np.pi * t)
        turn = cv2.getRotationMatrix2D(face, 8 * np.sin(4 * np.pi * t), zoom)
        away = 3 * width if frames // 2 <= number < frames // 2 + 2 else 0
        turn[:, 2] += (
            np.array([width * (0.45 + 0.15 * np.cos(2 * np.pi * t)) + away, height * (0.5 + 0.08 * np.sin(6 * t))])
            - face
        )
        yield cv2.warpAffine(photo, turn, (width, height), borderMode=cv2.BORDER_CONSTANT, borderValue=(90, 90, 90))


def video_file(path: str, frames: int) -> Iterator[np.ndarray]:
    """Frames of a video, RGB."""
    video = cv2.VideoCapture(path)
    for _ in range(frames):
        good, frame = video.read()
        if not good:
            return
        yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


def small_face(size: int) -> np.ndarray:
    """``[700, 700, 3]`` the sample photo ``size`` pixels high: only the search windows find the face (and more)."""
    photo = cv2.resize(read_image("sample:astronaut"), (size, size), interpolation=cv2.INTER_AREA)
    picture = np.full((700, 700, 3), 70, np.uint8)
    picture[340 - size // 2 :, 380 - size // 2 :][:size, :size] = photo
    return picture


def sample_pictures() -> Iterator[tuple[str, np.ndarray]]:
    """Kind and picture: the photo, small faces, nobody, the synthetic video."""
    yield "photo", read_image("sample:astronaut")
    for size in (340, 300):
        yield "small face", small_face(size)
    yield "no face", np.full((200, 300, 3), 128, np.uint8)
    for frame in synthetic_video():
        yield "frame", frame


def write(bundle: Bundle, folder: Path, pictures: list[tuple[str, np.ndarray]]) -> dict[str, Any]:
    """Everything into ``folder``; the list that was written."""
    folder.mkdir(parents=True, exist_ok=True)
    listed = []
    trembling = {"codes": 0.0, "vertices": 0.0, "probabilities": 0.0}
    for number, (kind, image) in enumerate(pictures):
        name = f"picture{number:03d}"
        (folder / f"{name}.u8").write_bytes(np.ascontiguousarray(image).tobytes())
        faces = bundle.detect(image)
        entry: dict[str, Any] = {"kind": kind, "file": f"{name}.u8", "width": image.shape[1], "height": image.shape[0],
                                 "seconds": number / 25, "faces": len(faces), "face": None}  # fmt: skip
        if faces:
            shot = bundle.look(image, faces[0])
            entry["face"] = _face(shot, folder, name)
            trembling = {what: max(value, trembling[what]) for what, value in _trembling(bundle, shot, number).items()}
        listed.append(entry)
    index = {"pictures": listed, "trembling": trembling}
    (folder / "index.json").write_text(json.dumps(index, indent=1) + "\n")
    return index


def _trembling(bundle: Bundle, shot: Shot, seed: int) -> dict[str, float]:
    """Largest changes of codes, vertices (metres) and probabilities in some tries with noise on the crop."""
    rng = np.random.default_rng(seed)
    found = {"codes": 0.0, "vertices": 0.0, "probabilities": 0.0}
    for _ in range(TRIES):
        pixels = (shot.image + rng.uniform(-NOISE, NOISE, shot.image.shape)).astype(np.float32)
        codes = bundle.encode(pixels)
        emotion = bundle.read_emotion(codes, pixels)
        pairs = zip(codes.to_dict().values(), shot.codes.to_dict().values(), strict=True)
        moved = {
            "codes": max(float(np.abs(a - b).max(initial=0)) for a, b in pairs),
            "vertices": float(np.abs(bundle.decode(codes)["vertices"][0] - shot.vertices).max()),
            "probabilities": float(np.abs(_shares(emotion) - _shares(shot.emotion)).max()) if emotion else 0.0,
        }
        found = {what: max(value, found[what]) for what, value in moved.items()}
    return found


def _shares(emotion: Mapping[str, np.ndarray]) -> np.ndarray:
    logits = emotion["expression"].astype(np.float64)
    shares: np.ndarray = np.exp(logits - logits.max())
    return shares / shares.sum()


def _face(shot: Shot, folder: Path, name: str) -> dict[str, Any]:
    face, matrix = shot.face, shot.crop.matrix

    def store(what: str, values: np.ndarray) -> str:
        file = f"{name}_{what}.f32"
        (folder / file).write_bytes(np.ascontiguousarray(values, "<f4").tobytes())
        return file

    entry: dict[str, Any] = {
        "score": face.score,
        "box": list(face.box),
        "square": [-matrix[0, 2] / matrix[0, 0], -matrix[1, 2] / matrix[0, 0], 223 / matrix[0, 0]],
        "codes": {group: store(group, values) for group, values in shot.codes.to_dict().items()},
        "vertices": store("vertices", shot.vertices),
    }
    if shot.emotion:
        entry["emotion"] = {
            "probabilities": _shares(shot.emotion).tolist(),
            "best": int(np.argmax(shot.emotion["expression"])),
            "valence": float(shot.emotion["valence"][0]),
            "arousal": float(shot.emotion["arousal"][0]),
        }
    return entry


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundle")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--video", help="a video file instead of the sample photo and its video")
    parser.add_argument("--frames", type=int, default=10_000, help="at most so many frames of it")
    options = parser.parse_args()
    if options.video:
        pictures = [("frame", frame) for frame in video_file(options.video, options.frames)]
    else:
        pictures = list(sample_pictures())
    index = write(Bundle(options.bundle), options.folder, pictures)
    found = sum(entry["face"] is not None for entry in index["pictures"])
    print(f"{len(pictures)} pictures, a face in {found}: {options.folder}")


if __name__ == "__main__":
    main()
