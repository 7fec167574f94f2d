import math

import pytest
import torch

from dichoseg import Prediction, Target
from dichoseg.objectives import GradientSupervision
from dichoseg.objectives.gradient import image_gradients


def prediction_of(gradient, side):
    return Prediction(side, (side,), extras={"gradient_logits": (gradient,)})


def test_value_image_gradients_by_hand():
    image = torch.zeros(1, 3, 9, 9)
    image[:, :, 4, 4] = torch.tensor([0.0, 3.0, 6.0])  # 3 in gray
    gradients = image_gradients(image)[0, 0]
    assert gradients[4, 4] == -1.5
    assert gradients[2, 6] == pytest.approx(3 / 48)
    assert gradients[1, 4] == 0
    assert image_gradients(torch.ones(1, 3, 5, 5)).abs().max() < 1e-6  # reflected at the border


def test_value_by_hand():
    image = torch.zeros(1, 3, 9, 9)
    image[:, :, 4, 4] = 2
    side, gradient = torch.full((1, 1, 9, 9), 3.0), torch.zeros(1, 1, 9, 9)
    terms = GradientSupervision().terms(prediction_of(gradient, side), Target(torch.zeros(1, 1, 9, 9), image))
    assert list(terms) == ["gradient_1"]
    assert float(terms["gradient_1"]) == pytest.approx(math.log(2), rel=1e-6)  # whatever the target is


def test_gradient_reaches_prediction_and_side_logits():
    torch.manual_seed(0)
    gradient, side = (torch.randn(2, 1, 5, 7, requires_grad=True) for _ in range(2))
    target = Target(torch.zeros(2, 1, 17, 25), torch.randn(2, 3, 17, 25))
    GradientSupervision()(prediction_of(gradient, side), target).backward()
    assert gradient.grad.any()
    assert side.grad.any()


def test_error_without_image_or_gradients(small_isnet):
    side = torch.zeros(1, 1, 5, 7)
    with pytest.raises(ValueError, match="image"):
        GradientSupervision()(prediction_of(side, side), torch.zeros(1, 1, 5, 7))
    with pytest.raises(ValueError, match="gradient_logits"):
        GradientSupervision()(Prediction(side), torch.zeros(1, 1, 5, 7))
    with pytest.raises(ValueError, match="gradient_logits"):
        GradientSupervision().check(small_isnet)
