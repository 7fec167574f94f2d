import csv
import itertools

import pytest
import torch

from dichoseg import Optimization, SyntheticDataset, fit, load_model
from dichoseg.training import Batches
from dichoseg.training.base import interpolate, recompute_statistics
from dichoseg.training.validation import validate

DATA = SyntheticDataset(6, size=64)
RUINOUS = Optimization(learning_rate=1.0)


def state_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_value_averages_of_states():
    base = {"weight": torch.tensor([0.0, 4.0]), "count": torch.tensor(3)}
    trained = {"weight": torch.tensor([8.0, 0.0]), "count": torch.tensor(7)}
    average = interpolate(base, trained, 0.75)
    assert average["weight"].tolist() == [2.0, 3.0]
    assert average["count"] == 7
    assert interpolate(base, trained, 0.0)["weight"].tolist() == [8.0, 0.0]


def test_value_statistics_are_means_over_the_batches(small_isnet):
    norm = next(module for module in small_isnet.modules() if isinstance(module, torch.nn.BatchNorm2d))
    seen = []
    norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].mean((0, 2, 3))))
    batches = Batches(DATA, small_isnet, batch_size=3)
    recompute_statistics(small_isnet, batches.in_order(), torch.autocast("cpu", enabled=False))
    torch.testing.assert_close(norm.running_mean, torch.stack(seen).mean(0))
    assert norm.momentum == 0.1
    assert not norm.training


