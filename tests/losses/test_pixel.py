import math

import pytest
import torch

from dichoseg.losses import BCELoss, BorderBCELoss, MAELoss, PixelIoULoss


def test_value_is_torchs():
    logits, mask = torch.randn(2, 1, 5, 7, dtype=torch.float64), torch.rand(2, 1, 5, 7)
    expected = torch.nn.BCEWithLogitsLoss()(logits, mask.double())
    assert BCELoss()(logits, mask) == expected


def test_value_mae_by_hand():
    logits = torch.tensor([0.0, 100.0, -100.0, 100.0]).view(1, 1, 2, 2)
    mask = torch.tensor([1.0, 1.0, 1.0, 0.5]).view(1, 1, 2, 2)
    assert float(MAELoss()(logits, mask)) == pytest.approx((0.5 + 0 + 1 + 0.5) / 4)


def test_value_border_bce_weighs_borders():
    logits, mask = torch.zeros(1, 1, 65, 97), torch.zeros(1, 1, 65, 97)
    assert float(BorderBCELoss()(logits, mask)) == pytest.approx(math.log(2))
    mask[..., 32, 48] = 1
    at_pixel, beside = 1 + 5 * (1 - 1 / 961), 1 + 5 / 961
    wanted = (at_pixel + 960 * beside + 65 * 97 - 961) / (65 * 97) * math.log(2)
    assert float(BorderBCELoss()(logits, mask)) == pytest.approx(wanted, rel=1e-5)


def test_value_pixel_iou():
    mask = torch.tensor([1.0, 0.0]).view(1, 1, 1, 2)
    assert float(PixelIoULoss()(100 * (2 * mask - 1), mask)) == 0
    assert float(PixelIoULoss()(-100 * (2 * mask - 1), mask)) == pytest.approx(0.5)
