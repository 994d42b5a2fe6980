"""Paint the default albedo: mean and 50 named components over the default head, laid out in its texture coordinates.

Run ``python -m emoca_tf.rendering.build_albedo``; the result depends on the head alone.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from scipy.ndimage import distance_transform_edt

from emoca_tf.flame.head import HeadModel
from emoca_tf.rendering.albedo import COMPONENTS, DEFAULT_FILE, SIZE, AlbedoModel
from emoca_tf.rendering.albedo_fields import (
    IRIS_RADIUS,
    PUPIL_RADIUS,
    Fields,
    eye_angles,
    fields,
    noise,
    occlusion,
    step,
)
from emoca_tf.rendering.uv_space import uv_table

RGB = tuple[float, float, float]
SKIN: RGB = (0.71, 0.53, 0.445)
HAIR: RGB = (0.17, 0.115, 0.085)
MEAN_HAIR = 0.72  # share of the scalp's colour that is hair in the mean
SCLERA: RGB = (0.74, 0.70, 0.67)
IRIS: RGB = (0.30, 0.20, 0.13)
BASIS_SIZE = 160  # edge at which the components are stored
# What the mean adds to plain skin: region, colour.
TINTS: tuple[tuple[str, RGB], ...] = (
    ("cheeks", (0.025, -0.03, -0.02)),
    ("nose", (0.025, -0.025, -0.015)),
    ("ears", (0.03, -0.03, -0.02)),
    ("chin", (0.01, -0.012, -0.008)),
    ("forehead", (0.02, 0.022, 0.015)),
    ("bridge", (0.015, 0.015, 0.01)),
    ("sockets", (-0.035, -0.05, -0.03)),
    ("inner eye", (-0.02, -0.05, -0.03)),
    ("lids", (-0.02, -0.04, -0.03)),
    ("folds", (-0.03, -0.035, -0.03)),
    ("under lip", (-0.04, -0.045, -0.035)),
    ("cheek hollows", (-0.02, -0.02, -0.015)),
)
# What the mean paints over it: region, colour, opacity.
LAYERS: tuple[tuple[str, RGB, float], ...] = (
    ("lips", (0.62, 0.35, 0.325), 0.8),
    ("mouth line", (0.30, 0.13, 0.12), 0.7),
    ("brows", HAIR, 0.85),
    ("lower lashes", (0.22, 0.14, 0.12), 0.4),
    ("lashes", (0.09, 0.06, 0.05), 0.85),
    ("hair", HAIR, MEAN_HAIR),
)
# Component, region, colour for a coefficient of 1; of melanin a share of the mean, since it filters light.
NAMED: tuple[tuple[str, str, RGB], ...] = (
    ("melanin", "bare skin", (-0.19, -0.235, -0.25)),
    ("haemoglobin", "bare skin", (0.012, -0.022, -0.016)),
    ("yellowness", "bare skin", (0.008, 0.006, -0.024)),
    ("lip redness", "lips", (0.04, -0.035, -0.025)),
    ("lip darkness", "lips", (-0.06, -0.05, -0.045)),
    ("lip paleness", "lips", (0.03, 0.05, 0.045)),
    ("mouth line darkness", "mouth line", (-0.05, -0.03, -0.03)),
    ("brow density", "brows", (-0.07, -0.06, -0.05)),
    ("brow lightness", "brows", (0.07, 0.05, 0.03)),
    ("iris blue", "iris", (-0.03, 0.05, 0.14)),
    ("iris green", "iris", (0.0, 0.07, 0.0)),
    ("iris lightness", "iris", (0.07, 0.06, 0.05)),
    ("iris amber", "iris", (0.08, 0.03, -0.02)),
    ("sclera brightness", "sclera", (0.04, 0.04, 0.04)),
    ("sclera redness", "sclera edge", (0.02, -0.04, -0.04)),
    ("eye highlight", "highlight", (0.25, 0.25, 0.25)),
    ("lash darkness", "lashes", (-0.02, -0.02, -0.02)),
    ("lash lightness", "lashes", (0.09, 0.07, 0.05)),
    ("eyeliner", "liner", (-0.12, -0.1, -0.08)),
    ("eye shadow", "lids", (-0.04, -0.055, -0.04)),
    ("dark circles", "sockets", (-0.05, -0.055, -0.035)),
    ("inner eye shade", "inner eye", (-0.04, -0.05, -0.04)),
    ("blush", "cheeks", (0.025, -0.035, -0.025)),
    ("cheek hollows", "cheek hollows", (-0.03, -0.03, -0.025)),
    ("nose redness", "nose", (0.02, -0.03, -0.022)),
    ("nose bridge shine", "bridge", (0.025, 0.025, 0.022)),
    ("smile folds", "folds", (-0.04, -0.045, -0.04)),
    ("ear redness", "ears", (0.025, -0.03, -0.022)),
    ("forehead shade", "forehead", (-0.03, -0.03, -0.028)),
    ("temple shade", "temples", (-0.03, -0.03, -0.025)),
    ("chin shade", "chin", (-0.03, -0.03, -0.028)),
    ("neck shade", "neck", (-0.03, -0.03, -0.028)),
    ("beard", "beard", (-0.085, -0.065, -0.05)),
    ("moustache", "moustache", (-0.085, -0.065, -0.05)),
    ("goatee", "goatee", (-0.085, -0.065, -0.05)),
    ("hair density", "hair", (-0.13, -0.1, -0.085)),
    ("hair lightness", "hair", (0.14, 0.11, 0.07)),
    ("hair redness", "hair", (0.07, 0.01, -0.02)),
    ("hair strands", "strands", (0.03, 0.025, 0.02)),
    ("freckles", "freckles", (-0.07, -0.075, -0.06)),
    ("mottling", "mottling", (0.006, -0.008, -0.006)),
    ("blotches", "blotches", (-0.009, -0.010, -0.009)),
    ("teeth brightness", "teeth", (0.06, 0.06, 0.06)),
    ("teeth yellowness", "teeth", (0.02, 0.0, -0.06)),
    ("cavity depth", "cavities", (-0.06, -0.06, -0.055)),
    ("shade from left", "from left", (0.03, 0.03, 0.03)),
    ("shade from above", "from above", (0.03, 0.03, 0.03)),
    ("shade of the sides", "sides", (-0.03, -0.03, -0.03)),
    ("middle of the face", "middle", (0.02, -0.012, -0.01)),
    ("lower face", "lower face", (-0.02, -0.02, -0.012)),
)


def regions_of_texels(head: HeadModel, points: np.ndarray, ids: np.ndarray, weights: np.ndarray) -> Fields:
    """All painted regions ``[N]`` at texels: skin, eyes, mouth; ``ids`` and ``weights [N, 3]`` are their corners."""

    def inside(name: str) -> np.ndarray:
        flags = np.zeros(head.n_vertices, bool)
        flags[head.masks[name]] = True
        return flags[ids].all(1)

    vertices = np.asarray(head.v_template, np.float64)
    eyes, teeth, tongue = inside("eyeballs"), inside("teeth"), inside("tongue")
    skin = ~(eyes | teeth | tongue)
    region = {name: value * skin for name, value in fields(head, points).items()}
    angle, around, radius = eye_angles(head, points)
    rim, hole = (float(np.arcsin(size / radius)) for size in (IRIS_RADIUS, PUPIL_RADIUS))
    iris, pupil = eyes * step(rim - angle, 0.025), eyes * step(hole - angle, 0.02)
    fibres = 0.5 + 0.5 * np.sin(23 * around + 3 * np.sin(5 * around)) * np.sin(9 * around + 1)
    ball = points - [0, vertices[head.masks["eyeballs"], 1].mean(), 0]
    open_sky = (occlusion(vertices, np.asarray(head.f))[ids] * weights).sum(1)
    middle = vertices[head.masks["eyeballs"]].mean(0)
    x, y, _ = (points - middle).T
    forward = step(points[:, 2] - middle[2] + 0.045, 0.012) * skin
    spots = np.clip(noise(points, 0.0045, 11) - 1.5, 0, 1) * step(1.0 - np.abs(y + 0.03) / 0.035, 0.1)
    return region | {
        "bare skin": skin * (1 - MEAN_HAIR * region["hair"]) * (1 - 0.75 * region["brows"]),
        "liner": np.maximum(region["lashes"], region["lower lashes"]),
        "iris": iris * (1 - pupil) * (0.75 + 0.25 * fibres),
        "iris disc": iris,
        "pupil": pupil,
        "limbus": eyes * np.exp(-(((angle - rim) / 0.045) ** 2)),
        "collarette": eyes * np.exp(-(((angle - 1.5 * hole) / 0.06) ** 2)),
        "sclera": eyes * (1 - iris),
        "sclera edge": eyes * step(angle - 0.75, 0.08),
        "highlight": eyes * np.exp(-(((angle - 0.3) / 0.05) ** 2 + ((around - 2.2) / 0.2) ** 2)) * (ball[:, 2] > 0),
        "teeth": teeth * 1.0,
        "tongue": tongue * 1.0,
        "sky": open_sky,
        "cavities": skin * np.clip(1 - open_sky / 0.7, 0, 1),
        "freckles": spots * forward * (1 - region["lips"]),
        "mottling": noise(points, 0.009, 12) * skin * (1 - region["hair"]),
        "blotches": noise(points, 0.03, 13) * skin * (1 - region["hair"]),
        "from left": np.tanh(x / 0.05) * skin,
        "from above": np.tanh(y / 0.06) * skin,
        "sides": (1 - forward) * skin,
        "middle": np.exp(-((x / 0.03) ** 2)) * forward,
        "lower face": step(-0.045 - y, 0.012) * forward,
    }


def mean_colours(region: Fields) -> np.ndarray:
    """The mean's colours ``[N, 3]``."""
    colour = np.tile(np.array(SKIN), (len(region["sky"]), 1))
    for name, tint in TINTS:
        colour += region[name][:, None] * np.array(tint)
    colour += region["mottling"][:, None] * np.array((0.004, -0.005, -0.004))
    colour += region["blotches"][:, None] * np.array((-0.006, -0.007, -0.006))

    def over(name: str, target: RGB, opacity: float) -> None:
        colour[:] += opacity * region[name][:, None] * (np.array(target) - colour)

    for layer in LAYERS:
        over(*layer)
    colour += region["strands"][:, None] * np.array((0.025, 0.02, 0.016))
    colour *= 1 - 0.7 * region["cavities"][:, None] * np.array((0.85, 1.0, 1.0))
    eyes = region["iris disc"] + region["sclera"]
    colour += eyes[:, None] * (np.array(SCLERA) - colour)
    over("sclera edge", (0.60, 0.44, 0.40), 0.55)
    over("iris disc", IRIS, 1.0)
    colour += (region["iris"] * 0.10 + region["collarette"] * region["iris disc"] * 0.06)[:, None] * np.array(
        (1, 0.7, 0.4)
    )
    over("limbus", (0.10, 0.07, 0.06), 0.6)
    over("pupil", (0.02, 0.02, 0.02), 1.0)
    over("highlight", (1.0, 1.0, 1.0), 0.55)
    over("teeth", (0.80, 0.73, 0.64), 1.0)
    over("tongue", (0.55, 0.27, 0.26), 1.0)
    lit = 0.45 + 0.55 * np.clip(region["sky"] / 0.45, 0, 1)
    inner = np.clip(eyes + region["teeth"] + region["tongue"], 0, 1)[:, None]
    return colour * (1 + inner * (np.where(region["teeth"] > 0, 0.9, lit)[:, None] - 1))


