import torch

from dichoseg import FeatureInfo
from dichoseg.decoders import EdgeGuidedDecoder
from dichoseg.heads import EdgeGuidedHeads

EGNET_LIKE = FeatureInfo((4, 8, 16, 16, 16), (2, 4, 8, 16, 16))


def inputs(info, size=(65, 97), batch=2):
    return tuple(torch.rand(batch, c, *(-(-side // s) for side in size)) for c, s in zip(*info, strict=True))


def test_value_logits_skip_what_only_training_needs():
    decoder = EdgeGuidedDecoder(EGNET_LIKE, channels=(6, 6, 8, 8, 10))
    heads = EdgeGuidedHeads(decoder.feature_info)
    calls = []
    for module in (heads.edge_score, *heads.scores, *heads.guided_scores):
        module.register_forward_hook(lambda *_: calls.append(1))
    features = decoder(inputs(EGNET_LIKE))
    answer = heads.logits(features, (65, 97))
    assert calls == []
    prediction = heads(features, (65, 97))
    assert len(calls) == 9
    assert torch.equal(answer, prediction.logits)
