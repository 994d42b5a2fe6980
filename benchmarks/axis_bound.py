"""How exactly the points of a face must be known before its expression axes are: the best linear estimate.

Run: ``python benchmarks/axis_bound.py``

The faces are those of ``training.datasets.synthetic``, seen from the front with nothing hidden, neck and gaze at rest.
Identity, expression, jaw, position, scale and rotation move MediaPipe's 478 points linearly (to first order); all of
them are unknown, with the spreads that they have in the data. The points are known up to independent normal errors of
so many pixels of the 224 crop in x and y. Then the best linear estimate of an axis correlates with the truth by
``sqrt(1 - variance left / variance before)``; told is the mean over the axes that count as visible in
``benchmarks/geometry.py``. ``axes only`` is the same with all but expression and jaw given: the difference is the doubt
about the face at rest. ``points then`` is the error of the points that the estimated codes give.

It is a yardstick, not a law: shading tells more than points, and faces with few axes at work more than a covariance.
Landmark errors of an encoder cannot be looked up in it: they are those of points made from codes, and most of them are
shared by all points (position, turn, identity), which costs the axes little.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # started as a script
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import click
import numpy as np

from emoca_tf.cli import run
from emoca_tf.errors import UserError
from emoca_tf.faces.mediapipe_points import EYE_CORNERS

SEED = 90_001
STEP = 1e-2  # of the finite differences: codes are of the order of 1, angles of 0.3
CROP = 0.06 * 224 / 3**0.5  # training.datasets.synthetic: pixels that the crop is moved by
ZOOM = 0.09
RAYLEIGH = (np.pi / 2) ** 0.5  # mean distance in the plane per standard deviation in x and y


def movements(scene: Any, scale: float, spreads: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels that the points move by, to first order.

    Args:
        scene: of a head with MediaPipe's points.
        scale: pixels per metre.
        spreads: ``[S + 3]`` standard deviations of the shape codes and of the head's rotation.

    Returns:
        ``[N, 2]`` points of the face at rest; ``[2 N, E + 1]`` for a unit of every expression axis and a radian of the
        jaw; and ``[2 N, S + 6]`` for one standard deviation of everything else: identity, rotation, position, scale.
    """
    head = scene.model
    n_shape, n_exp = head.n_shape, len(head.expression_names)
    width = n_shape + n_exp + 4
    steps = np.concatenate([np.zeros((1, width)), STEP * np.eye(width)]).astype(np.float32)
    shape, exp, turn, jaw = np.split(steps, np.cumsum([n_shape, n_exp, 3]), axis=1)
    pose = np.concatenate([turn, jaw, np.zeros((len(steps), 2), np.float32)], 1)
    points = scale * scene.flame(shape, exp, pose).landmarks_mp.numpy()[..., :2].astype(np.float64)
    moved = ((points[1:] - points[0]) / STEP).reshape(width, -1).T
    from_shape, from_exp, from_turn, from_jaw = np.split(moved, np.cumsum([n_shape, n_exp, 3]), axis=1)
    x, y = (points[0] - points[0].mean(0)).T
    zero, one = np.zeros_like(x), np.ones_like(x)
    crop = [np.stack(pair, 1).ravel() for pair in ((CROP * one, zero), (zero, CROP * one), (ZOOM * x, ZOOM * y))]
    others = [np.concatenate([from_shape, from_turn], 1) * spreads, np.stack(crop, 1)]
    return points[0], np.concatenate([from_exp, from_jaw], 1), np.concatenate(others, 1)


def reachable(
    wanted: np.ndarray, others: np.ndarray | None, covariance: np.ndarray, noise: float
) -> tuple[np.ndarray, np.ndarray]:
    """What the best linear estimate knows.

    Args:
        wanted: ``[M, K]`` measurements per unit of each unknown.
        others: ``[M, L]`` measurements per standard deviation of what else is unknown, independent of them; or None.
        covariance: ``[K, K]`` of the unknowns before anything is measured.
        noise: standard deviation of each measurement's independent error.

    Returns:
        ``[K]`` correlation of each unknown's estimate with the truth, and ``[M]`` standard deviation of the error of
        the measurements that follow from all estimates.
    """
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.clip(values, 0, None))
    design = wanted @ root if others is None else np.concatenate([wanted @ root, others], 1)
    left = np.linalg.inv(np.eye(design.shape[1]) + design.T @ design / noise**2)
    before = np.diag(covariance)
    unknown = np.einsum("ij,jk,ik->i", root, left[: root.shape[1], : root.shape[1]], root)
    known = 1 - np.divide(unknown, before, out=np.ones_like(before), where=before > 0)
    return np.sqrt(np.clip(known, 0, 1)), np.sqrt(np.einsum("ij,jk,ik->i", design, left, design))


@click.command(help=__doc__)
@click.option("--head", default="default", help="Head model file.")
@click.option(
    "--faces", default=4000, show_default=True, type=click.IntRange(2), help="From which the spreads are taken."
)
@click.option("--visible", default=0.5, show_default=True, help="Pixels from which an axis counts as visible.")
def command(head: str, faces: int, visible: float) -> None:
    from training.datasets.synthetic import Synthetic
    from training.geometry import axis_signals, pixels_per_metre
    from training.scene import Scene

    scene = Scene(head)
    if scene.mediapipe_indices is None:
        raise UserError(f"{head}: this head does not know where MediaPipe's points are; use one that does")
    source = Synthetic(faces, SEED, head=scene.model)
    codes = [source.codes(index) for index in range(faces)]
    drawn = np.array([[*code["exp"], code["pose"][3]] for code in codes], np.float64)
    spreads = np.array([[*code["shape"], *code["pose"][:3]] for code in codes], np.float64).std(0)
    seen = np.append(axis_signals(scene.model, drawn[:, :-1], visible)[1], False)
    resting, wanted, others = movements(scene, pixels_per_metre(scene.model), spreads)
    order = list(scene.mediapipe_indices)
    right, left = (resting[order.index(corner)] for corner in EYE_CORNERS)
    ocular = float(np.linalg.norm(right - left))
    covariance = np.cov(drawn.T)
    click.echo(f"{len(resting)} points, {int(seen.sum())} visible axes, eyes {ocular:.0f} px apart\n")
    click.echo("error px (x, y)   mean distance, % of the eyes'   points then   axis correlation   axes only")
    for noise in (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0):
        known, after = reachable(wanted, others, covariance, noise)
        given = reachable(wanted, None, covariance, noise)[0]
        distances = [100 * RAYLEIGH * error / ocular for error in (noise, float(after.mean()))]
        click.echo(
            f"{noise:15.2f}   {distances[0]:29.2f}   {distances[1]:11.2f}   {known[seen].mean():16.3f}   "
            f"{given[seen].mean():9.3f}"
        )


if __name__ == "__main__":
    sys.exit(run(command, "axis_bound"))
