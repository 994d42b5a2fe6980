"""How well the mobile encoders recover geometry: against synthetic truth, and against landmarks of a packed data set.

Run: ``python benchmarks/geometry.py --weights mobile --data packed:/data/mux_dev``

``--weights`` is a preset, an ``.npz`` of torch-named arrays or a run directory; it may be given several times (later
ones win), to put the networks of several runs together.

On synthetic truth (``training.datasets.synthetic``, fixed seed, faces that no training run draws by default):

* expression mm: distance of the face's vertices with the predicted expression and jaw from those with the true ones,
  the true identity and no head turn given to both; mean over vertices and faces. ``rest`` is expression and jaw 0:
  what knowing nothing costs; the faces' deformations are small, so read the two together.
* head degrees: angle of the rotation between predicted and true orientation of the head, where the true one is global
  rotation times neck (the encoders have no neck); jaw degrees: difference of the jaw's opening.
* correlation: Pearson, over the faces, of each expression axis. An axis counts when it can be seen: its standard
  deviation over the faces, times the 99th percentile of how far a unit of it moves the face's vertices in the picture
  plane (neutral mean head from the front), is at least ``--visible`` pixels of the 224 crop. All axes are listed with
  ``--axes``.
* landmarks %: mean distance of the projected from the true MediaPipe points, in % of the inter-ocular distance (outer
  eye corners, MediaPipe points 33 and 263, in the picture).

``--renders rendered:FACES/synthetic_train.npz`` measures all this on the first ``--faces`` of stored renders instead,
say on some that were trained on.

``--blendshapes FOLDER`` gives the same pictures to MediaPipe's blendshapes, which have the same names as most axes, and
tells their correlation with the true axes (see ``benchmarks/peers/mediapipe_blendshapes.py`` for the files).

On ``--data``: the same landmarks % against the data's own landmarks (MediaPipe's 478 points where the data have them),
also without profiles (the nose's tip beyond the farther eye's outer corner, about 45 degrees), for the 68 points made
from them, and the inner 51 of those. Means are over faces, with the median beside them,
because the measure grows without bound as a face turns to profile and its eye corners meet. With ``--tilt 30`` the
crops are rotated by so many degrees first, and how well expression codes correlate with those of the crops as they were
(mean over the axes that vary) is told, too.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # started as a script
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import click
import numpy as np

from emoca_tf.cli import run
from emoca_tf.errors import UserError
from emoca_tf.faces.mediapipe_points import EYE_CORNERS

SEED = 90_001
BATCH = 16
EYE_CORNERS_68 = (36, 45)
INNER = slice(17, 68)
NOSE_TIP = 1  # MediaPipe
VARIES = 0.1  # least spread over the photographs of an axis whose correlation is told
PROFILE = 0.5  # the nose's tip is beside the farther eye's corner, about 45 degrees


def batches(source: Any, limit: int, words: str) -> Iterator[dict[str, Any]]:
    """Batches in order with a bar, ``limit`` faces in all (0: every one)."""
    from training.evaluate import pictures

    yield from pictures(source, limit, words)


class Truth:
    """Collects what the encoders make of faces whose codes are known, and what a peer's blendshapes do."""

    def __init__(self, mobile: Any, scene: Any, blendshapes: Any = None) -> None:
        import tensorflow as tf

        self.scene, self.blendshapes = scene, blendshapes
        self.encode = tf.function(lambda images: mobile.encode(images).to_dict(), reduce_retracing=True)
        self.face = np.unique(scene.model.masks["face"])
        self.rows: dict[str, list[np.ndarray]] = defaultdict(list)

    def add(self, batch: dict[str, Any]) -> None:
        """Compare one batch."""
        import tensorflow as tf

        from emoca_tf.codes import Codes
        from emoca_tf.rendering.camera import project
        from training.scene import truth_codes

        codes, true = Codes(**self.encode(batch["image"])), truth_codes(batch)
        rows = self.rows
        still = tf.zeros_like(true.pose[:, :3])
        heads = [
            self.scene.flame(true.shape, exp, tf.concat([still, jaw], 1)).vertices.numpy()[:, self.face]
            for exp, jaw in (
                (true.exp, true.pose[:, 3:]),
                (codes.exp, codes.pose[:, 3:]),
                (tf.zeros_like(true.exp), still),
            )
        ]
        for name, head in zip(("expression mm", "rest mm"), heads[1:], strict=True):
            rows[name].append(1e3 * np.linalg.norm(head - heads[0], axis=-1).mean(1))
        rows["head degrees"].append(turned(codes.pose[:, :3], true.pose[:, :3], true.neck_pose))
        rows["jaw degrees"].append(np.degrees(np.abs(codes.pose[:, 3] - true.pose[:, 3])))
        posed = self.scene.flame(codes.shape, codes.exp, codes.pose)
        order = self.scene.mediapipe_indices
        rows["landmarks %"].append(
            percent(project(posed.landmarks_mp, codes.cam).numpy()[..., :2], order, batch["landmarks_mp"].numpy())
        )
        rows["exp"].append(codes.exp.numpy())
        rows["true exp"].append(true.exp.numpy())
        if self.blendshapes is not None:
            pictures = np.round(batch["image"].numpy() * 255).astype(np.uint8)
            rows["blendshapes"].append(np.stack([self.blendshapes(picture) for picture in pictures]))

    def table(self, visible: float) -> tuple[list[str], list[str]]:
        """Lines of the summary, and a line for every axis."""
        from training.geometry import axis_signals

        found = {name: np.concatenate(parts) for name, parts in self.rows.items()}
        lines = [
            f"{name:24s} mean {values.mean():7.2f}   median {np.median(values):7.2f}"
            for name, values in found.items()
            if values.ndim == 1
        ]
        true, got = found["true exp"], found["exp"]
        signal, seen = axis_signals(self.scene.model, true, visible)
        correlation = correlations(got, true)
        lines.append(
            f"{'axis correlation':24s} mean {correlation[seen].mean():7.3f}   lowest {correlation[seen].min():6.3f}   "
            f"{int((correlation[seen] >= 0.9).sum())} of {int(seen.sum())} visible axes at 0.9 or more; "
            f"pooled {pearson(got[:, seen].ravel(), true[:, seen].ravel()):.3f}"
        )
        names = self.scene.model.expression_names
        if "blendshapes" in found:
            lines.append(beside_blendshapes(names, seen, correlation, found["blendshapes"], true))
        hidden = [names[a] for a in np.flatnonzero(~seen)]
        lines.append(f"not counted ({len(hidden)}, below {visible:g} px): {', '.join(hidden)}")
        axes = [
            f"{names[a]:32s} signal {signal[a]:6.2f} px  spread {true[:, a].std():.3f}  "
            f"correlation {correlation[a]:6.3f}{'' if seen[a] else '  not counted'}"
            for a in np.argsort(-signal)
        ]
        return lines, axes


