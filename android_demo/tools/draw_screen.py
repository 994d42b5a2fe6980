#!/usr/bin/env python3
"""Draw the app's screen without a phone: what a bundle sees in the astronaut's photo, laid out by the app's own code.

    python android_demo/tools/draw_screen.py BUNDLE -o android_demo/screen.png

Layout, emotion panel, matrices, mesh, shading and words are the app's (Kotlin, run on a JVM); head, camera and emotion
are the bundle's networks' (Python loader). A stand-in is only the look of the buttons, and OpenGL, for which a small
rasteriser draws. Needs a JDK 17 or newer, and a Japanese font for the second screen.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from emoca_tf.capture.bundle import Bundle
from emoca_tf.errors import UserError
from emoca_tf.io.images import read_image

DEMO = Path(__file__).resolve().parent.parent
RESOURCES = DEMO / "app" / "src" / "main" / "res"
DENSITY = 1.25
SCREENS = (  # words, width, height, size of text, view
    ("values", 450, 975, 1.0, "over"),
    ("values-ja", 450, 975, 1.0, "alone"),
    ("values", 450, 975, 1.6, "over"),
)
GAP = 24
CAMERA = np.s_[:400, 75:375]  # of the sample photo: upright, 3 : 4, as a phone's camera sees a face


def write_inputs(bundle: Bundle, folder: Path) -> None:
    """What the Kotlin program reads: picture, head, camera, emotion.

    Raises:
        UserError: the bundle reads no emotion or finds no face.
    """
    photo = np.ascontiguousarray(read_image("sample:astronaut")[CAMERA])
    faces = bundle.detect(photo)
    if not faces:
        raise UserError("the bundle's detector finds no face in the sample photo")
    shot = bundle.look(photo, faces[0])
    if not shot.emotion:
        raise UserError(f"{bundle.folder} reads no emotion; convert with a model that has the emotion network")
    logits = shot.emotion["expression"].astype(np.float64)
    shares = np.exp(logits - logits.max())
    emotion = [*(shares / shares.sum()), float(shot.emotion["valence"][0]), float(shot.emotion["arousal"][0])]
    scale = shot.crop.matrix[0, 0]
    left, top = -shot.crop.matrix[:2, 2] / scale
    scene = [left, top, (shot.crop.size - 1) / scale, *shot.codes.cam[0], photo.shape[1], photo.shape[0]]
    shot.vertices.astype("<f4").tofile(folder / "vertices.f32")
    bundle.array("triangles").astype("<i4").tofile(folder / "triangles.i32")
    np.array(scene, "<f4").tofile(folder / "scene.f32")
    np.array(emotion, "<f4").tofile(folder / "emotion.f32")
    photo.tofile(folder / "photo.rgb")
    (folder / "classes.txt").write_text("\n".join(bundle.manifest["emotion_classes"]))


def draw(folder: Path, words: str, width: int, height: int, text: float, view: str) -> Image.Image:
    """One screen.

    Raises:
        UserError: the JVM refuses.
    """
    out = folder / "screen.png"
    command = [
        sys.executable, DEMO / "app" / "desktop.py", "draw-screen", folder, RESOURCES / words / "strings.xml", out,
        width, height, DENSITY, text, view,
    ]  # fmt: skip
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"the screen cannot be drawn: {done.stderr.strip()[-500:]}")
    return Image.open(out).convert("RGB")


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundle", help="folder written by: convert --tflite --bundle DIR")
    parser.add_argument("-o", "--output", type=Path, default=DEMO / "screen.png")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_inputs(Bundle(options.bundle), folder)
            pictures = [draw(folder, *screen) for screen in SCREENS]
    except UserError as error:
        print(f"draw_screen: {error}", file=sys.stderr)
        return 1
    wide = sum(picture.width for picture in pictures) + GAP * (len(pictures) + 1)
    sheet = Image.new("RGB", (wide, pictures[0].height + 2 * GAP), (58, 64, 74))
    left = GAP
    for picture in pictures:
        sheet.paste(picture, (left, GAP))
        left += picture.width + GAP
    sheet.quantize(128, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(options.output, optimize=True)
    print(options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
