"""The judge: a file just written against the float reference, on the same faces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from convert import metadata
from convert.export import named_outputs
from convert.geometry import BATCH, EmotionReader, Geometry
from convert.networks import Network
from convert.outputs import Outputs, errors, stacked

WORST, FURTHEST = 6, 4  # faces, and outputs
CLEAR = 0.1  # difference of the two largest class probabilities above which a class is no near-tie
DEGENERATE = 0.02  # spread of the expression code below which a network is hardly trained


@dataclass(frozen=True)
class Gates:
    """What a file must reach.

    Attributes:
        correlation: of the expression code (or of every code of other encoders), at least.
        mean_mm: mean vertex difference over the face, at most.
        p95_mm: 95th percentile of the vertex differences, at most.
        flips: share of faces whose emotion class changes, at most.
        absolute: largest difference of any output of a float32 file, relative to the output's largest value (>= 1).
    """

    correlation: float = 0.995
    mean_mm: float = 0.5
    p95_mm: float = 1.0
    flips: float = 0.02
    absolute: float = 1e-4


@dataclass
class Verdict:
    """What the judge found.

    Attributes:
        groups: output name -> ``mae``, ``max``, ``error``, ``correlation``, ``spread`` (standard deviation of the
            reference), see :func:`compare`.
        vertices: ``mean``, ``p95``, ``max`` in millimetres over the face, ``mean_all`` over the whole head; or None.
        landmarks: ``mean``, ``p95``, ``max`` in pixels of the 224 crop; or None.
        emotion: ``valence_mae``, ``arousal_mae``, ``flips`` and, without a gate, ``clear_flips``: flips of faces whose
            two likeliest classes are more than :data:`CLEAR` apart in the reference; or None.
        parts: where the faces come from several sets: set -> its own ``vertices``, ``landmarks`` and ``emotion``.
        worst: row numbers of the faces with the largest error, worst first.
        failures: gates not reached, each in one line; empty for a pass.
        notes: which outputs are furthest off in a file that fails, and what is odd about the float network itself.
    """

    groups: dict[str, dict[str, float]]
    vertices: dict[str, float] | None = None
    landmarks: dict[str, float] | None = None
    emotion: dict[str, float] | None = None
    parts: dict[str, dict[str, dict[str, float] | None]] = field(default_factory=dict)
    worst: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def reference_outputs(network: Network, inputs: Mapping[str, np.ndarray]) -> Outputs:
    """The float model's outputs ``[N, ...]`` by name."""
    rows = len(next(iter(inputs.values())))
    names = [tensor.name for tensor in network.model.inputs]
    parts = []
    for start in range(0, rows, BATCH):
        batch = [inputs[name][start : start + BATCH] for name in names]
        values = named_outputs(network, network.model(batch if len(batch) > 1 else batch[0], training=False))
        parts.append({name: np.asarray(value) for name, value in values.items()})
    return stacked(parts)


def compare(reference: Outputs, found: Outputs) -> dict[str, dict[str, float]]:
    """Per output: mean and largest absolute difference, error, pooled correlation, spread of the reference.

    The error is the mean squared difference as a share of the reference's variance over the faces. The correlation
    centres both sides on the reference's mean face, axis by axis, so that neither a constant offset nor large constant
    axes hide an error.
    """
    groups, shares = {}, errors(reference, found)
    for name, a in reference.items():
        b = found[name]
        centre = a.mean(0)
        x, y = (a - centre).ravel().astype(np.float64), (b - centre).ravel().astype(np.float64)
        norm = np.sqrt((x @ x) * (y @ y))
        groups[name] = {
            "mae": float(np.abs(a - b).mean()),
            "max": float(np.abs(a - b).max()),
            "error": shares[name],
            "correlation": float(x @ y / norm) if norm > 0 else float(np.allclose(x, y, atol=1e-6)),
            "spread": float(a.std(0).mean()),
        }
    return groups