def pearson(first: np.ndarray, second: np.ndarray) -> float:
    """Correlation; 0 for a constant, which knows nothing."""
    if first.std() < 1e-9 or second.std() < 1e-9:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def correlations(got: np.ndarray, true: np.ndarray) -> np.ndarray:
    """``[A]`` correlation of every column of ``[N, A]``."""
    return np.array([pearson(got[:, a], true[:, a]) for a in range(true.shape[1])])


def beside_blendshapes(
    names: Sequence[str], seen: np.ndarray, ours: np.ndarray, blendshapes: np.ndarray, true: np.ndarray
) -> str:
    """A line: how MediaPipe's blendshapes correlate with the visible axes of the same names, and how the encoder does.

    Args:
        names: of the axes.
        seen: ``[A]`` whether an axis counts.
        ours: ``[A]`` correlations of the encoder.
        blendshapes: ``[N, 52]``.
        true: ``[N, A]``.
    """
    from training.datasets.taught import BLENDSHAPES

    both = [a for a in np.flatnonzero(seen) if names[a] in BLENDSHAPES]
    if not both:
        return f"{'MediaPipe blendshapes':24s} none of the visible axes is among them"
    theirs = correlations(blendshapes[:, [BLENDSHAPES.index(names[a]) for a in both]], true[:, both])
    return (
        f"{'MediaPipe blendshapes':24s} mean {theirs.mean():7.3f}   highest {theirs.max():6.3f}   of the {len(both)} "
        f"visible axes that are among them; the encoder's mean there {ours[both].mean():.3f}"
    )


