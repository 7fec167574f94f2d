import json

import numpy as np
import pytest
import torch

from dichoseg import FeatureInfo, FolderDataset, Prediction, Sample, Target, create_model
from dichoseg.contracts import Objective, PixelSource, SizeSource, length, unwrapped


def test_value_feature_info_is_two_tuples():
    info = FeatureInfo([8, 16], [2, 4])
    assert info == ((8, 16), (2, 4))
    assert FeatureInfo((8, 8), (4, 4)).strides == (4, 4)


def test_value_feature_info_of_numpy_numbers_goes_into_json():
    info = FeatureInfo(np.array([8, 16]), np.array([2, 4]))
    assert json.loads(json.dumps(info)) == [[8, 16], [2, 4]]


@pytest.mark.parametrize("channels", [(8.5, 16), ("8", "16")])
def test_error_feature_info_of_other_than_whole_numbers(channels):
    with pytest.raises(TypeError, match="channels .*"):
        FeatureInfo(channels, (2, 4))


@pytest.mark.parametrize(
    ("channels", "strides", "message"),
    [
        ((8, 8, 8), (4, 6, 16), r"strides must divide one another, finest first; got \(4, 6, 16\)"),
        ((8,), (2, 4), "one value per feature"),
        ((8, 0), (2, 4), "channels .*0"),
    ],
)
def test_error_feature_info(channels, strides, message):
    with pytest.raises(ValueError, match=message):
        FeatureInfo(channels, strides)


def test_value_defaults_are_empty():
    logits = torch.zeros(1, 1, 2, 2)
    assert Prediction(logits)[1:] == ((), (), (), {})
    assert Target(logits)[1:] == (None, None)
    assert Sample(logits[0], logits[0]).name == ""


class ImageMean(Objective):
    """Looks at everything that a target holds."""

    def terms(self, prediction, target):
        image = 0 if target.image is None else target.image.mean()
        return {"logits": prediction.logits.mean(), "image": torch.as_tensor(image), "mask": target.mask.mean()}


def test_value_objective_takes_a_target_or_a_bare_mask():
    prediction, mask = Prediction(torch.ones(1, 1, 2, 2)), torch.full((1, 1, 2, 2), 0.5)
    assert float(ImageMean()(prediction, mask)) == 1.5
    assert float(ImageMean()(prediction, Target(mask, torch.full((1, 3, 2, 2), 2.0)))) == 3.5
    with pytest.raises(TypeError, match="takes the prediction of a model; got Tensor"):
        ImageMean()(prediction.logits, mask)


def test_error_weights_that_an_objective_does_not_use():
    mask = torch.ones(1, 1, 2, 2)
    assert Target(mask).unweighted_mask(ImageMean()) is mask
    with pytest.raises(ValueError, match=r"ImageMean does not support pixel weights; got Target\(weight=...\)"):
        Target(mask, weight=mask).unweighted_mask(ImageMean())


@pytest.mark.parametrize("source", [PixelSource, SizeSource])
def test_value_sources(source):
    assert isinstance(FolderDataset.__new__(FolderDataset), source)
    assert not isinstance([], source)


def test_value_length():
    assert length([Sample(torch.zeros(3, 2, 2), torch.zeros(1, 2, 2))]) == 1
    with pytest.raises(TypeError, match="needs a length and an index.*got generator"):
        length(None for _ in range(1))
    with pytest.raises(TypeError, match="got DataLoader: give the loader's data set"):
        length(torch.utils.data.DataLoader([1]))


def test_value_unwrapped():
    model = create_model("u2netp")
    assert unwrapped(model) is unwrapped(torch.compile(model, backend="eager")) is model
    with pytest.raises(TypeError, match="wanted a model .*; got DataParallel"):
        unwrapped(torch.nn.DataParallel(model))


def test_value_a_sample_keeps_its_weight_where_parts_are_replaced():
    image, mask = torch.zeros(3, 4, 5), torch.ones(1, 4, 5)
    sample = Sample(image, mask, "a", torch.zeros(1, 4, 5))
    replaced = sample._replace(mask=mask * 0)
    assert (replaced.weight is sample.weight, replaced.image is image, replaced.name) == (True, True, "a")
    assert float(replaced.mask.sum()) == 0
    assert sample._replace(weight=None).weight is None
