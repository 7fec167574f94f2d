"""The command line: each command parses, calls one public function and prints."""

import io
import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence

import tyro

from .benchmark import benchmark
from .check import check
from .common import options_of, with_common_options
from .continuing import defaults_for
from .convert import convert
from .demo import demo
from .download import download
from .errors import error_text
from .evaluate import evaluate
from .export import export
from .hints import habit_hint
from .list import list_
from .options import CONFIG
from .plan import plan
from .predict import predict
from .serve import serve
from .train import train, with_defaults
from .view import view

COMMANDS: dict[str, Callable[..., None]] = {
    "demo": demo,
    "check": check,
    "plan": plan,
    "train": train,
    "predict": predict,
    "serve": serve,
    "view": view,
    "evaluate": evaluate,
    "benchmark": benchmark,
    "export": export,
    "convert": convert,
    "download": download,
    "list": list_,
}
LEVELS = {"demo": logging.INFO, "train": logging.INFO, "serve": logging.INFO}
"""Level of the messages that a command shows, if it is not that of warnings."""


def run(arguments: Sequence[str]) -> None:
    """Run a command."""
    if [*arguments] == ["--version"]:
        from .. import __version__

        print(f"dichoseg {__version__}")
        return
    commands = dict(COMMANDS)
    name = next((argument for argument in arguments if argument in commands), None)
    if name == "train" and (defaults := defaults_for(arguments)) is not None:
        commands["train"] = with_defaults(defaults)
    command = commands.get(name or "")
    hint = habit_hint(arguments, options_of(command) if command is not None else {"--version": bool})
    if hint is not None:
        raise ValueError(hint)
    tyro.extras.subcommand_cli_from_dict(
        {name: with_common_options(command, LEVELS.get(name, logging.WARNING)) for name, command in commands.items()},
        prog="dichoseg",
        description="Separate the foreground of a photograph from its background.\n"
        "`dichoseg --version` prints the version.",
        args=arguments or ["--help"],
        config=CONFIG,
    )


def main() -> None:
    """Run the command line; an error that a user can fix is one line, any other has its traceback."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # names of files that the encoding lacks are escaped, as in stderr
        sys.stdout.reconfigure(errors="backslashreplace")
    warnings.filterwarnings("default", message=".* since .*, and goes in ", category=DeprecationWarning)
    try:
        run(sys.argv[1:])
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader of the output has ended, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        print(error_text(error, sys.argv[1:]), file=sys.stderr)
        sys.exit(1)
