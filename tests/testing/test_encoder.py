import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dichoseg import FeatureInfo
from dichoseg.blocks import ConvNormAct, resize
from dichoseg.contracts import Encoder
from dichoseg.testing import ConformanceError, check_encoder


class Good(Encoder):
    def __init__(self):
        super().__init__()
        self.feature_info = FeatureInfo((4, 8), (2, 4))
        self.first = ConvNormAct(3, 4, stride=2)
        self.second = ConvNormAct(4, 8, stride=2)

    def forward(self, image):
        fine = self.first(image)
        return fine, self.second(fine)


class NoEncoder(nn.Conv2d):
    def __init__(self):
        super().__init__(3, 4, 1)


class NoInfo(Good):
    def __init__(self):
        super().__init__()
        del self.feature_info


class TupleInfo(Good):
    def __init__(self):
        super().__init__()
        self.feature_info = ((4, 8), (2, 4))


class NoPreprocessing(Good):
    def __init__(self):
        super().__init__()
        self.preprocessing = {"mean": (0.5,)}


class GivesList(Good):
    def forward(self, image):
        return list(super().forward(image))


class ListInTrainMode(Good):
    def forward(self, image):
        features = super().forward(image)
        return list(features) if self.training else features


class OneFeature(Good):
    def forward(self, image):
        return super().forward(image)[:1]


class OtherChannels(Good):
    def __init__(self):
        super().__init__()
        self.feature_info = FeatureInfo((4, 16), (2, 4))


class CoarsestFirst(Good):
    def forward(self, image):
        return super().forward(image)[::-1]


class ChannelsLast(Good):
    def forward(self, image):
        return tuple(feature.permute(0, 2, 3, 1) for feature in super().forward(image))


class OtherStrides(Good):
    def __init__(self):
        super().__init__()
        self.feature_info = FeatureInfo((4, 8), (2, 8))


class NotFinite(Good):
    def forward(self, image):
        return tuple(feature.sub(1).log() for feature in super().forward(image))


class OddSizesFail(Good):
    def forward(self, image):
        fine, coarse = super().forward(image)
        torch.cat([fine, F.interpolate(coarse, scale_factor=2)], dim=1)
        return fine, coarse


class UnusedLayer(Good):
    """One of the faults that are looked for in any module."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(8, 10)


class NeedsName(Good):
    def __init__(self, name):
        super().__init__()


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (
            NoEncoder,
            "NoEncoder: wanted an Encoder; got a NoEncoder; derive it from dichoseg.contracts.Encoder",
        ),
        (NoInfo, "NoInfo: wanted a FeatureInfo in feature_info; got a NoneType; set self.feature_info = FeatureInfo"),
        (TupleInfo, "wanted a FeatureInfo in feature_info; got a tuple"),
        (NoPreprocessing, "wanted a Preprocessing.*got a dict; say what input it was made for"),
        (GivesList, r"GivesList, on images of 68 by 100 pixels: wanted a tuple of tensors; got a list; return tuple"),
        (ListInTrainMode, "ListInTrainMode, in train mode: wanted a tuple of tensors; got a list"),
        (OneFeature, r"wanted 2 features, as feature_info.channels \(4, 8\) says; got 1 of shapes"),
        (
            OtherChannels,
            r"with channels \(4, 16\).*got \[\(2, 4, 34, 50\), \(2, 8, 17, 25\)\]; make the two agree",
        ),
        (CoarsestFirst, "they come coarsest first: reverse them"),
        (ChannelsLast, r"channels-last needs feature.permute\(0, 3, 1, 2\)"),
        (OtherStrides, r"wanted about 9 by 13 at stride 8; got 18 by 26.*correct feature_info.strides \(2, 8\)"),
        (NotFinite, "wanted finite numbers; got torch.float32 with [0-9]+ that are not, in result 0"),
        (OddSizesFail, "images of 65 by 97 pixels: forward fails with RuntimeError: Sizes of tensors.*take any size"),
        (UnusedLayer, "UnusedLayer: wanted a gradient for each parameter; got none for head.weight, head.bias"),
        (NeedsName, "NeedsName: building it without arguments fails with TypeError: .*'name'; give each argument"),
    ],
)
def test_error_says_what_to_change(part, message):
    with pytest.raises(ConformanceError, match=message):
        check_encoder(part)


class MultiplesOnly(Good):
    def forward(self, image):
        if image.shape[-2] % 4 or image.shape[-1] % 4:
            raise ValueError(f"sides must be multiples of 4; got {tuple(image.shape[-2:])}")
        return super().forward(image)


class Resizes(Good):
    """To multiples of its coarsest stride."""

    def __init__(self):
        super().__init__()
        self.feature_info = FeatureInfo((4, 8), (2, 32))

    def forward(self, image):
        image = resize(image, tuple(-(-side // 32) * 32 for side in image.shape[-2:]))
        fine = self.first(image)
        return fine, self.second(F.max_pool2d(fine, 8))


class Frozen(Good):
    def __init__(self):
        super().__init__()
        self.requires_grad_(False)


class Mask(Good):
    def __init__(self):
        super().__init__()
        self.first = ConvNormAct(1, 4, stride=2)


@pytest.mark.parametrize("part", [Good, MultiplesOnly, Resizes, Frozen])
def test_value_sound_encoders_pass(part):
    check_encoder(part)


def test_value_options():
    check_encoder(Mask, channels=1, size=(33, 20))
    with pytest.raises(ConformanceError, match="on images of 68 by 100 pixels: forward fails"):
        check_encoder(Mask)


def test_error_finished_encoder():
    with pytest.raises(TypeError, match=r"check_encoder takes a class or function that .*Good, or lambda: Good\(...\)"):
        check_encoder(Good())


def test_value_random_state_stays():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    check_encoder(Good)
    assert torch.equal(torch.get_rng_state(), before)
