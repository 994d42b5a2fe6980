"""``convert --inspect``, ``--compare`` and ``--benchmark``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from emoca_tf.errors import UserError


def inspect_command(files: Sequence[str]) -> None:
    """Print what is inside each file."""
    if not files:
        raise UserError("--inspect needs a file: convert --inspect FILE.tflite")
    for file in files:
        click.echo("\n".join(inspect_lines(file, _checked(file))))


def inspect_lines(name: str, content: bytes) -> list[str]:
    """Signature, size, operations, tensors with their ranges, metadata."""
    from convert import benchmark, metadata
    from emoca_tf.capture.tflite import TFLiteModel

    model = TFLiteModel(content)
    facts = benchmark.operations(content)
    lines = [f"{name}: {len(content):,} bytes, signature {model.signature}"]
    for title, tensors in (("input", model.inputs), ("output", model.outputs)):
        lines += [f"  {title:7}{n:14}{list(shape)!s:22}{dtype}" for n, (shape, dtype) in tensors.items()]
    lines.append(f"  operations: {', '.join(f'{kind} {n}' for kind, n in facts['ops'].items())}")
    lines.append(f"  XNNPACK partitions: {facts['delegate_partitions']}")
    lines += _tensor_lines(TFLiteModel(content, delegates=False).interpreter.get_tensor_details())
    try:
        read = metadata.read(content)
    except ValueError:
        return [*lines, "  metadata: none"]
    about = read["metadata"]
    lines.append(f"  metadata: {about.get('name', '')} {about.get('version', '')}, licence {about.get('license', '-')}")
    return [*lines, f"  packed files: {', '.join(read['files']) or 'none'}"]


def _tensor_lines(details: Sequence[dict[str, Any]]) -> list[str]:
    """Tensors by type with their bytes, and the widest quantised ranges."""
    sizes: dict[str, list[int]] = {}
    ranges = []
    for detail in details:
        kind = np.dtype(detail["dtype"])
        sizes.setdefault(str(kind), []).append(int(np.prod(detail["shape"], dtype=np.int64)) * kind.itemsize)
        scales = detail["quantization_parameters"]["scales"]
        if kind == np.int8 and len(scales) == 1:
            zero = int(detail["quantization_parameters"]["zero_points"][0])
            low, high = (float(scales[0]) * (limit - zero) for limit in (-128, 127))
            ranges.append((high - low, low, high, detail["name"]))
    lines = [f"  tensors {kind}: {len(of)} ({sum(of):,} bytes)" for kind, of in sorted(sizes.items())]
    for _, low, high, name in sorted(ranges, reverse=True)[:8]:
        lines.append(f"  range {low:10.4g} .. {high:<10.4g} {name[-70:]}")
    return lines


def compare_command(files: Sequence[str], data: str, count: int) -> None:
    """Print the differences of two files on the same faces."""
    if len(files) != 2:
        raise UserError(f"--compare needs two files; received {len(files)}")
    from convert import parity
    from convert.data import JUDGE_SEED, load_faces
    from convert.outputs import file_outputs
    from emoca_tf.capture.tflite import TFLiteModel

    first, second = (TFLiteModel(_checked(file)) for file in files)
    if first.outputs.keys() != second.outputs.keys() or first.inputs.keys() != second.inputs.keys():
        raise UserError(
            f"{files[0]} gives {', '.join(first.outputs)} for {', '.join(first.inputs)}, {files[1]} "
            f"{', '.join(second.outputs)} for {', '.join(second.inputs)}; only files of one network can be compared"
        )
    inputs = {"image": load_faces(data, count, JUDGE_SEED).images} if "image" in first.inputs else _drawn(first, count)
    groups = parity.compare(file_outputs(first, inputs), file_outputs(second, inputs))
    click.echo(f"{len(next(iter(inputs.values())))} inputs ({data if 'image' in inputs else 'drawn codes'})")
    click.echo(f"{'output':14}{'MAE':>12}{'max':>12}{'correlation':>13}{'spread':>10}")
    for name, g in groups.items():
        click.echo(f"{name:14}{g['mae']:12.4g}{g['max']:12.4g}{g['correlation']:13.6f}{g['spread']:10.3g}")


def _drawn(model: Any, count: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(9001)
    return {
        name: rng.normal(0, 0.5, (count, *shape[1:])).astype(np.float32) for name, (shape, _) in model.inputs.items()
    }


def benchmark_command(files: Sequence[str]) -> None:
    """Print latency side by side with one and two threads."""
    if not files:
        raise UserError("--benchmark needs files: convert --benchmark A.tflite B.tflite")
    from convert import benchmark

    contents = {file: _checked(file) for file in files}
    click.echo(f"{benchmark.device()} (not a phone: trust the ratios)")
    tables = {threads: benchmark.latency(contents, threads) for threads in (1, 2)}
    width = max(map(len, files))
    click.echo(f"{'file':{width}}{'MB':>8}{'ms 1 thr.':>12}{'ms 2 thr.':>12}{'ratio':>8}")
    base = tables[1][files[0]]["min"]
    for file in files:
        one, two = tables[1][file]["min"], tables[2][file]["min"]
        size = len(contents[file]) / 1e6
        click.echo(f"{file:{width}}{size:8.2f}{one:12.2f}{two:12.2f}{one / base:8.2f}")


def _checked(file: str) -> bytes:
    """A file's bytes once a process of its own has run it: a damaged file may end the process that opens it."""
    from convert import trial

    path = Path(file)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{file}: no such file") from None
    except IsADirectoryError:
        raise UserError(f"{file} is a directory; give a .tflite file") from None
    reason = trial.failure(content)
    if reason is not None:
        raise UserError(f"{file} cannot be run: {reason}")
    return content
