"""``parity.json`` and ``parity.html``: what was measured, and the worst faces as pictures."""

from __future__ import annotations

import base64
import html
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from convert.benchmark import device
from convert.data import CALIBRATION_SEED
from convert.jobs import Result, Workshop
from convert.networks import Network
from convert.parity import Verdict
from emoca_tf import __version__
from emoca_tf.io.atomic import atomic_path

SHOWN = 4
_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1b1b1f}
table{border-collapse:collapse;margin:1rem 0}th,td{padding:.3rem .7rem;border-bottom:1px solid #ddd;text-align:right}
th:first-child,td:first-child{text-align:left}.ok{color:#176b2c}.no{color:#a11515}img{max-width:100%}
@media(prefers-color-scheme:dark){body{background:#16161a;color:#e6e6ea}th,td{border-color:#333}.ok{color:#6fd08c}
.no{color:#ff8a80}}
"""


def facts(workshop: Workshop, results: list[Result], chosen: dict[str, str]) -> dict[str, Any]:
    """Everything of ``parity.json``."""
    networks: dict[str, Any] = {}
    for result in results:
        networks.setdefault(result.network, []).append(result.as_json())
    settings = workshop.settings
    return {
        "format": "emoca-tf parity 1",
        "emoca_tf": __version__,
        "weights": workshop.source.origin,
        "family": workshop.source.family,
        "head": workshop.source.head.name,
        "gates": settings.gates.__dict__,
        "judged_on": [faces.describe() for faces in workshop.judge_faces],
        "calibration": {
            "origin": settings.calibration,
            "count": settings.calibration_count,
            "seed": CALIBRATION_SEED,
        },
        "reference_device": reference_device(),
        "latency_device": f"{device()} (not a phone)",
        "runtime": settings.runtime,
        "chosen": chosen,
        "networks": networks,
    }


def reference_device() -> str:
    """Where the float reference ran."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    return f"GPU ({tf.config.experimental.get_device_details(gpus[0]).get('device_name', 'unknown')})" if gpus else (
        f"CPU ({device()})"
    )  # fmt: skip


def write_reports(folder: Path, workshop: Workshop, results: list[Result], chosen: dict[str, str],
                  networks: dict[str, Network]) -> None:  # fmt: skip
    """Write both reports."""
    data = facts(workshop, results, chosen)
    with atomic_path(folder / "parity.json") as path:
        path.write_text(json.dumps(data, indent=1))
    pictures = {
        (r.network, r.recipe): worst_cases(workshop, networks[r.network], r)
        for r in results
        if networks[r.network].kind == "encoder"
    }
    with atomic_path(folder / "parity.html") as path:
        path.write_text(page(data, results, pictures), encoding="utf-8")


def worst_cases(workshop: Workshop, network: Network, result: Result) -> bytes | None:
    """PNG of the worst faces: photo, head of the float network, head of the file; None without a judged file."""
    if result.verdict is None or result.found is None or not result.verdict.worst:
        return None
    from PIL import Image

    rows = result.verdict.worst[:SHOWN]
    columns = [workshop.judged_inputs(network)["image"][rows]]
    for outputs in (workshop.reference(network), result.found):
        codes = workshop.geometry.codes({name: value[rows] for name, value in outputs.items()})
        columns.append(workshop.geometry.previews(codes, workshop.geometry.decode(codes)[0]))
    sheet = np.concatenate([np.concatenate([column[i] for column in columns], 1) for i in range(len(rows))], 0)
    stream = io.BytesIO()
    Image.fromarray((sheet.clip(0, 1) * 255).round().astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def table(results: list[Result]) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of the comparison, as shown on the terminal and on the page."""
    heads = ["file", "MB", "exp corr.", "err. 1e-4", "mm mean", "mm p95", "px mean", "flips", "clear"]
    heads += [head for threads in "12" for head in (f"ms {threads} thr.", "float32")]
    return [*heads, "verdict"], [_row(result) for result in results]


def _row(result: Result) -> list[str]:
    name = f"{result.network} {result.recipe}"
    if result.verdict is None:
        return [name, *["-"] * 12, "refused"]
    v = result.verdict
    main = v.groups.get("exp") or min(v.groups.values(), key=lambda group: group["correlation"])
    ms, base = result.latency or {}, result.float_latency or {}

    def number(values: dict[str, float] | None, key: str, form: str) -> str:
        return format(values[key], form) if values else "-"

    return [
        name, f"{len(result.content) / 1e6:.2f}", f"{main['correlation']:.4f}", f"{1e4 * main['error']:.2f}",
        number(v.vertices, "mean", ".3f"), number(v.vertices, "p95", ".3f"), number(v.landmarks, "mean", ".2f"),
        number(v.emotion, "flips", ".1%"),
        number(v.emotion, "clear_flips", ".1%"), *(number(of.get(t), "min", ".2f") for t in "12" for of in (ms, base)),
        "pass" if result.passed else "REJECTED",
    ]  # fmt: skip


def text_table(results: list[Result]) -> str:
    """The comparison in columns."""
    heads, rows = table(results)
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    return "\n".join(
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in [heads, *rows]
    )


def part_lines(results: list[Result]) -> list[str]:
    """What the judge found on every set of faces, where there are several."""
    lines = []
    for result in results:
        for where, part in (result.verdict.parts if result.verdict else {}).items():
            vertices, emotion = part["vertices"], part["emotion"]
            assert vertices is not None
            said = f"{vertices['mean']:.3f} mm in the mean, {vertices['p95']:.3f} mm at p95"
            if emotion is not None:
                said += f", {emotion['flips']:.1%} of the classes flip, {emotion['clear_flips']:.1%} clear ones"
            lines.append(f"{result.network} {result.recipe} on {where}: {said}")
    return lines


def measures(verdict: Verdict) -> list[str]:
    """What the differences mean, in words: on the head, in the picture, for the emotion."""

    def spread(values: dict[str, float], unit: str) -> str:
        return f"{values['mean']:.3f} {unit} in the mean, {values['p95']:.3f} at p95, {values['max']:.3f} at most"

    lines = []
    if verdict.vertices is not None:
        lines.append(f"Vertices of the face: {spread(verdict.vertices, 'mm')}.")
    if verdict.landmarks is not None:
        lines.append(f"Landmarks: {spread(verdict.landmarks, 'px')} (crop of 224).")
    if verdict.emotion is not None:
        e = verdict.emotion
        flips = f"{e['flips']:.1%} of the classes flip, {e['clear_flips']:.1%} clear ones"
        lines.append(f"Emotion: {flips}; valence differs by {e['valence_mae']:.4f}, arousal by {e['arousal_mae']:.4f}.")
    return lines


def page(data: dict[str, Any], results: list[Result], pictures: dict[tuple[str, str], bytes | None]) -> str:
    """The HTML page; everything is inside it."""
    heads, rows = table(results)
    where = f"reference on {data['reference_device']}; latency on {data['latency_device']}"
    body = ["<h1>Parity</h1>", f"<p>{html.escape(data['weights'])}, head {html.escape(data['head'])}; "]
    body.append(f"{html.escape(where)}.</p>")
    judged = ", ".join(f"{f['count']} faces of {f['origin']} (seed {f['seed']})" for f in data["judged_on"])
    body.append(f"<p>Judged on {html.escape(judged)}. Gates: {html.escape(json.dumps(data['gates']))}</p>")
    cells = "".join(f"<th>{html.escape(head)}</th>" for head in heads)
    lines = "".join(
        f"<tr class='{'ok' if result.passed else 'no'}'>"
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
        for result, row in zip(results, rows, strict=True)
    )  # fmt: skip
    body.append(f"<table><tr>{cells}</tr>{lines}</table>")
    for result in results:
        body.append(f"<h2>{html.escape(result.network)}, {html.escape(result.recipe)}</h2>")
        body += [f"<p class='no'>{html.escape(reason)}</p>" for reason in result.reasons]
        if result.verdict is not None:
            body += [f"<p class='no'>{html.escape(note)}</p>" for note in result.verdict.notes]
            body += [f"<p>{html.escape(line)}</p>" for line in (*measures(result.verdict), *part_lines([result]))]
            body.append(_groups(result))
        picture = pictures.get((result.network, result.recipe))
        if picture:
            body.append("<p>Worst faces: picture, float head, head of this file.</p>")
            body.append(f"<img alt='worst faces' src='data:image/png;base64,{base64.b64encode(picture).decode()}'>")
    return (f"<!doctype html><html lang='en'><meta charset='utf-8'><title>emoca-tf parity</title>"
            f"<style>{_STYLE}</style>{''.join(body)}</html>")  # fmt: skip


def _groups(result: Result) -> str:
    assert result.verdict is not None
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{g['mae']:.5f}</td><td>{g['max']:.5f}</td><td>{g['error']:.2g}</td>"
        f"<td>{g['correlation']:.5f}</td><td>{g['spread']:.4f}</td></tr>"
        for name, g in result.verdict.groups.items()
    )
    ops = ", ".join(f"{kind} {count}" for kind, count in (result.operations or {}).get("ops", {}).items())
    partitions = (result.operations or {}).get("delegate_partitions", "-")
    heads = "".join(f"<th>{head}</th>" for head in ("output", "MAE", "max", "error", "correlation", "spread"))
    return (f"<table><tr>{heads}</tr>{rows}</table>"
            f"<p>{html.escape(ops)}; XNNPACK partitions: {partitions}</p>")  # fmt: skip
