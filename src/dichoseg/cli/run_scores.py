"""Scores of a run of `dichoseg train`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..training.plan import Plan
    from ..training.rows import History


def score_run(plan: Plan, history: History) -> None:
    """Score the base, the last and the best model as papers do, at the masks' size; add the scores to their cards.

    The worst images of the best model are written too.
    """
    import dataclasses

    from ..contracts import length
    from ..evaluation import Scores, evaluate, write_worst
    from ..runtime.files import write_json
    from ..training.run_folder import training_card
    from ..training.selection import best_epoch, score_key
    from ..weights import load_model
    from ..weights.card import write_card

    if plan.folder is None or plan.val_data is None:
        return
    run, metric = plan.folder.path, score_key(plan.best)[1]
    metrics = ("paper",) if metric is None else ("paper", metric.name)
    best, share = None if plan.base == "half" else best_epoch(history, plan.best), history.base_share
    until = best or (history[-1]["epoch"] if share else 0)  # an average has the last weights if no epoch was the best
    course = {"base": history[:1], "last": history, "best": [row for row in history if row["epoch"] <= until]}
    scores: dict[str, Scores] = {}
    known: dict[tuple[float, float], Scores] = {}
    for name, rows in course.items():
        if not (run / name).exists():  # the base was not scored, or no epoch has a score
            continue
        averaged = share if name == "best" else 0.0
        weights = (rows[-1]["epoch"], averaged)
        model = load_model(run / name).to(plan.target)
        if weights not in known:
            known[weights] = evaluate(model, plan.val_data, metrics=metrics, progress=plan.progress)
        scores[name] = known[weights]
        on = f"{length(plan.val_data)} validation images at the size of their masks"
        card = training_card(plan.train_data, rows, base_share=averaged)
        write_card(model, run / name, dataclasses.replace(card, scores=scores[name], evaluated_on=on))
        if name == "best":
            write_worst(model, plan.val_data, scores[name], run, metric="mae" if metric is None else metric.name)
    write_json(run / "scores.json", scores)
    if not plan.progress:
        return
    print("".join(f"{name:>12}" for name in ["validation", *scores["last"]]))
    for name, row in scores.items():
        print(f"{name:>12}" + "".join(f"{value:12.3f}" for value in row.values()))
