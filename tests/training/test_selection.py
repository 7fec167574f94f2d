import math

import pytest
import torch

from dichoseg import fit, load_model
from dichoseg.training import EarlyStopping
from dichoseg.training.selection import best_epoch, higher_is_better, score_key

from ..conftest import SMALL  # noqa: F401


def pairs(count=4):
    generator = torch.Generator().manual_seed(0)
    mask = torch.zeros(1, 64, 64)
    mask[:, 16:48, 20:40] = 1
    return [(torch.rand(3, 64, 64, generator=generator), mask) for _ in range(count)]


@pytest.mark.parametrize(
    ("best", "key", "metric"),
    [
        ("quick_max_f", "quick_max_f", None),
        ("max_f", "quick_max_f", None),
        ("mae", "quick_mae", None),
        ("mba", "quick_mba", "mba"),
        ("quick_mba", "quick_mba", "mba"),
        ("val_loss", "val_loss", None),
        ("anything", "anything", None),
    ],
)
def test_value_key_and_metric(best, key, metric):
    found, record = score_key(best)
    assert found == key
    assert (record.name if record else None) == metric


@pytest.mark.parametrize(
    ("key", "rises"),
    [
        ("quick_max_f", True),
        ("quick_mae", False),
        ("quick_hce", False),
        ("quick_mba", True),
        ("val_loss", False),
        ("mine", True),
        ("my_mae", False),
    ],
)
def test_value_direction(key, rises):
    assert higher_is_better(key) == rises


def course_of(model, scores, *, key="mine", **options):
    """Train with a score of its own for each epoch; the weights after each."""
    kept = []

    def score(model, row):
        row[key] = scores[int(row["epoch"]) - 1]
        kept.append({name: value.clone() for name, value in model.state_dict().items()})

    fit(model, pairs(), epochs=len(scores), batch_size=2, on_epoch=score, device="cpu", **options)
    return kept


def test_value_best_by_what_a_callback_adds(small_isnet, tmp_path):
    kept = course_of(small_isnet, [0.1, 0.9, 0.5], val_data=pairs(2), best="mine", out=tmp_path / "run")
    best = load_model(tmp_path / "run/best").state_dict()
    for state in (small_isnet.state_dict(), best):
        assert all(torch.equal(state[key], value) for key, value in kept[1].items())
    assert "mine" in (tmp_path / "run/history.csv").read_text().splitlines()[0]


def test_value_best_without_validation_data(small_isnet):
    kept = course_of(small_isnet, [0.1, math.nan, 0.05], best="mine")
    assert all(torch.equal(small_isnet.state_dict()[key], value) for key, value in kept[0].items())


def test_value_best_by_a_registered_metric_that_falls(small_isnet, monkeypatch):
    scores = iter([3.0, 1.0, 2.0])
    monkeypatch.setattr("dichoseg.metrics.online.OnlineMetrics.compute", lambda self: {"quick_hce": next(scores)})
    kept = course_of(small_isnet, [0, 0, 0], val_data=pairs(1), best="hce")
    assert all(torch.equal(small_isnet.state_dict()[key], value) for key, value in kept[1].items())


def test_value_validation_computes_the_metric(small_isnet):
    history = fit(small_isnet, pairs(), val_data=pairs(2), epochs=1, batch_size=2, best="mse", device="cpu")
    assert 0 < history[0]["quick_mse"] < 1
    assert history[0]["quick_mse"] < history[0]["quick_mae"]


def test_error_choice_of_the_best(small_isnet):
    with pytest.raises(ValueError, match="score 'quick_mab'.*did you mean 'quick_mae'"):
        fit(small_isnet, pairs(), epochs=1, batch_size=2, best="quick_mab", device="cpu")
    with pytest.raises(ValueError, match="best='mine' is not a score of this epoch; its scores: loss, other"):
        course_of(small_isnet, [1.0], best="mine", key="other")
    with pytest.raises(TypeError, match="best must be the name of a score.*got 3"):
        fit(small_isnet, pairs(), epochs=1, batch_size=2, best=3, device="cpu")
    with pytest.raises(ValueError, match="best='mba' is a validation score, which needs val_data"):
        fit(small_isnet, pairs(), epochs=1, batch_size=2, best="mba", device="cpu")


def test_value_early_stopping_knows_the_direction():
    stopping = EarlyStopping(1, metric="hce")
    assert not stopping(None, {"epoch": 1, "quick_hce": 30.0})
    assert not stopping(None, {"epoch": 2, "quick_hce": 20.0})
    assert stopping(None, {"epoch": 3, "quick_hce": 25.0})


def test_value_a_key_of_the_row_goes_before_a_metric_of_its_name(small_isnet):
    """As where a callback adds the scores of `evaluate`."""
    scores = [0.5, 0.1, 0.3]
    kept = []

    def score(model, row):
        row["mae"] = scores[int(row["epoch"]) - 1]
        kept.append({key: value.clone() for key, value in model.state_dict().items()})

    stopping = EarlyStopping(1, metric="mae")
    history = fit(small_isnet, pairs(), epochs=3, batch_size=2, on_epoch=[score, stopping], best="mae", device="cpu")
    assert len(history) == 3
    assert stopping.best_epoch == 2
    assert all(torch.equal(small_isnet.state_dict()[key], value) for key, value in kept[1].items())


def test_error_a_term_or_the_time_is_no_score(small_isnet):
    for best in ("main", "seconds", "epoch"):
        with pytest.raises(ValueError, match=f"best='{best}' is not a score of this epoch; its scores: loss"):
            fit(small_isnet, pairs(), epochs=1, batch_size=2, best=best, on_epoch=lambda *_: None, device="cpu")


def test_value_a_score_that_is_never_a_number(small_isnet, caplog):
    kept = course_of(small_isnet, [math.nan, math.nan], best="mine")
    assert all(torch.equal(small_isnet.state_dict()[key], value) for key, value in kept[1].items())
    assert "mine was not a number in any epoch: the last weights are kept" in caplog.text


@pytest.mark.parametrize(
    ("course", "best", "epoch"),
    [
        ([math.nan, 0.5, 0.6], "quick_max_f", 3),
        ([0.5, 0.5], "quick_max_f", 1),
        ([0.5, 0.6], "quick_mae", 1),
        ([math.nan], "quick_max_f", None),
        ([], "quick_max_f", None),
    ],
)
def test_value_best_epoch(course, best, epoch):
    rows = [{"epoch": index, best: value} for index, value in enumerate(course, start=1)]
    assert best_epoch(rows, best) == epoch
