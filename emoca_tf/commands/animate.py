"""``emoca-tf animate``: from a phone's recording to an animated head."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("recording", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="File to write (.glb).")
@click.option(
    "--head", default="default", show_default=True, help="Head model file (.npz) that the recording belongs to."
)
def command(recording: Path, output: Path, head: str) -> None:
    """Turn RECORDING (emoca-recording.json, shared by the Android demo) into a GLB that moves: the expression axes as
    animated morph targets by name, head and jaw as animated joints. Blender and web viewers open it."""
    import os

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from emoca_tf.errors import UserError
    from emoca_tf.faces.detect import quiet_stderr
    from emoca_tf.io.atomic import atomic_path

    if output.suffix.lower() != ".glb":
        raise UserError(f"{output}: the animation is binary glTF; give a name that ends in .glb")
    if output.is_dir():
        raise UserError(f"{output} is a folder; give a file name")
    from emoca_tf.capture.recording import animated_glb, read_recording

    codes = read_recording(recording)
    with quiet_stderr():  # TensorFlow's native libraries log while they load, whatever the log level
        from emoca_tf.flame.head import HeadModel

        content = animated_glb(codes, HeadModel.load(head))
    with atomic_path(output) as path:
        path.write_bytes(content)
    seconds = codes.times[-1] - codes.times[0]
    facts = (
        f"{len(codes.times)} frames, {seconds:.1f} s, {len(codes.axes)} expression axes, {len(content) / 1e6:.1f} MB"
    )
    click.echo(f"{output}: {facts}")
