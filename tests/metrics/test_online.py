import numpy as np
import pytest
import torch

from dichoseg.metrics import Evaluator, OnlineMetrics


def test_value_agrees_with_the_exact_metrics():
    torch.manual_seed(0)
    logits, mask = torch.randn(5, 1, 65, 97), (torch.rand(5, 1, 65, 97) > 0.7).float()
    mask[4] = 0
    online, exact = OnlineMetrics(), Evaluator(normalize=False)
    online.update(logits[:2], mask[:2])
    online.update(logits[2:], mask[2:])
    for one, truth in zip(logits.sigmoid(), mask, strict=True):
        exact.update(one[0].numpy().astype(np.float32), truth[0].numpy() > 0.5)
    scores = online.compute()
    assert scores["quick_mae"] == pytest.approx(exact.compute()["mae"], abs=1e-6)
    assert scores["quick_max_f"] == pytest.approx(exact.compute()["max_f"], abs=1e-4)


@pytest.mark.parametrize(("value", "expected"), [(0.0, 0.0), (1.0, 1.0)])
def test_value_degenerate_masks(value, expected):
    metrics = OnlineMetrics()
    metrics.update(torch.full((1, 1, 4, 4), 100 * (value - 0.5)).bfloat16(), torch.full((1, 1, 4, 4), value))
    assert metrics.compute() == pytest.approx({"quick_mae": 0.0, "quick_max_f": expected}, abs=1e-6)


def test_error_nothing_to_average():
    with pytest.raises(ValueError, match="nothing to average"):
        OnlineMetrics().compute()
