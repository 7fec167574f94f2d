import pytest
import torch
from torch import nn

from dichoseg import FeatureInfo
from dichoseg.decoders import DeconvDecoder, DeconvEnlarger, RSUDecoder

INFO = FeatureInfo((4, 8, 8, 8), (2, 4, 4, 16))


def test_value_steps_follow_the_ratio():
    enlarger = DeconvEnlarger(INFO, channels=6)
    counts = [sum(isinstance(m, nn.ConvTranspose2d) for m in part.modules()) for part in enlarger.enlarge]
    assert counts == [0, 2]
    assert enlarger.feature_info == ((4, 8, 6, 6), (2, 4, 4, 4))


@pytest.mark.parametrize("size", [(64, 64), (65, 97)])
def test_shape_second_features_size(size):
    decoder = DeconvDecoder(INFO, channels=6, decoder=RSUDecoder(INFO)).eval()
    inputs = tuple(torch.rand(1, c, *(-(-side // s) for side in size)) for c, s in zip(*INFO, strict=True))
    for feature, channels, stride in zip(decoder(inputs), *decoder.feature_info, strict=True):
        assert feature.shape == (1, channels, *(-(-side // stride) for side in size))


def test_error_ratio():
    with pytest.raises(ValueError, match="powers of two"):
        DeconvEnlarger(FeatureInfo((4, 4, 4), (2, 4, 12)))
