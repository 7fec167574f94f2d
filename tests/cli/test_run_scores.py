import csv
import json
import math
import shutil

import numpy as np
import pytest
import torch

from dichoseg import evaluate, load_model, save_model
from dichoseg.cli.run_scores import score_run
from dichoseg.data import open_folders
from dichoseg.evaluation import Scores
from dichoseg.metrics import Evaluator
from dichoseg.training.plan import Plan
from dichoseg.training.rows import History


@pytest.fixture
def run(data, small_isnet):
    """A run whose best model is not its last one, and its data."""
    save_model(small_isnet, data / "run/best")
    with torch.no_grad():
        for head in small_isnet.heads.sides:
            head.weight.neg_()
    save_model(small_isnet, data / "run/last")
    training, validation = open_folders(data, val_fraction=0.4)

    def score(*course, best="quick_max_f", base_share=0.0):
        plan = Plan(
            model=small_isnet, train_data=training, val_data=validation, batch_size=2, best=best, device="cpu",
            out=data / "run", resume=True,
        )  # fmt: skip
        score_run(plan, History(course, base_share=base_share))

    return data / "run", validation, score


EVALUATOR = Evaluator(metrics=("mae",))
EVALUATOR.update(np.full((4, 4), 0.5), np.eye(4) > 0, name="a")
EVALUATOR.update(np.eye(4), np.eye(4) > 0, name="b")
SCORES = Scores(EVALUATOR)


def rows(*course):
    return [
        {"epoch": epoch, "loss": 1.0, "quick_max_f": value, "quick_mae": 0.5}
        for epoch, value in enumerate(course, start=1)
    ]


def test_value_both_models_are_scored_and_say_so(run, capsys):
    folder, validation, score = run
    score(*rows(0.2, 0.9, 0.3))
    scores = json.loads((folder / "scores.json").read_text())
    for name in ("last", "best"):
        assert scores[name] == evaluate(load_model(folder / name), validation)
        card = (folder / name / "README.md").read_text()
        assert "On 2 validation images at the size of their masks." in card
        assert f"| `mae` | {scores[name]['mae']:.4f} |" in card
    assert scores["last"] != scores["best"]
    with (folder / "worst.csv").open(newline="") as file:
        table = [(row["name"], float(row["mae"])) for row in csv.DictReader(file)]
    expected = evaluate(load_model(folder / "best"), validation).worst_first("mae")
    assert table == [(row["name"], row["mae"]) for row in expected]
    assert (folder / "worst.jpg").exists()
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["validation", "last", "best"]


def test_value_the_card_of_an_average_has_the_epochs_although_none_was_better_than_the_base(run):
    folder, _, score = run
    score({"epoch": 0, "quick_max_f": 0.95}, *rows(0.8, 0.9), base_share=0.75)
    card = (folder / "best/README.md").read_text()
    assert "3 images with masks, 2 epochs." in card
    assert "75% base, 25% trained" in card


def test_value_the_last_model_is_scored_once_where_it_is_the_best(run, monkeypatch):
    _, _, score = run
    scored = []
    monkeypatch.setattr("dichoseg.evaluation.evaluate", lambda *_, **__: scored.append(1) or SCORES)
    score(*rows(0.2, 0.9))
    assert len(scored) == 1
    score(*rows(0.9, 0.9))
    assert len(scored) == 3, "of equals, the first is the best, as in fit"


def test_value_the_best_by_another_score(run, monkeypatch):
    _, _, score = run
    scored = []
    monkeypatch.setattr("dichoseg.evaluation.evaluate", lambda *_, **__: scored.append(1) or SCORES)
    course = [row | {"quick_mae": mae} for row, mae in zip(rows(0.9, 0.2), (0.3, 0.1), strict=True)]
    score(*course, best="mae")
    assert len(scored) == 1, "the last epoch has the lowest error"


def test_value_only_the_last_where_no_epoch_has_a_score(run, monkeypatch):
    folder, _, score = run
    monkeypatch.setattr("dichoseg.evaluation.evaluate", lambda *_, **__: {"mae": 0.5})
    shutil.rmtree(folder / "best")
    score(*rows(math.nan, math.nan))
    assert json.loads((folder / "scores.json").read_text()) == {"last": {"mae": 0.5}}


def test_value_the_base_is_scored_too(run, monkeypatch):
    folder, _, score = run
    scored = []
    monkeypatch.setattr("dichoseg.evaluation.evaluate", lambda *_, **__: scored.append(1) or SCORES)
    shutil.copytree(folder / "last", folder / "base")
    base = {"epoch": 0, "quick_max_f": 0.95, "quick_mae": 0.5}
    score(base, *rows(0.2, 0.9))
    assert list(json.loads((folder / "scores.json").read_text())) == ["base", "last", "best"]
    assert len(scored) == 2, "the base is the best"
    assert "The weights from which the run started." in (folder / "best/README.md").read_text()
