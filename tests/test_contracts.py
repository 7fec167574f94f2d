import pytest
import torch

from dichoseg import FeatureInfo, Prediction, Sample


def test_value_feature_info_is_two_tuples():
    info = FeatureInfo([8, 16], [2, 4])
    assert info == ((8, 16), (2, 4))
    assert FeatureInfo((8, 8), (4, 4)).strides == (4, 4)


@pytest.mark.parametrize(
    ("channels", "strides", "message"),
    [
        ((8, 8, 8), (4, 6, 16), r"strides must divide one another, finest first; got \(4, 6, 16\)"),
        ((8,), (2, 4), "one value per feature"),
        ((8, 0), (2, 4), "must be positive"),
    ],
)
def test_error_feature_info(channels, strides, message):
    with pytest.raises(ValueError, match=message):
        FeatureInfo(channels, strides)


def test_value_defaults_are_empty():
    logits = torch.zeros(1, 1, 2, 2)
    assert Prediction(logits)[1:] == ((), (), ())
    assert Sample(logits[0], logits[0]).name == ""
