import json

import numpy as np
import pytest
import torch

from dichoseg import FeatureInfo, Prediction, Sample, create_model
from dichoseg.contracts import length, unwrapped


def test_value_feature_info_is_two_tuples():
    info = FeatureInfo([8, 16], [2, 4])
    assert info == ((8, 16), (2, 4))
    assert FeatureInfo((8, 8), (4, 4)).strides == (4, 4)


def test_value_feature_info_of_numpy_numbers_goes_into_json():
    info = FeatureInfo(np.array([8, 16]), np.array([2, 4]))
    assert json.loads(json.dumps(info)) == [[8, 16], [2, 4]]


@pytest.mark.parametrize("channels", [(8.5, 16), ("8", "16"), 8])
def test_error_feature_info_of_other_than_whole_numbers(channels):
    with pytest.raises(TypeError, match=r"channels must be whole numbers, one per feature; got "):
        FeatureInfo(channels, (2, 4))


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


def test_value_length():
    assert length([Sample(torch.zeros(3, 2, 2), torch.zeros(1, 2, 2))]) == 1
    with pytest.raises(TypeError, match="needs a length and an index.*got generator"):
        length(None for _ in range(1))


def test_value_unwrapped():
    model = create_model("u2netp")
    assert unwrapped(model) is unwrapped(torch.compile(model, backend="eager")) is model
    with pytest.raises(TypeError, match="wanted a model .*; got DataParallel"):
        unwrapped(torch.nn.DataParallel(model))
