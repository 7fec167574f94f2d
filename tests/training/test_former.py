from functools import partial

import pytest
import torch

from dichoseg import Optimization, SyntheticDataset, fit

DATA = SyntheticDataset(4, size=64)


def weights(model, **options):
    fit(model, DATA, batch_size=2, epochs=1, **options)
    return torch.cat([value.flatten().float() for value in model.state_dict().values()])


@pytest.mark.parametrize(
    ("former", "options"),
    [
        ({"accumulate": 2, "precision": "float32"}, {"accumulate": 2, "precision": "float32"}),
        ({"optimizer": partial(torch.optim.SGD, lr=0.1)}, {"optimizer": torch.optim.SGD, "learning_rate": 0.1}),
        ({"optimizer": None, "ema": 0.5, "clip_norm": None}, {"ema": 0.5, "clip_norm": None}),
    ],
)
def test_value_former_arguments_warn_and_work(make_isnet, former, options):
    with pytest.warns(
        DeprecationWarning, match=r"fit\(\w+=\) is fit\(optimization=.* since 0.2, and goes in 0.4"
    ) as caught:
        before = weights(make_isnet(), **former)
    assert caught[0].filename == __file__
    assert torch.equal(before, weights(make_isnet(), optimization=Optimization(**options)))


def test_value_former_overfit_batches(make_isnet):
    with pytest.warns(DeprecationWarning, match=r"overfit_batches=\) is overfit\("):
        rows = fit(make_isnet(), DATA, overfit_batches=1, batch_size=2, epochs=1, augmentation=None)
    assert "quick_max_f" in rows[0]


def test_value_former_on_epoch(make_isnet):
    fit(make_isnet(), DATA, batch_size=2, epochs=1, on_epoch=None)