def paint(head: HeadModel, size: int = SIZE) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Mean ``[S, S, 3]``, basis ``[S, S, 3, 50]`` and the names of the components."""
    table = uv_table(head, size)
    covered = table.triangles >= 0
    ids, weights = table.vertex_ids[covered], table.weights[covered]
    points = (np.asarray(head.v_template, np.float64)[ids] * weights[..., None]).sum(1)
    region = regions_of_texels(head, points, ids, weights)
    image = np.zeros((size, size, 3 + 3 * COMPONENTS))
    parts = np.stack([region[name][:, None] * np.array(rgb) for _, name, rgb in NAMED], -1)
    mean = mean_colours(region)
    parts[..., [name for name, _, _ in NAMED].index("melanin")] *= mean
    image[covered] = np.concatenate([mean, parts.reshape(len(points), -1)], 1)
    rows, columns = distance_transform_edt(~covered, return_distances=False, return_indices=True)
    image = image[rows, columns]
    names = [name for name, _, _ in NAMED]
    return image[..., :3].clip(0, 1), image[..., 3:].reshape(size, size, 3, COMPONENTS), names


def build(head: HeadModel) -> AlbedoModel:
    """The default albedo of a head with the default head's landmarks and regions."""
    mean, basis, names = paint(head)
    return AlbedoModel(
        "emoca-tf default albedo",
        mean.astype(np.float32),
        basis.astype(np.float32),
        tuple(names),
        licence="CC0-1.0",
        source="painted by emoca_tf.rendering.build_albedo over the default head",
    )


@click.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path(__file__).parent / "data" / DEFAULT_FILE,
    help="The .npz to write; the package's own when left out.",
)
@click.option("--head", default="default", show_default=True, help="Head model file (.npz).")
def main(output: Path, head: str) -> None:
    """Paint and write the albedo."""
    build(HeadModel.load(head)).save(output, basis_size=BASIS_SIZE)


if __name__ == "__main__":
    main()
