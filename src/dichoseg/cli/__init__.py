"""The command line: each command parses, calls one public function and prints."""

import sys
import warnings
from typing import Annotated

import typer

from .check import check
from .convert import convert
from .demo import demo
from .evaluate import evaluate
from .export import export
from .hints import with_options
from .list import list_
from .predict import predict
from .train import train

app = typer.Typer(
    name="dichoseg",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (demo, check, train, predict, evaluate, export, convert):
    app.command()(command)
app.command("list")(list_)


def show_version(asked: bool) -> None:
    """Say which version this is, and end."""
    if asked:
        from .. import __version__

        typer.echo(f"dichoseg {__version__}")
        raise typer.Exit


@app.callback()
def before_commands(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version, and exit.")
    ] = False,
) -> None:
    """Dichotomous image segmentation: separate the foreground of a photograph from its background."""


def main() -> None:
    """Run the command line; an error that a user can fix is one line."""
    warnings.filterwarnings("default", message=".* since .*, and goes in ", category=DeprecationWarning)
    try:
        app()
    except (ValueError, TypeError, OSError, ImportError, ArithmeticError, MemoryError, RuntimeError) as error:
        typer.echo(f"error: {with_options(str(error))}", err=True)
        sys.exit(1)
