"""``emoca-tf import-flame``: the official FLAME files to a head model of ours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

FILE = click.Path(path_type=Path)
COUNT = click.IntRange(1)
# Option -> what is missing without it.
WITHOUT = {
    "landmarks": "no 68 landmarks: landmark losses and overlays of training do not work (landmark_embedding.npy)",
    "mediapipe": "no MediaPipe landmarks: fitting to a photo does not work (mediapipe_landmark_embedding.npz)",
    "uv": "no texture coordinates: no textured mesh, no rendered colours (head_template.obj)",
    "masks": "no region masks (FLAME_masks.pkl)",
    "texture": "no albedo model: grey or default colours (FLAME_albedo_from_BFM.npz or FLAME_texture.npz)",
}


@click.command()
@click.argument("model", type=FILE)
@click.option("-o", "--output", required=True, type=FILE, help="The head model (.npz) to write.")
@click.option("--landmarks", type=FILE, help="landmark_embedding.npy of DECA: 68 landmarks, contour by yaw.")
@click.option("--mediapipe", type=FILE, help="mediapipe_landmark_embedding.npz of EMOCA v2 or SMIRK.")
@click.option("--uv", type=FILE, help="head_template.obj: texture coordinates.")
@click.option("--masks", type=FILE, help="FLAME_masks.pkl: vertices by region.")
@click.option("--eyelids", type=FILE, nargs=2, help="l_eyelid.npy r_eyelid.npy of SMIRK: wink shapes.")
@click.option("--texture", type=FILE, help="FLAME_albedo_from_BFM.npz or FLAME_texture.npz; makes *_albedo.npz.")
@click.option(
    "--shape",
    "n_shape",
    default=100,
    show_default=True,
    type=click.IntRange(1),
    help="Identity directions to keep (of 300).",
)
@click.option(
    "--exp",
    "n_exp",
    default=50,
    show_default=True,
    type=click.IntRange(1),
    help="Expression directions to keep (of 100).",
)
def command(
    model: Path, output: Path, eyelids: tuple[Path, Path] | None, n_shape: int, n_exp: int, **extra: Any
) -> None:
    """Convert MODEL (generic_model.pkl of FLAME 2016, 2019, 2020, or flame2023.pkl) to a head model of ours.

    The files are read as data: nothing in them is executed; chumpy and torch are not needed. Everything but MODEL is
    optional; what is missing without it is said at the end.
    """
    from emoca_tf.errors import UserError
    from emoca_tf.flame import official

    if output.suffix != ".npz":
        raise UserError(f"{output}: give a file ending in .npz")
    head = official.read_flame(model, n_shape, n_exp)
    changes: dict[str, Any] = {"landmarks": {}}
    if extra["landmarks"]:
        changes["landmarks"] |= official.read_landmarks(extra["landmarks"])
    if extra["mediapipe"]:
        changes["landmarks"]["mediapipe"], changes["mediapipe_indices"] = official.read_mediapipe(extra["mediapipe"])
    if extra["uv"]:
        changes["uv"], changes["uv_faces"] = official.read_uv(extra["uv"], head.f)
    if extra["masks"]:
        changes["masks"] = official.read_masks(extra["masks"], head.n_vertices)
    if eyelids:
        changes["eyelids"] = official.read_eyelids(*eyelids, head.n_vertices)
    head = replace(head, **changes)
    official.check_tables(head)
    albedo = _read_albedo(extra["texture"]) if extra["texture"] else None
    # Everything was read before anything is written.
    if albedo is not None:
        target = output.with_name(f"{output.stem}_albedo.npz")
        albedo.save_exact(target)
        click.echo(f"{target}: {albedo.name}, {albedo.basis.shape[-1]} components")
    head.save(output)
    click.echo(f"{output}: {head.n_vertices} vertices, {head.n_shape} identity and {head.n_exp} expression directions")
    for option, missing in WITHOUT.items():
        if not extra[option]:
            click.echo(f"  without --{option}: {missing}")
    click.echo(f"Licence: {head.licence}")


def _read_albedo(path: Path) -> Any:
    import os

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from emoca_tf.faces.detect import quiet_stderr

    with quiet_stderr():  # TensorFlow's native libraries log while they load, whatever the log level
        from emoca_tf.rendering.albedo import AlbedoModel
    return AlbedoModel.from_official(path)