def judge(
    network: Network, recipe: str, reference: Outputs, found: Outputs, geometry: Geometry,
    emotion: EmotionReader | None = None, gates: Gates | None = None, parts: Mapping[str, slice] | None = None,
) -> Verdict:  # fmt: skip
    """Measure and decide.

    Args:
        network: what was converted.
        recipe: how; float32 has a gate of its own.
        reference: outputs of the float model on N faces.
        found: outputs of the file on the same faces.
        geometry: of the head whose codes they are.
        emotion: reads emotions off rendered heads; None leaves that out.
        gates: limits; the defaults if None.
        parts: sets of faces among the rows of an encoder's outputs; each must reach the gates by itself.
    """
    gates = gates or Gates()
    verdict = Verdict(compare(reference, found))
    if not all(np.isfinite(value).all() for value in found.values()):
        verdict.failures.append("it gives numbers that are not finite")
        return verdict
    errors = sum(np.abs(reference[n] - found[n]).reshape(len(reference[n]), -1).mean(1) / max(g["spread"], 1e-6)
                 for n, g in verdict.groups.items())  # fmt: skip
    if network.kind == "encoder":
        reader = emotion if network.name == "expression" else None
        errors = _on_the_head(verdict, reference, found, geometry, reader, parts or {})
    elif network.kind == "detail":
        difference = 1e3 * np.abs(reference["displacement"] - found["displacement"]).reshape(len(errors), -1)
        verdict.vertices, errors = _spread(difference), difference.mean(1)
    elif network.kind == "head":
        difference = 1e3 * np.linalg.norm(reference["vertices"] - found["vertices"], axis=-1)
        verdict.vertices, errors = _spread(difference), difference.mean(1)
    elif "expression" in reference:
        verdict.emotion = _agreement(reference, found)
    verdict.worst = [int(row) for row in np.argsort(errors)[::-1][:WORST]]
    verdict.failures = failures(network, recipe, verdict, reference, gates)
    if verdict.failures:
        verdict.notes.append(f"furthest off, in standard deviations: {', '.join(furthest(network, reference, found))}")
    if network.name == "expression" and verdict.groups["exp"]["spread"] < DEGENERATE:
        verdict.notes.append(
            f"the float network gives nearly the same expression for every face (spread "
            f"{verdict.groups['exp']['spread']:.2g}); train it longer, its parity says little"
        )
    return verdict


def _on_the_head(verdict: Verdict, reference: Outputs, found: Outputs, geometry: Geometry,
                 emotion: EmotionReader | None, parts: Mapping[str, slice]) -> np.ndarray:  # fmt: skip
    """Fill in vertices, landmarks and emotion, of all and of parts; returns the mean vertex error of each face."""
    rows = len(next(iter(reference.values())))
    distances, shifts, read = [], [], ([], [])  # type: ignore[var-annotated]
    for start in range(0, rows, BATCH):
        sides = []
        for outputs in (reference, found):
            codes = geometry.codes({n: v[start : start + BATCH] for n, v in outputs.items()})
            sides.append((codes, *geometry.decode(codes)))
        distances.append(1e3 * np.linalg.norm(sides[0][1] - sides[1][1], axis=-1))
        if sides[0][2] is not None:
            shifts.append(np.linalg.norm(sides[0][2] - sides[1][2], axis=-1))
        if emotion is not None:
            for store, (codes, vertices, _) in zip(read, sides, strict=True):
                store.append(emotion(geometry.pictures(codes, vertices)))
    difference = np.concatenate(distances)
    on_face = difference[:, geometry.face]
    shift = np.concatenate(shifts) if shifts else None
    agreed = [{n: np.concatenate([part[n] for part in side]) for n in side[0]} for side in read] if emotion else None

    def measures(rows: slice) -> dict[str, dict[str, float] | None]:
        return {
            "vertices": _spread(on_face[rows]) | {"mean_all": float(difference[rows].mean())},
            "landmarks": None if shift is None else _spread(shift[rows]),
            "emotion": _agreement(*({n: v[rows] for n, v in side.items()} for side in agreed)) if agreed else None,
        }

    whole = measures(slice(None))
    verdict.vertices, verdict.landmarks, verdict.emotion = (whole[key] for key in ("vertices", "landmarks", "emotion"))
    verdict.parts = {name: measures(rows) for name, rows in parts.items()} if len(parts) > 1 else {}
    return np.asarray(on_face.mean(1))


