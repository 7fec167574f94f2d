import torch

from dichoseg import FeatureInfo, RefinedHeads, SideHeads
from dichoseg.decoders import DeconvEnlarger

INFO = FeatureInfo((4, 8, 8), (2, 4, 8))


def test_shape_and_value_of_refined_heads():
    enlarger = DeconvEnlarger(INFO)
    heads = RefinedHeads(enlarger, SideHeads(enlarger.feature_info)).eval()
    features = (torch.rand(2, 4, 33, 49), torch.rand(2, 8, 17, 25), torch.rand(2, 8, 9, 13))
    prediction = heads(features, (65, 97))
    assert prediction.logits.shape == (2, 1, 65, 97)
    assert prediction.features is features, "intermediate supervision sees the raw features"
    assert torch.equal(heads.logits(features, (65, 97)), prediction.logits)
    assert torch.equal(prediction.logits, heads.heads(enlarger(features), (65, 97)).logits)