def blendshape_peer(folder: Path, names: Sequence[str], faces: int) -> Any:
    """MediaPipe's blendshapes of crops.

    Raises:
        UserError: there is nothing to compare them with, or the files are not there.
    """
    from benchmarks.peers.mediapipe_blendshapes import Blendshapes
    from training.datasets.taught import BLENDSHAPES

    if not faces:
        raise UserError("--blendshapes are compared on synthetic faces; --faces 0 leaves them out")
    if not set(names) & set(BLENDSHAPES):
        raise UserError(
            "no expression axis of this head has the name of a blendshape; --blendshapes needs one that has"
        )
    return Blendshapes(folder)


def turned(predicted: Any, true: Any, neck: Any) -> np.ndarray:
    """``[B]`` degrees between head orientations: axis-angles of the prediction, and of the true head and neck."""
    from emoca_tf.flame.rotations import rodrigues

    mine, theirs = rodrigues(predicted).numpy(), (rodrigues(true) @ rodrigues(neck)).numpy()
    cosine = (np.einsum("bij,bij->b", mine, theirs) - 1) / 2
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def percent(projected: np.ndarray, order: np.ndarray | None, given: np.ndarray, corners: tuple[int, int] = EYE_CORNERS,
            rows: slice | None = None) -> np.ndarray:  # fmt: skip
    """``[B]`` mean distance in % of the inter-ocular distance; NaN where the eye corners are not known.

    Args:
        projected: ``[B, N, 2]`` in -1..1.
        order: which of the given points they are; None for all in order.
        given: ``[B, M, 3]`` in -1..1 with validity. Invalid points do not count.
        corners: the outer eye corners among the given points.
        rows: only these points count.
    """
    ocular = np.linalg.norm(given[:, corners[0], :2] - given[:, corners[1], :2], axis=1)
    wanted = given if order is None else given[:, order]
    distance, valid = np.linalg.norm(projected - wanted[..., :2], axis=2), wanted[..., 2] > 0
    if rows is not None:
        distance, valid = distance[:, rows], valid[:, rows]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean: np.ndarray = 100 * (distance * valid).sum(1) / valid.sum(1) / ocular
    mean[~((given[:, corners[0], :2] != 0).any(1) & (ocular > 0))] = np.nan
    return mean


def sideways(given: np.ndarray) -> np.ndarray:
    """``[B]`` how far the nose's tip lies off the middle between the eyes, in the eyes' distance: 0 from the front."""
    right, left = (given[:, corner, :2] for corner in EYE_CORNERS)
    along = left - right
    ocular = np.maximum(np.linalg.norm(along, axis=1), 1e-6)
    off = given[:, NOSE_TIP, :2] - (left + right) / 2
    result: np.ndarray = np.abs((off * along).sum(1)) / ocular**2
    return result


