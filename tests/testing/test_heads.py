import pytest
from torch import nn

from dichoseg import FeatureInfo, Prediction, SideHeads
from dichoseg.blocks import resize
from dichoseg.contracts import Heads
from dichoseg.testing import ConformanceError, check_heads

TWO = [FeatureInfo((4, 8), (2, 4))]


class Good(Heads):
    def __init__(self, feature_info):
        super().__init__()
        self.maps = nn.ModuleList(nn.Conv2d(channels, 1, 1) for channels in feature_info.channels)

    def forward(self, features, size):
        final, *sides = (head(feature) for head, feature in zip(self.maps, features, strict=True))
        return Prediction(resize(final, size), tuple(sides), features=features)

    def logits(self, features, size):
        return resize(self.maps[0](features[0]), size)


class Small(Good):
    """Leaves the final logits at the feature's size."""

    def forward(self, features, size):
        return super().forward(features, size)._replace(logits=self.maps[0](features[0]))


class Twice(Good):
    def forward(self, features, size):
        prediction = super().forward(features, size)
        return prediction._replace(side_logits=(prediction.logits,))


class DropsFeatures(Good):
    def forward(self, features, size):
        return super().forward(features, size)._replace(features=features[:1])


class OtherLogits(Good):
    def logits(self, features, size):
        return -super().logits(features, size)


class Unused(Good):
    def __init__(self, feature_info):
        super().__init__(feature_info)
        self.spare = nn.Conv2d(1, 1, 1)


class ListOfExtras(Good):
    def forward(self, features, size):
        return super().forward(features, size)._replace(extras=[])


class PlainModule(nn.Module):
    def __init__(self, feature_info):
        super().__init__()


class TakesNothing(Good):
    def __init__(self):
        super().__init__(TWO[0])


@pytest.mark.parametrize("heads", [Good, SideHeads])
def test_value_good_heads_pass(heads):
    check_heads(heads)


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        (Small, "logits at the image's size"),
        (Twice, "repeated in side_logits"),
        (OtherLogits, r"heads.logits\(features, size\) to give the logits of the prediction"),
        (DropsFeatures, r"wanted the features that came in, in features; got features of shapes \[\(2, 4, 33, 49\)\]"),
        (Unused, "a gradient for each parameter; got none for spare"),
        (ListOfExtras, "a dict in extras; got a list"),
        (PlainModule, "wanted a Heads"),
        (TakesNothing, "TakesNothing: building it from FeatureInfo"),
    ],
)
def test_error_says_what_to_change(heads, message):
    with pytest.raises(ConformanceError, match=message):
        check_heads(heads, feature_infos=TWO)


def test_error_finished_heads():
    with pytest.raises(TypeError, match="check_heads takes a class or function that builds the heads"):
        check_heads(Good(TWO[0]))
