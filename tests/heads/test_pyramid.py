import pytest
import torch

from dichoseg import FeatureInfo, create_model
from dichoseg.heads import PyramidHeads
from dichoseg.pyramid import expand


def test_value_logits_are_rebuilt():
    heads = PyramidHeads(FeatureInfo((1, 1, 1), (2, 4, 4)))
    features = (torch.randn(1, 1, 16, 24), torch.randn(1, 1, 8, 12), torch.randn(1, 1, 8, 12))
    prediction = heads(features, (32, 48))
    torch.testing.assert_close(prediction.side_logits[1], features[2])
    torch.testing.assert_close(prediction.side_logits[0], features[2] + features[1])
    finest = heads(features, (16, 24)).logits
    torch.testing.assert_close(finest, expand(features[2] + features[1]) + features[0])
    assert all(map(torch.equal, prediction.extras["details"], features[:2]))


def test_gradient_stops_between_levels():
    features = tuple(torch.randn(1, 1, side, side, requires_grad=True) for side in (16, 8))
    PyramidHeads(FeatureInfo((1, 1), (1, 2)))(features, (16, 16)).logits.sum().backward()
    assert features[1].grad is None
    assert features[0].grad.abs().sum() > 0


def test_shape_on_any_decoder():
    model = create_model("isnet", heads="pyramid", encoder_args={"channels": [8] * 6, "mid_channels": [4] * 6})
    prediction = model(torch.randn(2, 3, 65, 97))
    assert prediction.logits.shape == (2, 1, 65, 97)
    assert len(prediction.side_logits) == 5


def test_error_strides():
    with pytest.raises(ValueError, match=r"\(2, 6\)"):
        PyramidHeads(FeatureInfo((4, 4), (2, 6)))