def tilted(batch: dict[str, Any], degrees: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Crops ``[B, S, S, 3]`` rotated about their centre with both sets of landmarks; edges are repeated outwards."""
    import cv2

    images, *points = (batch[name].numpy() for name in ("image", "landmarks_mp", "landmarks68"))
    side = images.shape[1]
    matrix = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), degrees, 1.0)  # by the centres of pixels
    turned = [cv2.warpAffine(image, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE) for image in images]
    moved = [np.concatenate([given[..., :2] @ matrix[:, :2].T, given[..., 2:]], -1) for given in points]
    return np.stack(turned), moved[0], moved[1]


def on_photos(mobile: Any, scene: Any, source: Any, limit: int, tilt: float = 0.0) -> list[str]:
    """Landmark error on photographs, by set of points; with a tilt, how far the expression stays, too."""
    import tensorflow as tf

    from emoca_tf.codes import Codes

    kept: dict[str, list[np.ndarray]] = defaultdict(list)
    upright: list[np.ndarray] = []
    leaning: list[np.ndarray] = []
    encode = tf.function(lambda images: mobile.encode(images).to_dict(), reduce_retracing=True)
    for batch in batches(source, limit, "photos"):
        images, given, given68 = tilted(batch, tilt)
        codes = Codes(**encode(images))
        if tilt:
            upright.append(encode(batch["image"])["exp"].numpy())
            leaning.append(codes.exp.numpy())
        posed = scene.flame(codes.shape, codes.exp, codes.pose)
        few, many = (None if points is None else points.numpy() for points in scene.landmarks(posed, codes))
        every = percent(many, scene.mediapipe_indices, given)
        kept["all MediaPipe points"].append(every)
        kept["the same, no profiles"].append(np.where(sideways(given) < PROFILE, every, np.nan))
        kept["68 points"].append(percent(few, None, given68, EYE_CORNERS_68))
        kept["inner 51 points"].append(percent(few, None, given68, EYE_CORNERS_68, INNER))
    lines = []
    for name, parts in kept.items():
        values = np.concatenate(parts)
        known = values[np.isfinite(values)]
        if not len(known):
            raise UserError("these pictures have no landmarks; give a packed set with landmarks_x16")
        lines.append(
            f"{name:24s} mean {known.mean():7.2f} %  median {np.median(known):7.2f} %  90th percentile "
            f"{np.percentile(known, 90):6.2f} %  highest {known.max():6.2f} %  ({len(known)} faces)"
        )
    if tilt:
        before, after = np.concatenate(upright), np.concatenate(leaning)
        each = [pearson(before[:, a], after[:, a]) for a in np.flatnonzero(before.std(0) > VARIES)]
        lines.append(f"{'expression as untilted':24s} correlation {np.mean(each):.3f}, mean of {len(each)} axes")
    return lines


@click.command(help=__doc__)
@click.option("--weights", "sources", multiple=True, default=("mobile",), help="Preset, .npz or run directory.")
@click.option("--head", default="default", help="Head model file.")
@click.option("--faces", default=500, show_default=True, help="Synthetic faces; 0 leaves them out.")
@click.option("--renders", default="", help="kind:path of faces with known codes, instead of drawing some.")
@click.option("--seed", default=SEED, show_default=True, help="Of the synthetic faces.")
@click.option("--max-yaw", default=60.0, show_default=True, help="Largest turn of the synthetic heads, degrees.")
@click.option("--clutter/--no-clutter", default=True, show_default=True, help="Hair, hands, backgrounds, noise.")
@click.option("--visible", default=0.5, show_default=True, help="Pixels from which an axis counts as visible.")
@click.option("--axes", is_flag=True, help="List every axis.")
@click.option("--blendshapes", type=click.Path(file_okay=False, path_type=Path), help="Folder of MediaPipe's networks.")
@click.option("--data", default="", help="kind:path of photographs with landmarks, such as packed:/data/mux_dev.")
@click.option("--limit", default=0, help="Only so many photographs.")
@click.option("--tilt", default=0.0, type=click.FloatRange(-180, 180), help="Rotate the photographs, degrees.")
def command(
    sources: tuple[str, ...],
    head: str,
    faces: int,
    renders: str,
    seed: int,
    max_yaw: float,
    clutter: bool,
    visible: float,
    axes: bool,
    blendshapes: Path | None,
    data: str,
    limit: int,
    tilt: float,
) -> None:
    from training.config import Config
    from training.datasets.synthetic import Synthetic
    from training.inputs import open_source
    from training.scene import Scene
    from training.trained import load_mobile

    source = open_source(data, Config(), seed) if data else None  # before the long part: a wrong path is told at once
    stored = open_source(renders, Config(), seed) if renders else None
    scene = Scene(head)
    peer = blendshape_peer(blendshapes, scene.model.expression_names, faces) if blendshapes else None
    found = load_mobile(sources, scene.model)
    click.echo("\n".join(found.lines))
    if faces:
        truth = Truth(found.mobile, scene, peer)
        drawn = Synthetic(faces, seed, head=scene.model, clutter=clutter, max_yaw=max_yaw) if stored is None else stored
        for batch in batches(drawn, faces, "truth"):
            if "exp" not in batch:
                raise UserError(f"{renders}: the true codes of these pictures are not known; give rendered:FILE")
            truth.add(batch)
        lines, each = truth.table(visible)
        how = renders or f"seed {seed}, yaw up to {max_yaw:g} degrees, clutter {clutter}"
        click.echo(f"\nsynthetic truth: {sum(map(len, truth.rows['exp']))} faces, {how}")
        click.echo("\n".join(lines + (each if axes else [])))
    if source is not None:
        how = f" tilted by {tilt:g} degrees" if tilt else ""
        click.echo(f"\nlandmarks on {data}{how}, % of the inter-ocular distance")
        click.echo("\n".join(on_photos(found.mobile, scene, source, limit, tilt)))


if __name__ == "__main__":
    sys.exit(run(command, "geometry"))
