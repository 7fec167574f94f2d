import pytest
import torch

from dichoseg import FeatureInfo
from dichoseg.decoders import PyramidDecoder
from dichoseg.testing.common import draw_features


@pytest.mark.parametrize(
    ("strides", "skips"),
    [
        ((4, 4, 8, 16, 32), [1, 0, None]),  # as published
        ((2, 4, 8, 16, 32, 64), [2, 1, 0, None]),
        ((4, 8, 16, 32), [0, None, None]),
        ((1, 8, 16, 32), [None, None, 0]),
        ((1, 2, 4, 8), [0]),
        ((4, 16), [None, None]),
        ((4, 4, 4, 4, 4, 8, 16, 32), [4, 3, 2]),  # the others are not used
    ],
)
def test_shape_skips(strides, skips):
    info = FeatureInfo([6] * len(strides), strides)
    decoder = PyramidDecoder(info, width=8, base_size=64).eval()
    assert decoder.skips == skips
    features = draw_features(info, (65, 97))
    with torch.no_grad():
        maps = decoder(features)
    assert decoder.feature_info.channels == (1,) * len(maps)
    assert decoder.feature_info.strides[0] == 1
    assert len(decoder.contexts) == len([skip for skip in skips if skip is not None]) + min(3, len(strides))


def test_gradient_stops_between_maps():
    info = FeatureInfo((6, 6, 6, 6), (4, 8, 16, 32))
    decoder = PyramidDecoder(info, width=8, base_size=64)
    *_, finest = reversed(decoder(draw_features(info, (64, 64))))
    finest.square().sum().backward()
    assert decoder.coarsest.weight.grad is None
    assert decoder.contexts["0"].point.conv.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("options", [{"base_size": 4}, {"base_size": (384, 4)}])
def test_error_base_size(options):
    with pytest.raises(ValueError, match=r"got 8 .*4\)"):
        PyramidDecoder(FeatureInfo((6, 6, 6), (8, 16, 32)), **options)


def test_error_stride():
    with pytest.raises(ValueError, match=r"got 12 "):
        PyramidDecoder(FeatureInfo((6, 6), (12, 24)))
