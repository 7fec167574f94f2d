import torch

from dichoseg.losses import BCELoss


def test_value_is_torchs():
    logits, mask = torch.randn(2, 1, 5, 7, dtype=torch.float64), torch.rand(2, 1, 5, 7)
    expected = torch.nn.BCEWithLogitsLoss()(logits, mask.double())
    assert BCELoss()(logits, mask) == expected
