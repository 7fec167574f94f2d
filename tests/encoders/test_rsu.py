import pytest
import torch

from dichoseg.encoders import RSUEncoder


@pytest.mark.parametrize("size", [(33, 33), (65, 97)])
@pytest.mark.parametrize("strides", [(2, 4, 8), (1, 2, 4), (4, 4, 8)])
def test_shape_features(size, strides):
    encoder = RSUEncoder(channels=(4, 6, 8), mid_channels=(2, 2, 2), strides=strides, stem_channels=4).eval()
    for feature, channels, stride in zip(encoder(torch.rand(2, 3, *size)), *encoder.feature_info, strict=True):
        assert feature.shape == (2, channels, *(-(-side // stride) for side in size))


def test_error_lengths():
    with pytest.raises(ValueError, match="mid_channels needs one value per stage"):
        RSUEncoder(mid_channels=(1, 2))
    with pytest.raises(ValueError, match="strides must divide"):
        RSUEncoder(strides=(2, 4, 8, 16, 32, 48))