def _spread(values: np.ndarray) -> dict[str, float]:
    return {"mean": float(values.mean()), "p95": float(np.percentile(values, 95)), "max": float(values.max())}


def _agreement(reference: Outputs, found: Outputs) -> dict[str, float]:
    flips = reference["expression"].argmax(1) != found["expression"].argmax(1)
    likely = np.exp(reference["expression"] - reference["expression"].max(1, keepdims=True))
    second, first = np.sort(likely / likely.sum(1, keepdims=True), 1)[:, -2:].T
    return {
        "valence_mae": float(np.abs(reference["valence"] - found["valence"]).mean()),
        "arousal_mae": float(np.abs(reference["arousal"] - found["arousal"]).mean()),
        "flips": float(flips.mean()),
        "clear_flips": float((flips & (first - second > CLEAR)).mean()),
    }


def failures(network: Network, recipe: str, verdict: Verdict, reference: Outputs, gates: Gates) -> list[str]:
    """The gates that were not reached, with numbers."""
    lines: list[str] = []

    def check(ok: bool, line: str) -> None:
        if not ok:
            lines.append(line)

    if recipe == "float32":
        for name, group in verdict.groups.items():
            limit = gates.absolute * max(1.0, float(np.abs(reference[name]).max()))
            check(group["max"] <= limit, f"{name}: largest difference {group['max']:.2g} > {limit:.2g}")
        return lines
    if network.kind in ("encoder", "detail_encoder"):
        names = ["exp"] if "exp" in verdict.groups else list(verdict.groups)
        for name in names:
            value = verdict.groups[name]["correlation"]
            check(value >= gates.correlation, f"{name}: correlation {value:.4f} < {gates.correlation}")
    for where, vertices, emotion in [
        ("", verdict.vertices, verdict.emotion),
        *((f"{name}: ", part["vertices"], part["emotion"]) for name, part in verdict.parts.items()),
    ]:
        if vertices is not None:
            for key, limit in (("mean", gates.mean_mm), ("p95", gates.p95_mm)):
                value = vertices[key]
                check(value <= limit, f"{where}vertices: {key} {value:.3f} mm > {limit} mm")
        if emotion is not None:
            value = emotion["flips"]
            check(value <= gates.flips, f"{where}emotion: {value:.1%} of the classes flip > {gates.flips:.0%}")
    if network.kind == "detail":
        value = verdict.groups["displacement"]["correlation"]
        check(value >= gates.correlation, f"displacement: correlation {value:.4f} < {gates.correlation}")
    return lines


def furthest(network: Network, reference: Outputs, found: Outputs) -> list[str]:
    """The outputs, axis by axis where they are vectors, with the largest error; root mean square, worst first."""
    errors: dict[str, float] = {}
    for name, a in reference.items():
        vector = a.ndim == 2
        off = np.sqrt(np.square(a - found[name]).mean(0 if vector else None)).reshape(-1) / max(a.std(0).mean(), 1e-6)
        axes = network.axes.get(name) or metadata.AXES.get(name) or tuple(map(str, range(len(off))))
        labels = [f"{name} {axis}" for axis in axes] if len(off) > 1 else [name]
        errors |= dict(zip(labels, map(float, off), strict=True))
    worst = sorted(errors, key=lambda label: errors[label], reverse=True)[:FURTHEST]
    return [f"{label} {errors[label]:.2g}" for label in worst]


def as_json(verdict: Verdict) -> dict[str, Any]:
    """For ``parity.json``."""
    return {**verdict.__dict__, "passed": not verdict.failures}
