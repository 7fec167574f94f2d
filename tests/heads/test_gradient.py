import torch

from dichoseg import FeatureInfo
from dichoseg.blocks import resize
from dichoseg.heads import GradientHeads

INFO = FeatureInfo((6, 4, 3, 8, 3), (1, 4, 4, 8, 8))


def test_value_each_feature_has_its_map():
    heads = GradientHeads(INFO).eval()
    sizes = ((65, 97), (17, 25), (17, 25), (9, 13), (9, 13))
    features = tuple(torch.rand(2, channels, *size) for channels, size in zip(INFO.channels, sizes, strict=True))
    prediction = heads(features, (65, 97))
    assert torch.equal(prediction.logits, heads.final(features[0]))
    assert torch.equal(prediction.side_logits[1], heads.sides[1](features[3]))
    assert torch.equal(prediction.extras["gradient_logits"][1], heads.gradients[1](features[4]))
    assert [tuple(side.shape[-2:]) for side in prediction.side_logits] == [(17, 25), (9, 13)]
    small = heads.logits((features[0][..., ::2, ::2],), (65, 97))
    assert torch.equal(small, resize(heads.final(features[0][..., ::2, ::2]), (65, 97), align_corners=True))
