import math

import pytest
import torch

from dichoseg import fit, load_model
from dichoseg.training import EarlyStopping
from dichoseg.training.selection import higher_is_better, score_key

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


def course_of(model, scores, **options):
    """Train with a score of its own for each epoch; the weights after each."""
    kept = []

    def score(model, row):
        row["mine"] = scores[int(row["epoch"]) - 1]
        kept.append({key: value.clone() for key, value in model.state_dict().items()})

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


def test_error_key_that_is_not_in_the_row(small_isnet):
    with pytest.raises(ValueError, match="best='max_iou' is not in the epoch's row; it has epoch, loss"):
        fit(small_isnet, pairs(), epochs=1, batch_size=2, best="max_iou", device="cpu")
    with pytest.raises(ValueError, match="best='mba' is a validation score, which needs val_data"):
        fit(small_isnet, pairs(), epochs=1, batch_size=2, best="mba", device="cpu")


def test_value_early_stopping_knows_the_direction():
    stopping = EarlyStopping(1, metric="hce")
    assert stopping.metric == "quick_hce"
    assert not stopping(None, {"epoch": 1, "quick_hce": 30.0})
    assert not stopping(None, {"epoch": 2, "quick_hce": 20.0})
    assert stopping(None, {"epoch": 3, "quick_hce": 25.0})
