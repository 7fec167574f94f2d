import logging
import sys

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dichoseg import SyntheticDataset, fit
from dichoseg.training import EarlyStopping, TensorBoard
from dichoseg.training.callbacks import Callbacks


def rows(*scores, metric="quick_max_f", start=1):
    return [{"epoch": epoch, "loss": 1.0, metric: score} for epoch, score in enumerate(scores, start=start)]


def answers(callback, history):
    return [callback(None, row) for row in history]


def written(folder):
    """What TensorBoard itself reads: tag -> [(step, value), ...]."""
    events = EventAccumulator(str(folder))
    events.Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_value_tensorboard(tmp_path):
    board = TensorBoard(tmp_path / "board")
    row = {"epoch": 1, "loss": 2.0, "mask/main": 1.5, "val_loss": 3.0, "quick_mae": 0.5, "learning_rate": 0.25}
    assert board(None, row) is None
    board(None, row | {"epoch": 2, "loss": 1.0})
    scalars = written(tmp_path / "board")  # not closed yet
    assert scalars["loss/loss"] == [(1, 2.0), (2, 1.0)]
    assert set(scalars) == {
        "loss/loss",
        "loss/mask/main",
        "validation/val_loss",
        "validation/quick_mae",
        "run/learning_rate",
    }
    board.close()


def test_value_tensorboard_of_a_run_that_goes_on(tmp_path):
    first = TensorBoard(tmp_path)
    for row in rows(0.1, 0.2, 0.3):
        first(None, row)
    del first  # killed after epoch 3 was written, before it was saved
    second = TensorBoard(tmp_path)
    for row in rows(0.4, 0.5, start=3):
        second(None, row)
    second.close()
    values = [(step, round(value, 6)) for step, value in written(tmp_path)["validation/quick_max_f"]]
    assert values == [(1, 0.1), (2, 0.2), (3, 0.4), (4, 0.5)]


def test_value_tensorboard_used_for_another_run(tmp_path):
    board = TensorBoard(tmp_path)
    for row in [*rows(0.1, 0.2, 0.3), *rows(0.5)]:
        board(None, row)
    board.close()
    assert written(tmp_path)["validation/quick_max_f"] == [(1, 0.5)]


def test_value_tensorboard_in_fit(small_isnet, tmp_path):
    data = SyntheticDataset(2, size=64)
    history = fit(small_isnet, data, val_data=data, epochs=2, batch_size=2, on_epoch=TensorBoard(tmp_path))
    scalars = written(tmp_path)
    assert [value for _, value in scalars["loss/main"]] == pytest.approx([row["main"] for row in history])
    assert len(scalars) == len(history[0]) - 1
    assert {tag for tag in scalars if tag.startswith("loss/")} == {
        "loss/loss",
        "loss/main",
        "loss/side_1",
        "loss/side_2",
    }


def test_error_no_tensorboard(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    for name in [name for name in sys.modules if name.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ImportError, match=r"pip install 'dichoseg\[tensorboard\]'"):
        TensorBoard(tmp_path)


def test_value_early_stopping(caplog):
    caplog.set_level(logging.INFO, logger="dichoseg")
    history = rows(0.5, 0.6, 0.6, 0.55, 0.7, 0.7, 0.69, 0.7)
    assert answers(EarlyStopping(3), history) == [False] * 7 + [True]
    assert "quick_max_f has not risen by more than 0 for 3 epochs: the best was 0.7, in epoch 5" in caplog.text
    assert answers(EarlyStopping(2), history)[:4] == [False, False, False, True]


def test_value_early_stopping_at_least():
    stopping = EarlyStopping(2, at_least=0.1)
    assert answers(stopping, rows(0.5, 0.55, 0.61, 0.65, 0.7)) == [False, False, False, False, True]


@pytest.mark.parametrize("metric", ["val_loss", "quick_mae", "loss"])
def test_value_early_stopping_of_what_must_fall(metric, caplog):
    caplog.set_level(logging.INFO, logger="dichoseg")
    history = [{"epoch": epoch, metric: value} for epoch, value in enumerate((0.5, 0.4, 0.4, 0.6), start=1)]
    assert answers(EarlyStopping(2, metric=metric), history) == [False, False, False, True]
    assert f"{metric} has not fallen by more than 0 for 2 epochs: the best was 0.4, in epoch 2" in caplog.text


def test_value_early_stopping_is_not_a_number():
    assert answers(EarlyStopping(2), rows(float("nan"), float("nan"))) == [False, True]


def test_value_early_stopping_of_a_resumed_run():
    history = rows(0.5, 0.7, 0.6, 0.65, 0.6)
    first, second = EarlyStopping(3), EarlyStopping(3)
    assert answers(first, history[:4]) == [False] * 4
    second.load_state_dict(first.state_dict())
    assert second(None, history[4]) is True
    assert EarlyStopping(3)(None, history[4]) is False


def test_value_callbacks_keep_the_state_of_those_that_have_one():
    first, second = (Callbacks([print, EarlyStopping(3)]) for _ in range(2))
    for row in rows(0.5, 0.4):
        assert not first(None, row)
    second.load_state_dict(first.state_dict())
    assert second.functions[1].waited == 1
    third = Callbacks([EarlyStopping(3), print, EarlyStopping(3)])
    third.load_state_dict(first.state_dict())  # of another position
    assert [third.functions[index].waited for index in (0, 2)] == [1, 0]


def test_value_a_state_that_nobody_takes_is_told(caplog):
    Callbacks([print]).load_state_dict({"EarlyStopping 1": {}})
    assert "EarlyStopping 1" in caplog.text


def test_value_a_row_holds_plain_numbers_for_each_callable():
    seen = []
    Callbacks([lambda _, row: row.update(mine=np.float64(0.5)), lambda _, row: seen.append(type(row["mine"]))])(
        None, {}
    )
    assert seen == [float]
    with pytest.raises(TypeError, match="mine='hi'"):
        Callbacks([lambda _, row: row.update(mine="hi")])(None, {})


def test_value_early_stopping_used_for_another_run():
    stopping = EarlyStopping(2)
    assert answers(stopping, rows(0.9, 0.1, 0.1)) == [False, False, True]
    assert answers(stopping, rows(0.2, 0.3, 0.1)) == [False, False, False]


def test_value_early_stopping_in_fit(small_isnet):
    data = SyntheticDataset(2, size=64)
    stopping = EarlyStopping(1, at_least=2.0)  # no score rises by that much, so the second epoch is the last
    assert len(fit(small_isnet, data, val_data=data, epochs=5, batch_size=2, on_epoch=stopping)) == 2


def test_error_early_stopping(small_isnet):
    with pytest.raises(ValueError, match="patience.*0"):
        EarlyStopping(0)
    with pytest.raises(ValueError, match="at_least.*-1"):
        EarlyStopping(1, at_least=-1)
    message = r"finds no 'quick_max_f' in the epoch's row \(it needs val_data.*\); it has epoch, loss, main"
    with pytest.raises(ValueError, match=message):
        fit(small_isnet, SyntheticDataset(2, size=64), epochs=1, batch_size=2, on_epoch=EarlyStopping(1))
