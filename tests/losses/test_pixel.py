import pytest
import torch

from dichoseg.losses import BCELoss, MAELoss


def test_value_is_torchs():
    logits, mask = torch.randn(2, 1, 5, 7, dtype=torch.float64), torch.rand(2, 1, 5, 7)
    expected = torch.nn.BCEWithLogitsLoss()(logits, mask.double())
    assert BCELoss()(logits, mask) == expected


def test_value_mae_by_hand():
    logits = torch.tensor([0.0, 100.0, -100.0, 100.0]).view(1, 1, 2, 2)
    mask = torch.tensor([1.0, 1.0, 1.0, 0.5]).view(1, 1, 2, 2)
    assert float(MAELoss()(logits, mask)) == pytest.approx((0.5 + 0 + 1 + 0.5) / 4)
