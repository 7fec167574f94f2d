"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .hints import Formatter, with_options

DATA = typer.Argument(
    metavar="DATA", help="DATA/im and DATA/gt, or the same below DATA/train or DATA/DIS-TR.", show_default=False
)
DataArgument = Annotated[Path, DATA]
ModelArgument = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="A saved model, a run's folder, a hub id, or a file of published weights."),
]
DeviceOption = Annotated[
    str | None, typer.Option(help="Such as cuda or cpu. Default: CUDA, else Apple's MPS, else the CPU.")
]
ImagesOption = Annotated[str, typer.Option(help="Name of the images' folder.", rich_help_panel="Data")]
MasksOption = Annotated[
    str,
    typer.Option(help="Name of the masks' folder, or alpha: the images are cut-outs.", rich_help_panel="Data"),
]
MaskSuffixOption = Annotated[
    str,
    typer.Option(
        help="What masks' names have behind their images', such as _mask.", show_default=False, rich_help_panel="Data"
    ),
]
ForegroundOption = Annotated[
    list[int] | None,
    typer.Option(help="Label id that is foreground, where masks hold ids; repeatable.", rich_help_panel="Data"),
]
ResizeOption = Annotated[
    bool,
    typer.Option("--resize-masks", help="Resize masks of another size to their image's.", rich_help_panel="Data"),
]
ValOption = Annotated[
    Path | None,
    typer.Option(help="Validation set. Default: DATA/val or DATA/DIS-VD, if there.", rich_help_panel="Data"),
]


def show_training_log() -> None:
    """Show the log of training: each epoch, and warnings."""
    import logging

    from ..training.processes import leads

    handler = logging.StreamHandler()
    handler.setFormatter(Formatter())
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger("dichoseg").setLevel(logging.INFO if leads() else logging.ERROR)


def tell(text: str) -> None:
    """Print a message in addition to the result, once if several processes train together."""
    from ..training.processes import leads

    if leads():
        typer.echo(with_options(text), err=True)
