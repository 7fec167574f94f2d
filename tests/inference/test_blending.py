import numpy as np
import pytest
import torch
from torch import nn

from dichoseg import Prediction, Predictor, Preprocessing, create_model
from dichoseg.blocks import resize
from dichoseg.contracts import FeatureInfo, Model
from dichoseg.inference.blending import blend_logits, larger_input
from dichoseg.pyramid import expand, laplacian_pyramid


class Bright(Model):
    """Takes bright pixels for foreground, as far as it sees them, and counts its inputs."""

    def __init__(self, **preprocessing):
        super().__init__()
        self.feature_info = FeatureInfo([3], [1])
        self.preprocessing = Preprocessing(**preprocessing)
        self.scale = nn.Parameter(torch.tensor(20.0))

    def forward(self, image):
        return Prediction(self.scale * image.mean(dim=1, keepdim=True))


def disc(side, center):
    places = torch.arange(side) + 0.5
    return ((places[:, None] - center[0]) ** 2 + (places - center[1]) ** 2 < (side / 4) ** 2).float()


def place(probability):
    found = torch.as_tensor(probability)
    means = [(found.sum(1 - axis) * (torch.arange(found.shape[axis]) + 0.5)).sum() / found.sum() for axis in (0, 1)]
    return float(means[0]), float(means[1])


@pytest.mark.parametrize("levels", [1, 3])
def test_value_aligned_stays_in_place(levels):
    wanted = 10 * (disc(512, (255, 239)) - 0.5)[None, None]
    details = [torch.zeros_like(each) for each in laplacian_pyramid(wanted, levels)[:-1]]
    low = resize(wanted, (256, 256))
    found = blend_logits(low, wanted, details)
    assert place((found[0, 0] > 0).float()) == pytest.approx((255, 239), abs=0.1)
    shifted = blend_logits(low, wanted, details, aligned=False)
    shift = (2**levels - 1) / 2  # 3.5 pixels with three levels
    assert place((shifted[0, 0] > 0).float()) == pytest.approx((255 - shift, 239 - shift), abs=0.3)


def test_value_low_decides_far_from_the_border():
    high = 10 * (disc(128, (40, 40)) + disc(128, (110, 110)) - 0.5)[None, None]  # the second object is none
    low = resize(10 * (disc(128, (40, 40)) - 0.5)[None, None], (64, 64))
    found = blend_logits(low, high)[0, 0]
    assert found[120, 120] < -3
    torch.testing.assert_close(found[30:50, 30:50], torch.full((20, 20), 5.0), rtol=0, atol=0.3)


@pytest.mark.parametrize(
    ("size", "photograph", "wanted"),
    [(384, (2000, 3000), (1280, 1920)), (1024, (3000, 4000), (2048, 2720)), (1024, (1600, 1700), (1600, 1696))],
)
def test_value_larger_size(size, photograph, wanted):
    found = larger_input(Preprocessing(size=size, resize_policy="letterbox"), *photograph)
    assert found.height_width == wanted
    assert found.resize_policy == "stretch"


@pytest.mark.parametrize("policy", [{}, {"resize_policy": "letterbox", "padding": "both"}])
@pytest.mark.parametrize("flips", [False, True])
def test_value_predictor_is_sharper_and_in_place(policy, flips):
    model = Bright(size=64, **policy)
    mask = disc(256, (100, 140))
    photograph = mask.expand(3, -1, -1).clone()
    errors = {}
    for detail in (None, "blend"):
        found = Predictor(model, precision="float32", detail=detail, flips=flips)(photograph)
        assert found.shape == (256, 256)
        errors[detail] = np.abs(found - mask.numpy()).mean()
        assert place(found) == pytest.approx((100, 140), abs=0.3)
    assert errors["blend"] < 0.5 * errors[None]


@pytest.mark.parametrize("padding", ["both", "end"])
def test_value_a_letterbox_of_a_photograph_that_is_no_square(padding):
    model = Bright(size=64, resize_policy="letterbox", padding=padding)
    mask = torch.zeros(203, 357)
    mask[20:150, 30:300] = 1
    found = Predictor(model, precision="float32", detail="blend")(mask.expand(3, -1, -1).clone())
    assert place(found) == pytest.approx(place(mask), abs=0.3)
    assert np.abs(found - mask.numpy()).mean() < 0.01


def test_value_pyramid_network():
    model = create_model(
        "isnet", heads="pyramid", encoder_args={"channels": [8] * 6, "mid_channels": [4] * 6}, size=128
    )
    found = Predictor(model, precision="float32", detail="blend")(torch.rand(3, 230, 300))
    assert found.shape == (230, 300)
    assert np.isfinite(found).all()


def test_value_small_photographs_are_predicted_as_before():
    model, photograph = Bright(size=64), torch.rand(3, 65, 97).round()
    photograph = photograph[..., :90]
    plain = Predictor(model, precision="float32")(photograph)
    for detail in ("blend", "views", "borders"):
        assert np.array_equal(Predictor(model, precision="float32", detail=detail)(photograph), plain)


def test_value_sharpen_is_an_alias():
    model, photograph = Bright(size=64), disc(256, (100, 140)).expand(3, -1, -1).clone()
    made = [
        Predictor(model, precision="float32", **{key: value})
        for key, value in (("sharpen", True), ("detail", "borders"))
    ]
    assert np.array_equal(*(each(photograph) for each in made))


def test_error_options():
    with pytest.raises(ValueError, match="'sharp'"):
        Predictor(Bright(size=64), detail="sharp")
    with pytest.raises(ValueError, match="'blend'"):
        Predictor(Bright(size=64), detail="blend", sharpen=True)
    with pytest.raises(ValueError, match="size=None"):
        Predictor(Bright(size=None), detail="blend")


def test_value_expanded_low_keeps_its_level():
    low = torch.full((1, 1, 16, 16), -8.0)
    assert torch.allclose(blend_logits(low, torch.zeros(1, 1, 32, 32)), expand(low), atol=1)
