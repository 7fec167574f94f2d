import pytest
import torch

from dichoseg import FeatureInfo, FusedHeads, SideHeads

INFO = FeatureInfo((4, 8, 8), (2, 4, 8))


def features():
    return (torch.rand(2, 4, 33, 49), torch.rand(2, 8, 17, 25), torch.rand(2, 8, 9, 13))


@pytest.mark.parametrize(
    "heads",
    [
        SideHeads(INFO),
        FusedHeads(INFO),
    ],
)
def test_shape_heads(heads):
    heads.eval()
    inputs = features()
    prediction = heads(inputs, (65, 97))
    assert prediction.logits.shape == (2, 1, 65, 97)
    assert prediction.features is inputs
    assert len(prediction.side_logits) == (3 if isinstance(heads, FusedHeads) else 2)
    assert torch.equal(heads.logits(inputs, (65, 97)), prediction.logits)
