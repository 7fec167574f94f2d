"""The scores of a run of `dichoseg train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    import torch

    from ..data import FolderDataset
    from ..training.run_folder import Row


def score_run(
    run: Path,
    history: list[Row],
    training: FolderDataset,
    validation: FolderDataset,
    device: torch.device,
    *,
    best: str,
) -> None:
    """Score the last and the best model of a run as papers do, at the masks' own size, and note it in their cards."""
    import dataclasses

    from ..evaluation import evaluate
    from ..runtime.files import write_json
    from ..training.run_folder import training_card
    from ..training.selection import best_epoch
    from ..weights import load_model
    from ..weights.card import write_card

    scores: dict[str, dict[str, float]] = {}
    for name, epochs in (("last", len(history)), ("best", best_epoch(history, best))):
        if epochs is None:  # no epoch has a score, and there is no such folder
            continue
        model = load_model(run / name).to(device)
        same = name == "best" and epochs == len(history)
        scores[name] = scores["last"] if same else evaluate(model, validation, progress=True)
        on = f"{len(validation)} validation images at their masks' own size"
        card = training_card(training, history[:epochs])
        write_card(model, run / name, dataclasses.replace(card, scores=scores[name], evaluated_on=on))
    write_json(run / "scores.json", scores)
    typer.echo("".join(f"{name:>12}" for name in ["validation", *scores["last"]]))
    for name, row in scores.items():
        typer.echo(f"{name:>12}" + "".join(f"{value:12.3f}" for value in row.values()))
