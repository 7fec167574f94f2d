import pytest
import torch
from torch import nn

from dichoseg import FeatureInfo, SideHeads
from dichoseg.blocks import ConvNormAct, resize, spatial_size
from dichoseg.contracts import Decoder
from dichoseg.testing import ConformanceError, check_decoder

TWO = [FeatureInfo((4, 8), (2, 4))]


class Good(Decoder):
    """Lateral convolutions, summed from the coarsest up."""

    def __init__(self, feature_info):
        super().__init__()
        self.feature_info = FeatureInfo([4] * len(feature_info.channels), feature_info.strides)
        self.lateral = nn.ModuleList(ConvNormAct(channels, 4, kernel_size=1) for channels in feature_info.channels)

    def forward(self, features):
        skips = [lateral(feature) for lateral, feature in zip(self.lateral, features, strict=True)]
        decoded = [skips[-1]]
        for skip in skips[-2::-1]:
            decoded.append(self.join(decoded[-1], skip))
        return tuple(reversed(decoded))

    def join(self, coarse, skip):
        return skip + resize(coarse, spatial_size(skip))


class Doubling(Good):
    """Enlarges by two, whatever the size of the skip."""

    def __init__(self, feature_info):
        super().__init__(feature_info)
        self.enlarge = nn.ConvTranspose2d(4, 4, 2, stride=2)


class NeverResizes(Doubling):
    def join(self, coarse, skip):
        return skip + self.enlarge(coarse)


class ComparesSizes(Doubling):
    def join(self, coarse, skip):
        coarse = self.enlarge(coarse)
        if coarse.shape[-2:] != skip.shape[-2:]:
            coarse = resize(coarse, spatial_size(skip))
        return skip + coarse


class FixedSize(Good):
    """Its coarsest result has a size of its own; frozen in a trace, and right in value."""

    def join(self, coarse, skip):
        return skip + resize(resize(coarse, (int(skip.shape[-2]), int(skip.shape[-1]))), spatial_size(skip))


class IgnoresSkips(Doubling):
    def join(self, coarse, skip):
        return self.enlarge(coarse) * skip.mean()


class NoDecoder(nn.Identity):
    pass


class OtherChannels(Good):
    def __init__(self, feature_info):
        super().__init__(feature_info)
        self.feature_info = feature_info


class TwoOnly(Good):
    def __init__(self, feature_info):
        if len(feature_info.channels) != 2:
            raise ValueError(f"TwoOnly needs two features; got {len(feature_info.channels)}")
        super().__init__(feature_info)


class ChangesSkips(Good):
    def forward(self, features):
        return super().forward(tuple(feature.relu_() for feature in features))


class IgnoresCoarsest(Good):
    def join(self, coarse, skip):
        return skip + 0 * resize(coarse, spatial_size(skip))

    def forward(self, features):
        return super().forward((*features[:-1], features[-1].detach()))


class MixesTypes(Good):
    def forward(self, features):
        torch.lerp(features[0][:, 0].mean(), features[1][:, 0].mean(), 0.5)
        return super().forward(features)


class ToStrideOne(Good):
    """One feature at the image's own size, which is no skip's."""

    def __init__(self, feature_info):
        super().__init__(feature_info)
        self.finest = feature_info.strides[0]
        self.feature_info = FeatureInfo((4,), (1,))

    def forward(self, features):
        fine = super().forward(features)[0]
        return (resize(fine, (fine.shape[-2] * self.finest, fine.shape[-1] * self.finest)),)


class WrongStride(Good):
    def __init__(self, feature_info):
        super().__init__(feature_info)
        self.feature_info = FeatureInfo((4,), (1,))

    def forward(self, features):
        return super().forward(features)[:1]


class OtherAnswer(SideHeads):
    def logits(self, features, size):
        return super().logits(features, size) + 1


class Repeating(SideHeads):
    def forward(self, features, size):
        prediction = super().forward(features, size)
        return prediction._replace(side_logits=(prediction.logits, *prediction.side_logits))


class Small(SideHeads):
    def forward(self, features, size):
        return super().forward(features, (size[0] // 2, size[1] // 2))


class ForThree(SideHeads):
    def __init__(self, feature_info):
        super().__init__(FeatureInfo(feature_info.channels[:3], feature_info.strides[:3]))


def with_heads(heads):
    return type(f"With{heads.__name__}", (Good,), {"default_heads": heads, "__module__": __name__})


WithOtherAnswer, WithRepeating, WithSmall, WithForThree = map(with_heads, (OtherAnswer, Repeating, Small, ForThree))


@pytest.mark.parametrize("part", [Good, ToStrideOne])
def test_value_sound_decoders_pass(part):
    check_decoder(part)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (
            NoDecoder,
            "NoDecoder for strides .*wanted a Decoder; .*derive it from dichoseg.contracts.Decoder",
        ),
        (TwoOnly, r"building it from FeatureInfo\(channels=\(4, 4, .*ValueError: TwoOnly.*feature_infos="),
        (OtherChannels, "make the two agree"),
        (NeverResizes, r"forward on features of 33x49, 17x25.*RuntimeError.*if sizes do not fit, always resize"),
        (ChangesSkips, "wanted inputs that are not changed"),
        (IgnoresCoarsest, "wanted a gradient for the coarsest feature; got none; use it, or the encoder's last stage"),
        (MixesTypes, "bfloat16 autocast, with features of two dtypes, fails with .*one dtype"),
        (WrongStride, "wanted about 65 by 97 for feature 0 of stride 1; got 33x49 from features of 33x49, 17x25"),
        (FixedSize, "never compare sizes or turn them into numbers, which is frozen in an exported file"),
        (WithOtherAnswer, r"OtherAnswer: wanted heads.logits\(features, size\) to give the logits of the prediction"),
        (WithRepeating, r"Repeating: wanted final logits that are not repeated in side_logits; got side_logits\[0\]"),
        (
            WithSmall,
            r"Small: wanted logits at the image's size, \(2, 1, 65, 97\); got a tensor of shape \(2, 1, 32, 48\)",
        ),
        (WithForThree, "making a prediction by its heads fails with ValueError.*default_heads builds heads from"),
    ],
)
def test_error_says_what_to_change(part, message):
    with pytest.raises(ConformanceError, match=message):
        check_decoder(part)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (IgnoresSkips, "wanted 33x49, its skip's size for feature 0 of stride 2; got 34x50 from features of 33x49"),
        (ComparesSizes, "running its trace on another size fails with .*never compare sizes"),
    ],
)
def test_error_sizes(part, message):
    with pytest.raises(ConformanceError, match=message):
        check_decoder(part, feature_infos=TWO)


def test_value_options():
    check_decoder(TwoOnly, feature_infos=TWO, size=(40, 24))
    check_decoder(lambda info: Good(info), feature_infos=TWO)


def test_error_finished_decoder():
    with pytest.raises(TypeError, match="check_decoder takes a class or function that builds the decoder"):
        check_decoder(Good(*TWO))