def test_value_the_base_is_epoch_0_and_can_be_the_best(make_isnet, tmp_path):
    model, base = make_isnet(), state_of(make_isnet())
    history = fit(
        model, DATA, val_data=DATA, epochs=2, batch_size=2, base="score", best="val_loss", optimization=RUINOUS,
        out=tmp_path / "run",
    )  # fmt: skip
    assert [row["epoch"] for row in history] == [0, 1, 2]
    assert "loss" not in history[0]
    assert history[0]["val_loss"] < min(row["val_loss"] for row in history[1:])
    assert equal(model.state_dict(), base)
    assert history.averages == []
    assert equal(load_model(tmp_path / "run/best").state_dict(), base)
    assert equal(load_model(tmp_path / "run/base").state_dict(), base)
    with (tmp_path / "run/history.csv").open(newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["0", "1", "2"]
    assert (tmp_path / "run/sheets/epoch_0000.jpg").exists()


def test_value_the_base_changes_nothing_in_the_training(make_isnet):
    plain, scored = make_isnet(), make_isnet()
    without = fit(plain, DATA, epochs=2, batch_size=2)
    with_base = fit(scored, DATA, val_data=DATA, epochs=2, batch_size=2, base="score", best="loss")
    assert [row["loss"] for row in with_base[1:]] == [row["loss"] for row in without]


def test_value_the_best_of_base_epochs_and_averages_is_kept(make_isnet, tmp_path):
    model = make_isnet()
    fit(model, DATA, epochs=8, batch_size=2, optimization=Optimization(learning_rate=3e-3))
    base = state_of(model)
    history = fit(
        model, DATA, val_data=DATA, epochs=1, batch_size=2, base="average", best="val_loss", seed=1,
        optimization=Optimization(learning_rate=0.02, optimizer=torch.optim.SGD, clip_norm=None), out=tmp_path / "run",
    )  # fmt: skip
    assert [row["base_share"] for row in history.averages] == [0.75, 0.5, 0.25]
    assert 0 < history.base_share < 1
    best = min(row["val_loss"] for row in [*history, *history.averages])
    assert best == next(row["val_loss"] for row in history.averages if row["base_share"] == history.base_share)
    again = fit(model, DATA, val_data=DATA, epochs=1, batch_size=2, base="score")
    assert again[0]["val_loss"] == pytest.approx(best, rel=1e-6)
    card = (tmp_path / "run/best/README.md").read_text()
    assert f"{history.base_share:.0%} base" in card
    assert not equal(model.state_dict(), base)


def test_value_half_the_base_and_half_the_last_weights_whatever_their_score(make_isnet, tmp_path):
    model = make_isnet()
    how = {"val_data": DATA, "epochs": 2, "batch_size": 2, "base": "half", "best": "val_loss", "optimization": RUINOUS}
    history = fit(model, DATA, **how, out=tmp_path / "run")
    assert history.base_share == 0.5
    (average,) = history.averages
    assert average["val_loss"] > history[0]["val_loss"], "the base is better"
    last = dict(load_model(tmp_path / "run/last").named_parameters())
    for name, base in make_isnet().named_parameters():
        torch.testing.assert_close(model.get_parameter(name), (base + last[name]) / 2)
    assert equal(load_model(tmp_path / "run/best").state_dict(), model.state_dict())
    again = make_isnet()
    assert fit(again, DATA, **how, out=tmp_path / "run", resume=True).base_share == 0.5
    assert equal(again.state_dict(), model.state_dict())


def test_value_a_finished_run_is_not_averaged_once_more(make_isnet, tmp_path):
    model = make_isnet()
    fit(model, DATA, epochs=2, batch_size=2, optimization=Optimization(learning_rate=3e-3))
    how = {"val_data": DATA, "epochs": 2, "batch_size": 2, "base": "average", "best": "val_loss"}
    history = fit(model, DATA, **how, out=tmp_path / "run")
    assert history[0]["val_loss"] > min(row["val_loss"] for row in history[1:]), "an epoch is better than the base"
    assert history.base_share > 0, "and an average is better than that"
    again = make_isnet()
    finished = fit(again, DATA, **how, out=tmp_path / "run", resume=True)
    assert (finished.averages, finished.base_share) == (history.averages, history.base_share)
    assert equal(again.state_dict(), model.state_dict())
    assert equal(load_model(tmp_path / "run/best").state_dict(), model.state_dict())


@pytest.mark.parametrize("stop_in", [0, 1, 3])
def test_value_a_resumed_run_ends_as_one_that_was_not_stopped(make_isnet, tmp_path, monkeypatch, stop_in):
    how = {"val_data": DATA, "epochs": 2, "batch_size": 3, "base": "average"}
    whole, parts = make_isnet(), make_isnet()
    expected = fit(whole, DATA, **how)
    calls = itertools.count()

    def stopping(*args, **options):
        if next(calls) == stop_in:  # 0 is the base, 1 and 2 are the epochs, 3 is an average
            return None
        return validate(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr("dichoseg.training.session.validate", stopping)
        assert fit(parts, DATA, **how, out=tmp_path / "run").interrupted
    history = fit(parts if stop_in else make_isnet(), DATA, **how, out=tmp_path / "run", resume=True)
    without_times = [
        [{name: row[name] for name in ("epoch", "val_loss", "quick_max_f")} for row in rows]
        for rows in (history, expected)
    ]
    assert without_times[0] == without_times[1]
    assert history.averages == expected.averages
    if stop_in:
        assert equal(parts.state_dict(), whole.state_dict())


def test_error_a_base_without_validation_data(small_isnet):
    with pytest.raises(ValueError, match="base='score' needs val_data"):
        fit(small_isnet, DATA, base="score")


def test_error_an_unknown_base(small_isnet):
    with pytest.raises(ValueError, match=r"base .*'keep'"):
        fit(small_isnet, DATA, val_data=DATA, base="keep")


def test_value_a_best_score_that_is_not_known_of_the_base(small_isnet, caplog):
    def add(model, row):
        row["own"] = row["epoch"]

    history = fit(small_isnet, DATA, val_data=DATA, epochs=2, batch_size=3, base="average", best="own", on_epoch=add)
    assert "own is not known of the base" in caplog.text
    assert "own" not in history[0]
    assert history.base_share == 0
