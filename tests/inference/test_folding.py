import copy

import pytest
import timm
import torch
from torch import nn

from dichoseg import Preprocessing, create_model
from dichoseg.contracts import Model, Prediction
from dichoseg.inference.folding import fold_batch_norm


def with_statistics(model):
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return model.eval()


def folded(model):
    result = copy.deepcopy(model)
    fold_batch_norm(result)
    return result


def test_value_a_norm_behind_two_convolutions_is_not_folded():
    model = with_statistics(
        create_model("isnet", encoder_args={"channels": [8, 8], "mid_channels": [4, 4], "strides": [2, 4]})
    )
    block = model.encoder.stages[0].entry
    model.encoder.stages[1].entry.conv = nn.Conv2d(8, 8, 3, padding=1)
    model.encoder.stages[1].entry.norm = block.norm  # one batch norm behind two convolutions
    ready = folded(model)
    assert isinstance(ready.encoder.stages[0].entry.norm, nn.BatchNorm2d)
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ready.logits(image), model.logits(image), rtol=1e-4, atol=1e-5)


class Layers(Model):
    """A convolution, a batch norm, and something in between."""

    preprocessing = Preprocessing(size=64)

    def __init__(self, between=lambda features: features, after=lambda features, normalized: normalized):
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 3, padding=1)
        self.norm = nn.BatchNorm2d(1)
        self.between, self.after = between, after

    def logits(self, image):
        features = self.conv(image)
        return self.after(features, self.norm(self.between(features)))

    def forward(self, image):
        return Prediction(self.logits(image), [])


def weight_normalized():
    model = Layers()
    nn.utils.parametrizations.weight_norm(model.conv)
    return model


def hooked():
    model = Layers()
    model.conv.register_forward_hook(lambda _, __, output: output + 1)
    return model


def standardized():
    model = Layers()
    model.conv = timm.layers.StdConv2d(3, 1, 3, padding=1, bias=True)
    return model


NOT_FOLDED = {
    "changed in place": lambda: Layers(lambda features: features.add_(1)),
    "changed in place by an index": lambda: Layers(lambda features: (features.__setitem__((..., 0), 1), features)[1]),
    "used raw": lambda: Layers(after=lambda features, normalized: features + normalized),
    "weight norm": weight_normalized,
    "a hook": hooked,
    "a convolution of another kind": standardized,
}


@pytest.mark.parametrize("name", NOT_FOLDED)
def test_value_what_is_more_than_convolution_and_norm_is_left_alone(name):
    model = with_statistics(NOT_FOLDED[name]())
    ready = folded(model)
    assert hasattr(ready.norm, "running_var")
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ready.logits(image), model.logits(image), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"bias": False}, {"output_padding": 1, "padding": 1, "dilation": 2}])
def test_value_transposed_convolutions(options):
    model = Layers()
    model.conv, model.norm = nn.ConvTranspose2d(3, 4, 3, stride=2, **options), nn.BatchNorm2d(4)
    with_statistics(model)
    ready = folded(model)
    assert isinstance(ready.norm, nn.Identity)
    image = torch.rand(1, 3, 13, 17)
    with torch.no_grad():
        torch.testing.assert_close(ready.logits(image), model.logits(image), rtol=1e-5, atol=1e-5)


def test_value_nonlinear_deconv_decoder_is_folded_whole():
    small = {"channels": [8, 8, 8, 8], "mid_channels": [4, 4, 4, 4], "strides": [2, 4, 8, 16]}
    nonlinear = {"channels": 8, "nonlinear": True}
    model = with_statistics(create_model("isnet", encoder_args=small, decoder="deconv", decoder_args=nonlinear))
    ready = folded(model)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in ready.modules())
    image = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        for found, wanted in zip(ready.features(image), model.features(image), strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_value_transposed_convolutions_in_groups_are_left_alone():
    model = Layers()
    model.conv, model.norm = nn.ConvTranspose2d(3, 6, 2, stride=2, groups=3), nn.BatchNorm2d(6)
    with_statistics(model)
    assert isinstance(folded(model).norm, nn.BatchNorm2d)


def test_value_a_norm_of_two_names_is_replaced_under_both():
    model = with_statistics(Layers())
    model.alias = model.norm
    ready = folded(model)
    assert type(ready.norm) is type(ready.alias) is nn.Identity


def test_value_shapes_may_be_asked_for():
    model = with_statistics(Layers(lambda features: features if features.shape[1] and features.size(0) else None))
    ready = folded(model)
    assert isinstance(ready.norm, nn.Identity)


class Twice(Layers):
    """A convolution and its batch norm, which run twice."""

    def logits(self, image):
        return self.norm(self.conv(image)) + self.norm(self.conv(image.flip(-1)))


def test_value_a_pair_that_runs_twice_is_folded():
    model = with_statistics(Twice())
    ready = folded(model)
    assert isinstance(ready.norm, nn.Identity)
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ready.logits(image), model.logits(image), rtol=1e-4, atol=1e-5)
