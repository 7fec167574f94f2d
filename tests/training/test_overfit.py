import logging
from contextlib import nullcontext

import pytest
import torch

from dichoseg import Optimization, SyntheticDataset
from dichoseg.training import overfit

DATA = SyntheticDataset(6, size=64)


class Watched:
    def __init__(self):
        self.seen = set()

    def __len__(self):
        return len(DATA)

    def __getitem__(self, index):
        self.seen.add(index)
        return DATA[index]


def test_value_it_sees_few_batches_and_learns_them(small_isnet, caplog):
    caplog.set_level(logging.INFO)
    data = Watched()
    fast = Optimization(learning_rate=1e-2)
    history = overfit(small_isnet, data, batches=1, batch_size=2, epochs=40, optimization=fast, seed=1)
    assert data.seen == {0, 1}
    assert history[-1]["loss"] < 0.5 * history[0]["loss"]
    assert f"the model can learn a few batches: loss {history[0]['loss']:.4g}" in caplog.text


def test_value_what_does_not_learn_is_a_warning(small_isnet, caplog):
    slow = Optimization(optimizer=torch.optim.SGD, learning_rate=0.0)
    overfit(small_isnet, DATA, batches=1, batch_size=2, epochs=2, optimization=slow)
    assert caplog.records[-1].levelno == logging.WARNING
    assert "has not learned" in caplog.text


def test_value_an_interrupted_check_gives_no_verdict(small_isnet, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("dichoseg.training.session.stoppable", lambda enabled: nullcontext(lambda: True))
    history = overfit(small_isnet, DATA, batches=2, batch_size=2, epochs=2, out=tmp_path / "run")
    assert history.interrupted
    assert "learn" not in caplog.text


def test_error_nothing_to_overfit(small_isnet):
    with pytest.raises(ValueError, match="batches.*0"):
        overfit(small_isnet, DATA, batches=0)
    black = [(image, mask * 0) for image, mask, _ in (DATA[index] for index in range(4))]
    with pytest.raises(ValueError, match="holds 2 masks and all of them are empty"):
        overfit(small_isnet, black, batches=1, batch_size=2)
