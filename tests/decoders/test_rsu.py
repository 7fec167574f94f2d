import pytest
import torch

from dichoseg import FeatureInfo
from dichoseg.decoders import RSUDecoder
from dichoseg.encoders import RSUEncoder


def test_value_default_widths_are_isnets():
    decoder = RSUDecoder(RSUEncoder().feature_info)
    assert decoder.feature_info.channels == (64, 64, 128, 256, 512, 512)
    assert sum(parameter.numel() for parameter in decoder.parameters()) == 18_319_104


def test_shape_follows_the_skips():
    decoder = RSUDecoder(FeatureInfo((4, 8, 8), (4, 8, 16))).eval()
    sizes = [(16, 24), (8, 12), (5, 7)]
    outputs = decoder(tuple(torch.rand(1, c, *s) for c, s in zip((4, 8, 8), sizes, strict=True)))
    assert [tuple(out.shape[1:]) for out in outputs] == [
        (c, *s) for c, s in zip(decoder.feature_info.channels, sizes, strict=True)
    ]


def test_error_widths():
    with pytest.raises(ValueError, match="features .*2.*1"):
        RSUDecoder(FeatureInfo((8,), (2,)))
    with pytest.raises(ValueError, match="3 features need 2 channels"):
        RSUDecoder(FeatureInfo((8, 8, 8), (2, 4, 8)), channels=(8, 8, 8))
