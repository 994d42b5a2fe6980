"""A bundle's networks against MediaPipe's own, in one process on one CPU: ratios, never milliseconds of a phone.

Command: python benchmarks/on_device.py BUNDLE [--float FILE.tflite] [--blendshapes FILE.tflite]

The peers are ``face_detection_short_range.tflite`` and ``face_landmark.tflite`` of the installed mediapipe wheel (the
wheel has no blendshapes model; give one with --blendshapes). Prints the ratios of issue "a phone, proved equal": the
expression encoder against its float32 file and against face_landmark, and the whole per-frame path (detector, pose,
expression, head, read-out of the emotion) against detector + landmarks + blendshapes.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import click

from convert.benchmark import device, latency
from emoca_tf.capture.bundle import Bundle

PATH = ("detector", "pose", "pose_shape", "expression", "head", "readout")
"""A bundle has ``pose``, or ``pose_shape`` where one network tells both."""


@click.command()
@click.argument("bundle", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--float", "float_file", type=click.Path(exists=True, path_type=Path), help="Float32 expression encoder.")
@click.option(
    "--blendshapes", type=click.Path(exists=True, path_type=Path), help="MediaPipe's face_blendshapes.tflite."
)
@click.option("--runs", default=100, show_default=True, type=click.IntRange(3))
def main(bundle: Path, float_file: Path | None, blendshapes: Path | None, runs: int) -> None:
    """Time BUNDLE (made by convert --tflite --bundle)."""
    spec = find_spec("mediapipe")
    assert spec is not None
    modules = Path(next(iter(spec.submodule_search_locations or []))) / "modules"
    loaded = Bundle(bundle)
    files = {stage: (bundle / path).read_bytes() for stage, path in loaded.manifest["stages"].items()}
    files["mp landmark"] = (modules / "face_landmark" / "face_landmark.tflite").read_bytes()
    for name, path in (("expression float32", float_file), ("mp blendshapes", blendshapes)):
        if path is not None:
            files[name] = path.read_bytes()
    click.echo(f"{device()}; ai-edge-litert, XNNPACK; minimum of {runs} runs")
    for threads in (1, 2):
        table = latency(files, threads, runs)
        click.echo(f"\n{threads} thread(s)")
        for name, times in table.items():
            click.echo(f"  {name:20}{times['min']:8.3f} ms  {len(files[name]) / 1e6:6.2f} MB")
        _ratios({name: times["min"] for name, times in table.items()})


def _ratios(ms: dict[str, float]) -> None:
    def show(what: str, value: float, limit: float) -> None:
        click.echo(f"  {what:62}{value:6.2f}  (to reach: {limit:g}){'' if value <= limit else '  NOT MET'}")

    if "expression float32" in ms:
        show("expression / its float32", ms["expression"] / ms["expression float32"], 1.0)
    show("expression / MediaPipe landmark", ms["expression"] / ms["mp landmark"], 1.5)
    peers = [name for name in ("detector", "mp landmark", "mp blendshapes") if name in ms]
    base = sum(ms[name] for name in peers)
    mine = [name for name in PATH if name in ms]
    show(f"({' + '.join(mine)}) / ({' + '.join(peers)})", sum(ms[name] for name in mine) / base, 2.0)


if __name__ == "__main__":
    main()
