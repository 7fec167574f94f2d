"""`dichoseg demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import show_training_log


def demo(
    out: Annotated[Path, typer.Option(help="A new folder for the run, the scores and the contact sheet.")] = Path(
        "demo"
    ),
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the drawn scenes.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Of weights, scenes and training.")] = 0,
) -> None:
    """Train a small IS-Net on drawn scenes, in about two minutes on two cores, and show that it has learnt."""
    show_training_log()
    from ..demo import run_demo

    scores = run_demo(out, epochs=epochs, seed=seed)
    typer.echo(f"{'held-out scenes':16}{'max_f':>8}{'mae':>8}")
    for name, row in scores.items():
        typer.echo(f"{name:16}{row['max_f']:8.3f}{row['mae']:8.3f}")
    typer.echo(f"contact sheet: {out / 'contact_sheet.png'}")
