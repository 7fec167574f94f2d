import pytest

from dichoseg.losses import BalancedBCELoss, BCELoss, DeepSupervision, StructureLoss
from dichoseg.losses.checks import checked_weight, checked_width


def test_value_what_fits_is_given_back():
    assert checked_weight("weight", 0) == 0
    assert checked_weight("weight", 1.5) == 1.5
    assert checked_width(3.0) == 3
    assert type(checked_width(3.0)) is int


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("negative_weight", lambda weight: BalancedBCELoss(negative_weight=weight)),
        ("border_weight", lambda weight: StructureLoss(border_weight=weight)),
        ("side_weight", lambda weight: DeepSupervision(BCELoss(), side_weight=weight)),
    ],
)
def test_error_weight(name, make):
    for weight in (-0.1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=f"{name} must be a finite number, 0 or more; got {weight}"):
            make(weight)
    with pytest.raises(TypeError, match=f"{name} must be a number; got 'much'"):
        make("much")


@pytest.mark.parametrize("width", [1, 4, 3.5])
def test_error_width(width):
    with pytest.raises(ValueError, match=f"width must be an odd number of pixels, 3 or more; got {width}"):
        checked_width(width)
