import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dichoseg.blocks import ConvNormAct
from dichoseg.testing import ConformanceError
from dichoseg.testing.module import Subject, check_module


class Good(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = ConvNormAct(3, 4, stride=2)
        self.second = ConvNormAct(4, 8, stride=2)

    def forward(self, image):
        fine = self.first(image)
        return fine, self.second(fine)


class ChangesInput(Good):
    def forward(self, image):
        return super().forward(image.mul_(2))


class AlwaysDrops(Good):
    def forward(self, image):
        return tuple(F.dropout(feature) for feature in super().forward(image))


class BatchStatistics(Good):
    def forward(self, image):
        return super().forward(image - image.mean(dim=0))


class BatchOfTwoOnly(Good):
    def forward(self, image):
        return super().forward(image.view(2, 3, *image.shape[2:]))


class UnusedLayer(Good):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(8, 10)


class Detaches(Good):
    def forward(self, image):
        fine = self.first(image)
        return fine.detach(), self.second(fine.detach())


class InfiniteGradient(Good):
    def __init__(self):
        super().__init__()
        self.power = nn.Parameter(torch.zeros(1))

    def forward(self, image):
        fine, coarse = super().forward(image)
        return fine, coarse + self.power.sqrt()


class InPlaceGradient(Good):
    def forward(self, image):
        fine = self.first(image).sigmoid()
        coarse = self.second(fine)
        return fine.mul_(2), coarse


class KeepsResults(Good):
    def forward(self, image):
        self.kept = super().forward(image)
        return self.kept


class KeepsLambda(Good):
    def __init__(self):
        super().__init__()
        self.scale = lambda feature: feature


class CountsItself(Good):
    """Computes by where it is in memory, as by a global table of instances."""

    def __init__(self):
        super().__init__()
        self.number = id(self)

    def forward(self, image):
        return tuple(feature * (1 + (self.number != id(self))) for feature in super().forward(image))


class HiddenNumbers(Good):
    def __init__(self):
        super().__init__()
        self.scale = float(torch.rand(()))

    def forward(self, image):
        return tuple(feature * self.scale for feature in super().forward(image))


class OtherLayers(Good):
    made = 0

    def __init__(self):
        super().__init__()
        OtherLayers.made += 1
        self.more = nn.Sequential(*(nn.Conv2d(8, 8, 1) for _ in range(OtherLayers.made % 2)))

    def forward(self, image):
        fine, coarse = super().forward(image)
        return fine, self.more(coarse)


class MixesTypes(Good):
    def forward(self, image):
        fine, coarse = super().forward(image)
        return fine, torch.lerp(coarse, coarse.float(), 0.5)


class PlainTensor(Good):
    def __init__(self):
        super().__init__()
        self.first.kernel = torch.ones(4, 1, 3, 3)

    def forward(self, image):
        fine, coarse = super().forward(image)
        return F.conv2d(fine, self.first.kernel, padding=1, groups=4), coarse


class OwnDevice(Good):
    def forward(self, image):
        return super().forward(image + torch.ones(1, 3, 1, 1))


class BranchesOnValues(Good):
    def forward(self, image):
        return super().forward(image / 255 if image.max() > 100 else image)


class StaysBehind(Good):
    def forward(self, image):
        fine, coarse = super().forward(image)
        return fine, coarse if coarse.device.type == "cpu" else torch.zeros(coarse.shape)


def check(part):
    check_module(Subject("Part", part(), part, lambda module, inputs: module(*inputs), (torch.randn(2, 3, 33, 20),)))


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (ChangesInput, "wanted inputs that are not changed; got changed ones; .*in place"),
        (AlwaysDrops, "wanted the same result twice in eval mode; .*pass self.training to dropout"),
        (BatchStatistics, "an image alone and in a batch of two, in eval mode; .*never with the batch's"),
        (BatchOfTwoOnly, "a batch of one, in eval mode, fails with RuntimeError: shape.*take any batch size"),
        (UnusedLayer, "a gradient for each parameter; got none for head.weight, head.bias; use it in forward"),
        (Detaches, "got none for first.conv.weight, first.conv.bias, first.norm.weight and others"),
        (InfiniteGradient, "gradients: wanted finite numbers"),
        (InPlaceGradient, "a training step fails with RuntimeError: one of the variables.*do not change in place"),
        (KeepsResults, "copy.deepcopy of it fails with RuntimeError.*keep no results between calls"),
        (KeepsLambda, "pickling it fails with .*keep no lambdas or local functions"),
        (CountsItself, "wanted a copy.deepcopy that computes the same; got a difference of 1"),
        (HiddenNumbers, "from another instance that has loaded its state_dict; .*buffers with register_buffer"),
        (OtherLayers, "load_state_dict from another instance fails with RuntimeError.*twice must give the same layers"),
        (MixesTypes, "running under bfloat16 autocast fails with .*one dtype before they are joined"),
        (PlainTensor, "wanted tensors that follow it to another device; got plain attributes: first.kernel; .*buffer"),
        (OwnDevice, r"running on another device \(meta\) fails with .*keep tensors in buffers"),
        (BranchesOnValues, r"running on another device \(meta\) fails with .*never branch on values"),
        (StaysBehind, "wanted results on the device of its inputs; got cpu, meta for inputs on meta"),
    ],
)
def test_error_says_what_to_change(part, message):
    with pytest.raises(ConformanceError, match=message):
        check(part)


class NoParameters(nn.Identity):
    def forward(self, image):
        return (image.flip(-1),)


@pytest.mark.parametrize("part", [Good, NoParameters])
def test_value_sound_modules_pass(part):
    check(part)
