import functools

import pytest
import torch
from torch import nn

from dichoseg import Prediction, Preprocessing, Segmenter, create_model
from dichoseg.blocks import ConvNormAct, resize, spatial_size
from dichoseg.contracts import FeatureInfo, Model
from dichoseg.decoders import RSUDecoder
from dichoseg.encoders import RSUEncoder
from dichoseg.testing import ConformanceError, check_model


class Good(Model):
    def __init__(self):
        super().__init__()
        self.feature_info = FeatureInfo((4, 8), (2, 4))
        self.preprocessing = Preprocessing(size=64)
        self.first = ConvNormAct(3, 4, stride=2)
        self.second = ConvNormAct(4, 8, stride=2)
        self.side = nn.Conv2d(4, 1, 1)
        self.answer = nn.Conv2d(8, 1, 1)

    def forward(self, image):
        fine = self.first(image)
        coarse = self.second(fine)
        logits = resize(self.answer(coarse), spatial_size(image))
        return Prediction(logits, (self.side(fine),), features=(fine, coarse))


class NoModel(nn.Conv2d):
    def __init__(self):
        super().__init__(3, 1, 1)


class NoPreprocessing(Good):
    def __init__(self):
        super().__init__()
        del self.preprocessing


class NoInfo(Good):
    def __init__(self):
        super().__init__()
        del self.feature_info


class Lists(Good):
    """As IS-Net's published code."""

    def forward(self, image):
        prediction = super().forward(image)
        return [prediction.logits, *prediction.side_logits], list(prediction.features)


class TupleInTrainMode(Good):
    def forward(self, image):
        prediction = super().forward(image)
        return tuple(prediction) if self.training else prediction


class SmallLogits(Good):
    def forward(self, image):
        prediction = super().forward(image)
        return prediction._replace(logits=prediction.logits[..., ::2, ::2])


class SideList(Good):
    def forward(self, image):
        prediction = super().forward(image)
        return prediction._replace(side_logits=list(prediction.side_logits))


class WideSide(Good):
    def forward(self, image):
        prediction = super().forward(image)
        return prediction._replace(side_logits=prediction.features)


class Repeats(Good):
    def forward(self, image):
        prediction = super().forward(image)
        return prediction._replace(side_logits=(*prediction.side_logits, prediction.logits))


class NoFeatures(Good):
    def forward(self, image):
        return super().forward(image)._replace(features=())


class OtherLogits(Good):
    def logits(self, image):
        return super().logits(image).sigmoid()


class OtherFeatures(Good):
    def features(self, image):
        return super().features(image)[:1]


class BatchStatistics(Good):
    def forward(self, image):
        return super().forward(image - image.mean(dim=0))


class UnusedLayer(Good):
    def __init__(self):
        super().__init__()
        self.more = nn.Conv2d(8, 8, 1)


class HiddenNumbers(Good):
    def __init__(self):
        super().__init__()
        self.scale = float(torch.rand(()))

    def forward(self, image):
        return super().forward(image * self.scale)


class OtherInInference(Good):
    def logits(self, image):
        return super().logits(image) + float(torch.is_inference_mode_enabled())


class Square(Good):
    def forward(self, image):
        height, width = image.shape[-2:]
        if height == width:
            raise RuntimeError(f"no squares such as {height} by {width}")
        return super().forward(image)


class Frozen(Good):
    def __init__(self):
        super().__init__()
        self.requires_grad_(False)


class OddSizesFail(Good):
    def forward(self, image):
        prediction = super().forward(image)
        torch.cat([prediction.features[0], resize(prediction.features[1], (32, 32))], dim=1)
        return prediction


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (NoModel, "NoModel: wanted a Model; .*derive it from dichoseg.contracts.Model"),
        (NoPreprocessing, "wanted a Preprocessing in preprocessing; got a NoneType; set self.preprocessing"),
        (NoInfo, "wanted a FeatureInfo in feature_info; got a NoneType"),
        (
            Lists,
            "wanted a Prediction with logits, side_logits, edge_logits, features, extras, in train and in eval mode",
        ),
        (TupleInTrainMode, "wanted a Prediction .*got a tuple; return Prediction"),
        (
            SmallLogits,
            r"wanted logits at the image's size, \(2, 1, 65, 97\); got a tensor of shape \(2, 1, 33, 49\)",
        ),
        (SideList, r"wanted a tuple of tensors in side_logits; got a list of \[\(2, 1, 33, 49\)\]; pass a tuple"),
        (WideSide, r"wanted maps of one channel, \(2, 1, h, w\), in side_logits; got \[\(2, 4, 33, 49\), "),
        (Repeats, r"wanted final logits that are not repeated in side_logits; got side_logits\[1\] equal to logits"),
        (NoFeatures, r"NoFeatures, features: wanted 2 features, .*; got 0 of shapes \[\]"),
        (OtherLogits, r"wanted logits\(image\) to give the logits of the prediction, in eval mode; got a difference"),
        (OtherFeatures, r"wanted features\(image\) to give the features of the prediction"),
        (BatchStatistics, "an image alone and in a batch of two"),
        (UnusedLayer, "a gradient for each parameter; got none for more.weight, more.bias"),
        (HiddenNumbers, "wanted the same logits after save_model and load_model"),
        (OtherInInference, "wanted the same map from Predictor as from logits"),
        (Square, r"Predictor\(model\)\(photograph\) fails with RuntimeError: no squares such as 96 by 96"),
        (Frozen, "a step of fit fails with ValueError: the model has no parameter that takes a gradient"),
        (OddSizesFail, "forward on images of 65 by 97 pixels fails with RuntimeError.*take any size, or name one"),
    ],
)
def test_error_says_what_to_change(part, message):
    with pytest.raises(ConformanceError, match=message):
        check_model(part)


def small():
    encoder = RSUEncoder(channels=(8, 8), mid_channels=(4, 4), strides=(2, 4), stem_channels=8)
    return Segmenter(encoder, RSUDecoder(encoder.feature_info))


def test_value_sound_models_pass():
    check_model(Good)
    check_model(small, size=(33, 20), side=32)
    arguments = {"channels": [8, 8], "mid_channels": [4, 4], "strides": [2, 4]}
    check_model(functools.partial(create_model, "isnet", encoder_args=arguments))
    check_model(functools.partial(create_model, "isnet_gt_encoder", channels=[8, 8], strides=[2, 4]))


def test_error_finished_model():
    with pytest.raises(TypeError, match="check_model takes a class or function that builds the model"):
        check_model(Good())
