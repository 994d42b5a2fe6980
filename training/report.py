"""The page a run ends with: what was asked, how the losses went, what the networks see; one HTML file."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from emoca_tf.io.atomic import write_text
from training.checkpoint import Progress
from training.config import Config, differences
from training.journal import read_metrics, series

NOT_LOSSES = ("step", "loss", "gradient_norm", "seconds", "input_wait")
STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:#222}
h1{font-size:1.5em;margin-bottom:0}h2{font-size:1.1em;margin-top:2em}img{max-width:100%}
table{border-collapse:collapse}td,th{padding:.2em .9em .2em 0;text-align:left;border-bottom:1px solid #ddd}
td.n{text-align:right;font-variant-numeric:tabular-nums}code{background:#f4f4f6;padding:.1em .3em}.q{color:#666}"""


def smoothed(values: np.ndarray, window: int) -> np.ndarray:
    """Running mean of up to ``window`` past values."""
    total = np.cumsum(np.insert(values, 0, 0.0))
    starts = np.maximum(np.arange(len(values)) - window + 1, 0)
    return (total[1:] - total[starts]) / (np.arange(len(values)) + 1 - starts)


def plots(rows: Sequence[dict[str, str]]) -> bytes:
    """Small curves of the loss and of every term, training thin and smoothed, validation as dots; PNG bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = ["loss", *(n for n in rows[0] if n not in NOT_LOSSES and not n.startswith("val/"))]
    names = [name for name in names if len(series(rows, name)[1])]
    columns = min(3, len(names))
    lines = -(-len(names) // columns)
    figure = Figure(figsize=(11, 2.5 * lines), layout="constrained")
    FigureCanvasAgg(figure)
    for index, name in enumerate(names):
        axis = figure.add_subplot(lines, columns, index + 1)
        steps, values = series(rows, name)
        axis.plot(steps, values, color="#4878b0", alpha=0.25, linewidth=0.8)
        axis.plot(steps, smoothed(values, max(1, len(values) // 25)), color="#4878b0", linewidth=1.5)
        steps, values = series(rows, f"val/{name}")
        axis.plot(steps, values, "o", color="#d9822b", markersize=4)
        axis.set_title(name, fontsize=10)
        axis.tick_params(labelsize=8)
        axis.grid(alpha=0.25)
        axis.margins(x=0.02)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return stream.getvalue()


def _image(data: bytes, alt: str) -> str:
    return f'<img alt="{html.escape(alt)}" src="data:image/png;base64,{base64.b64encode(data).decode()}">'


def _first_and_last(rows: Sequence[dict[str, str]]) -> str:
    """A table: mean over the first and the last tenth of the run, and the ratio, for every term."""
    lines = ["<tr><th>term<th>first tenth<th>last tenth<th>change</tr>"]
    for name in rows[0]:
        _, values = series(rows, name)
        if name in NOT_LOSSES[2:] or name == "step" or name.startswith("val/") or not len(values):
            continue
        tenth = max(1, len(values) // 10)
        first, last = values[:tenth].mean(), values[-tenth:].mean()
        change = f"{last / first - 1:+.0%}" if first else ""
        lines.append(
            f'<tr><td>{html.escape(name)}<td class="n">{first:.4g}<td class="n">{last:.4g}<td class="n">{change}</tr>'
        )
    return f"<table>{''.join(lines)}</table>"


def write_report(folder: Path, name: str, purpose: str, config: Config, progress: Progress, notes: list[str]) -> Path:
    """``report.html`` from what lies in the run directory.

    Args:
        folder: the run directory with ``metrics.csv`` and ``pictures/``.
        name: of the recipe.
        purpose: the recipe's docstring.
        config: of the run.
        progress: where it ended.
        notes: lines on networks and speed.
    """
    rows = read_metrics(folder / "metrics.csv")
    pictures = sorted((folder / "pictures").glob("step_*.png"))
    settings = "".join(
        f"<tr><td>{html.escape(key)}<td><code>{html.escape(str(new))}</code></tr>"
        for key, (_, new) in differences(Config(), config).items()
    )
    best = f"best validation loss {progress.best:.4g} at step {progress.best_step}" if progress.best_step else ""
    sections = [
        f"<h1>{html.escape(name)}</h1><p class=q>{progress.step} of {config.steps} steps, stage "
        f"<code>{config.stage}</code>, {config.family}. {best}</p>",
        f"<p>{'<br>'.join(html.escape(line) for line in purpose.strip().splitlines() if line.strip())}</p>",
    ]
    if rows:
        sections.append("<h2>Losses</h2>" + _first_and_last(rows) + "<p>" + _image(plots(rows), "loss curves"))
        sections.append("<p class=q>Line: training, smoothed; dots: validation.</p>")
    for title, path in (("At the end", pictures[-1:]), ("At the start", pictures[:1])):
        for file in path:
            sections.append(f"<h2>{title} ({file.stem.replace('_', ' ')})</h2>{_image(file.read_bytes(), file.stem)}")
    sections.append("<h2>Run</h2><p>" + "<br>".join(f"<code>{html.escape(line)}</code>" for line in notes))
    sections.append(f"<h2>Settings that differ from the release</h2><table>{settings}</table>")
    target = folder / "report.html"
    head = f"<!doctype html><meta charset=utf-8><title>{html.escape(name)}</title><style>{STYLE}</style>"
    write_text(target, head + "\n".join(sections))
    return target
