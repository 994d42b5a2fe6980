"""``emoca-tf capture``: photos in, a folder of results out."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click


@click.command()
@click.argument("photo")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder for the results.")
@click.option("--face", default="largest", show_default=True, help="largest, all, or a number (0 is the largest).")
@click.option("--head", default="default", show_default=True, help="Head model file (.npz).")
@click.option("--fit", is_flag=True, help="Fit landmarks and pixels, from the encoder's codes where there are weights.")
@click.option("--weights", multiple=True, help="Preset or file of import-weights, also two; none: no encoder.")
@click.option("--steps", default=400, show_default=True, type=click.IntRange(1, 10_000), help="Steps of the fit.")
@click.option("--morphs/--no-morphs", default=True, show_default=True, help="Expression axes as morph targets (GLB).")
@click.option("--bundle", type=click.Path(path_type=Path), help="Use a phone bundle's networks (no TensorFlow).")
def command(
    photo: str,
    output: Path,
    face: str,
    head: str,
    fit: bool,
    weights: tuple[str, ...],
    steps: int,
    morphs: bool,
    bundle: Path | None,
) -> None:
    """Recover the 3D head of PHOTO (a file, or sample:astronaut).

    The head is encoded: by the library's own weights, or by yours (--weights). With --fit it is then refined by the
    face's landmarks, colours and emotion; --weights none fits without an encoder. Writes head.obj, head.glb,
    overlay.png and capture.json.
    """
    from emoca_tf.io.outputs import require_folder

    require_folder(output)
    if bundle is not None:
        _with_bundle(photo, output, face, bundle)
        return
    import os

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from tqdm import tqdm

    from emoca_tf.faces.detect import quiet_stderr

    with quiet_stderr():  # TensorFlow's native libraries log while they load, whatever the log level
        from emoca_tf.capture.api import capture_all
        from emoca_tf.capture.fit import FitOptions

    with ExitStack() as stack:
        bars: list[Any] = []

        def progress(done: int, total: int, loss: float) -> None:
            if not bars:  # an encoder alone takes no steps
                bars.append(stack.enter_context(tqdm(total=total, desc="fitting", unit="step", leave=False)))
            if done == 1:  # every face and stage starts the bar anew
                bars[0].reset(total)
            bars[0].update(1)
            bars[0].set_postfix(loss=f"{loss:.3f}", refresh=False)

        captures = capture_all(
            photo,
            head=head,
            face=face,
            method="fit" if fit else "auto",
            weights=weights,
            options=FitOptions(steps=steps),
            progress=progress,
        )
    for number, one in enumerate(captures):
        folder = output / f"face_{number}" if face == "all" else output
        one.save(folder, morphs=morphs)
        click.echo(f"{folder}: head.obj head.glb overlay.png capture.json ({one.seconds:.1f} s, ", nl=False)
        click.echo(f"landmarks within {one.landmark_error:.2f} px of the 224 crop)")
        if one.emotion is not None:
            click.echo(f"  emotion: {one.emotion} ({one.emotion.source})")


def _with_bundle(photo: str, output: Path, face: str, bundle: Path) -> None:
    """Encode with the networks that ``convert --tflite --bundle`` wrote."""
    from emoca_tf.capture.bundle import capture_with_bundle

    for number, one in enumerate(capture_with_bundle(photo, bundle, face)):
        folder = output / f"face_{number}" if face == "all" else output
        one.save(folder)
        click.echo(f"{folder}: head.obj head.glb overlay.png capture.json ({1e3 * one.seconds:.0f} ms)")
