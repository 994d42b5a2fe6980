"""``emoca-tf``: one subcommand a job; each lives in ``emoca_tf/commands`` and is imported when it is called."""

from __future__ import annotations

import errno
import sys
from importlib import import_module

import click

from emoca_tf import __version__
from emoca_tf.errors import UserError

# Name -> (module, one-line help). The help stands here so that `emoca-tf --help` imports none of them.
COMMANDS: dict[str, tuple[str, str]] = {
    "animate": ("emoca_tf.commands.animate", "Turn a recording of the Android demo into an animated head."),
    "capture": ("emoca_tf.commands.capture", "Recover the 3D head of a photo."),
    "contact-sheet": ("emoca_tf.commands.contact_sheet", "Draw a head's expressions, identities and albedos."),
    "describe": ("emoca_tf.commands.describe", "Print what a head model is: counts, axes, units, licence."),
    "encode": ("emoca_tf.commands.encode", "Encode a folder or list of pictures into one .npz of codes."),
    "import-flame": ("emoca_tf.commands.import_flame", "Convert the official FLAME head and what belongs to it."),
    "import-weights": ("emoca_tf.commands.import_weights", "Convert official weights (DECA, EMOCA, SMIRK, ...)."),
}


# Top-level module -> the extra that brings it.
EXTRAS = {
    "tensorflow": "tf",
    "keras": "tf",
    "tensorflow_graphics": "graphics",
    "numba": "fit",
    "tf_keras": "convert",
    "tensorflow_model_optimization": "convert",
    "ai_edge_litert": "convert",
    "litert_quantizer": "convert",
    "fast_simplification": "convert",
    "matplotlib": "train",
    "sklearn": "train",
    "rtree": "train",
}


class _LazyGroup(click.Group):
    """A click group whose subcommands are imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return import_module(COMMANDS[cmd_name][0]).command  # type: ignore[no-any-return]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="emoca-tf")
def group() -> None:
    """From one photo to an expressive 3D head (FLAME format) and the emotion it shows."""


def one_line(error: BaseException) -> str:
    """The message of an error on one line."""
    return " ".join(str(error).split())


def run(command: click.Command, prog_name: str, argv: list[str] | None = None) -> int:
    """Run a click command; user mistakes become one line on stderr and an exit code, never a traceback.

    Returns:
        0 on success, 2 for a mistake the user can mend, 1 for a failing disk, 130 when interrupted.
    """
    try:
        command.main(args=argv, prog_name=prog_name, standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        click.echo(f"{prog_name}: {one_line(Exception(error.format_message()))}", err=True)
        return 2
    except (click.Abort, KeyboardInterrupt):
        click.echo(f"{prog_name}: interrupted", err=True)
        return 130
    except UserError as error:
        click.echo(f"{prog_name}: {one_line(error)}", err=True)
        return 2
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").split(".")[0])
        if extra is None:
            raise
        click.echo(f"{prog_name}: this needs {error.name}; install it with: pip install 'emoca-tf[{extra}]'", err=True)
        return 2
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO}:
            raise
        click.echo(f"{prog_name}: cannot write {error.filename or 'the output'}: {error.strerror}", err=True)
        return 1
    return 0


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run(group, "emoca-tf"))


if __name__ == "__main__":
    main()
