import pytest
import torch
from torch import nn

from dichoseg import Predictor, SyntheticDataset, fit
from dichoseg.deformable import ASPP
from dichoseg.runtime.inputs import explained_input

from ..export.conftest import Gray


def shrinking():
    """A model whose convolution needs 8 pixels a side."""
    model = Gray()
    model.conv = nn.Conv2d(3, 1, 8)
    return model


@pytest.mark.parametrize("size", [7, (300, 7)])
def test_error_a_small_input_is_named(size):
    height, width = (size, size) if isinstance(size, int) else size
    with pytest.raises(ValueError, match=rf"{height} by {width} pixels, .*Kernel size: \(8 x 8\)"):
        Predictor(shrinking(), size=size, precision="float32")(torch.zeros(3, 40, 50))


def test_error_a_small_input_in_training():
    model = shrinking()
    model.preprocessing = model.preprocessing.with_size(7)
    with pytest.raises(ValueError, match="7 by 7 pixels"):
        fit(model, SyntheticDataset(2, size=32), epochs=1, batch_size=2)


def test_error_one_image_with_live_batch_norm_of_one_pixel():
    model = Gray()
    model.conv = ASPP(3, 1, mid_channels=2)
    with pytest.raises(ValueError, match="a batch of 1: use a larger batch_size, or freeze_batch_norm"):
        fit(model, SyntheticDataset(2, size=64), epochs=1, batch_size=1)


@pytest.mark.parametrize(
    ("side", "error"),
    [
        (128, RuntimeError("any")),
        (7, RuntimeError("any")),
        (7, torch.OutOfMemoryError("memory")),
        (7, ValueError("any")),
    ],
)
def test_error_other_errors_stay(side, error):
    with pytest.raises(type(error), match=str(error)) as caught, explained_input(torch.zeros(2, 3, side, side)):
        raise error
    assert caught.value is error
