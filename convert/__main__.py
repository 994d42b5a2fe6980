"""``convert``: trained networks to files that a phone runs, judged before they get their names."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from convert.compatibility import RUNTIMES, SHIPPED
from emoca_tf.cli import run

NETWORKS = ("expression", "pose", "shape", "pose_shape", "coarse", "head", "head_small", "emotion", "readout",
            "detail_encoder", "detail")  # fmt: skip
RECIPE_NAMES = (
    "auto",
    "float32",
    "float16",
    "int8-weights",
    "dynamic",
    "part-dynamic",
    "int8",
    "int16x8",
    "int8-qat",
    "mixed",
)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--tflite", is_flag=True, help="Convert MODEL to TFLite.")
@click.option("--inspect", "inspect_file", is_flag=True, help="Show what is inside a .tflite file.")
@click.option("--compare", is_flag=True, help="Compare two .tflite files on the same faces.")
@click.option("--benchmark", is_flag=True, help="Time .tflite files side by side.")
@click.argument("arguments", nargs=-1, metavar="[MODEL | FILE...]")
@click.option("-o", "--output", default="out/tflite", show_default=True, type=click.Path(path_type=Path),
              help="Folder for the files.")  # fmt: skip
@click.option("--bundle", type=click.Path(path_type=Path), help="Write everything an app needs into this folder.")
@click.option("--network", "networks", multiple=True, type=click.Choice((*NETWORKS, "all")),
              help="What to convert; may be repeated (default: all).")  # fmt: skip
@click.option("--recipe", "recipes", multiple=True, type=click.Choice(RECIPE_NAMES),
              help="How; may be repeated (default: by network).")  # fmt: skip
@click.option("--data", default="synthetic", show_default=True,
              help="Calibration: synthetic, a folder (shards, photographs), or kind:path (packed:/x/mux).")  # fmt: skip
@click.option("--data-count", default=128, show_default=True, type=click.IntRange(1), help="Calibration pictures.")
@click.option("--judge-data", multiple=True, help="Faces to judge on, as --data; may be repeated (default: synthetic).")
@click.option("--judge-count", default=200, show_default=True, type=click.IntRange(2), help="Faces of each.")
@click.option("--io", "io_type", default="float32", show_default=True, type=click.Choice(("float32", "int8")))
@click.option("--batch", default=1, show_default=True, type=click.IntRange(1, 256), help="Static batch size.")
@click.option("--qat-steps", default=400, show_default=True, type=click.IntRange(1), help="Steps of int8-qat.")
@click.option("--runtime", default=SHIPPED, show_default=True, type=click.Choice(tuple(RUNTIMES)),
              help="TFLite release of the app; files that it does not know go into no bundle.")  # fmt: skip
@click.option("--head", default="default", show_default=True, help="Head model file (.npz).")
def command(tflite: bool, inspect_file: bool, compare: bool, benchmark: bool, arguments: tuple[str, ...], output: Path,
            bundle: Path | None, networks: tuple[str, ...], recipes: tuple[str, ...], data: str, data_count: int,
            judge_data: tuple[str, ...], judge_count: int, io_type: str, batch: int, qat_steps: int,
            runtime: str, head: str) -> None:  # fmt: skip
    """Make files for phones, and judge, inspect, compare and time them.

    \b
    convert --tflite                      the embedded mobile weights
    convert --tflite runs/distill         a run directory, .npz of weights or .keras file
    convert --tflite --recipe auto        try every recipe, keep the fastest that passes
    convert --tflite --bundle app/assets  everything an app needs
    convert --inspect FILE.tflite
    convert --compare A.tflite B.tflite --data FOLDER
    convert --benchmark FILE.tflite...
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GLOG_minloglevel", "3")
    if sum((tflite, inspect_file, compare, benchmark)) != 1:
        raise click.UsageError("give one of --tflite, --inspect, --compare and --benchmark")
    if not tflite:
        from convert.tools import benchmark_command, compare_command, inspect_command

        if inspect_file:
            inspect_command(arguments)
        elif compare:
            compare_command(arguments, data, judge_count)
        else:
            benchmark_command(arguments)
        return
    if len(arguments) > 1:
        raise click.UsageError(f"--tflite takes one model; received {' '.join(arguments)}")
    from convert.command import Request, convert_command

    convert_command(
        Request(arguments[0] if arguments else "default", output, bundle, networks, recipes, data, data_count,
                judge_data or ("synthetic",), judge_count, io_type == "int8", batch, qat_steps, head, runtime)
    )  # fmt: skip


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run(command, "convert"))


if __name__ == "__main__":
    main()
