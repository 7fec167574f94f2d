import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dichoseg.testing import ConformanceError, check_augmentation


class Good(nn.Module):
    """Flips some images, and changes the brightness of some."""

    def forward(self, image, mask):
        flipped = torch.rand(len(image)).view(-1, 1, 1, 1).to(image.device) < 0.5
        image, mask = (torch.where(flipped, both.flip(-1), both) for both in (image, mask))
        return (image * (0.8 + 0.4 * torch.rand(()))).clamp(0, 1), mask


class Crops(Good):
    input_scale = 1.25

    def forward(self, image, mask):
        height, width = (round(side / 1.25) for side in image.shape[-2:])
        return image[..., :height, -width:], mask[..., :height, -width:]


class CropsInSecret(nn.Module):
    def forward(self, image, mask):
        return Crops()(image, mask)


class ScaleBelowOne(Good):
    input_scale = 0.8


class ImageAlone(Good):
    def forward(self, image, mask):
        return super().forward(image, mask)[0]


class FlipsImageAlone(Good):
    def forward(self, image, mask):
        return super().forward(image, mask)[0], mask


class MaskAside(Good):
    def forward(self, image, mask):
        return image, mask.roll(1, dims=-1)


class TurnsEverything(Good):
    def forward(self, image, mask):
        return image.rot90(1, (-2, -1)), mask.rot90(1, (-2, -1))


class TooBright(Good):
    def forward(self, image, mask):
        return image * 1.2, mask


class MaskBelowZero(Good):
    def forward(self, image, mask):
        return image, mask - 0.1 * (1 - mask)


class Doubles(Good):
    def forward(self, image, mask):
        return image.double(), mask


class ChangesInput(Good):
    def forward(self, image, mask):
        return image.mul_(0.9), mask


class FillsMask(Good):
    def forward(self, image, mask):
        image, mask = image.clone(), mask.clone()
        image[..., :4], mask[..., :4] = 1, 1
        return image, mask


class Numpy(Good):
    def forward(self, image, mask):
        return image * float(np.random.default_rng().uniform(0.5, 1)), mask


class Python(Good):
    def forward(self, image, mask):
        return image * random.uniform(0.5, 1), mask


class BlackImages(Good):
    def forward(self, image, mask):
        return image * 0, mask


class SeveralOnly(Good):
    def forward(self, image, mask):
        return image - 0 * image.sort(dim=0).values[1], mask


class NeedsP(Good):
    def __init__(self, p):
        super().__init__()


class Hides(Good):
    """Nine tenths of the image."""

    def forward(self, image, mask):
        rows = torch.arange(image.shape[-2]).view(-1, 1).expand(image.shape[-2:])
        return torch.where(rows < image.shape[-2] * 0.1, image, 0.5), mask


class Blurs(Good):
    def forward(self, image, mask):
        return F.avg_pool2d(image, 5, stride=1, padding=2, count_include_pad=False), mask


class Inverts(Good):
    def forward(self, image, mask):
        return 1 - image, mask


class Mixes(Good):
    def forward(self, image, mask):
        return (image + image.roll(1, dims=0)) / 2, (mask + mask.roll(1, dims=0)) / 2


class OwnGenerator(Good):
    def __init__(self):
        super().__init__()
        self.generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))

    def forward(self, image, mask):
        return image * torch.rand((), generator=self.generator), mask


class NoAugmentation:
    pass


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (
            CropsInSecret,
            r"wanted shapes \(1, 3, 64, 64\) and \(1, 1, 64, 64\); got \(1, 3, 51, 51\) and .*1.25",
        ),
        (ScaleBelowOne, "wanted an input_scale of 1 or more.*got 0.8; 1.25 for a crop"),
        (ImageAlone, r"wanted a pair \(image, mask\); got a Tensor; return both"),
        (
            FlipsImageAlone,
            "image and mask to move together: a correlation of 0.5 or more.*draw once and apply it to both",
        ),
        (MaskAside, "to move together, to the pixel; got a mask that lies 0 pixels further down and 1 further right"),
        (TurnsEverything, r"batch of 1 at 65x97: wanted shapes \(1, 3, 65, 97\)"),
        (TooBright, r"wanted the image in \[0, 1\]; got .* to 1.2; clamp\(0, 1\)"),
        (MaskBelowZero, r"wanted the mask in \[0, 1\]; got -0.09"),
        (Doubles, "wanted the image in torch.float32 on cpu; got torch.float64 on cpu"),
        (ChangesInput, "inputs that are not changed.*in place"),
        (FillsMask, "wanted masks that stay empty if all are empty; got values up to 1; fill"),
        (Numpy, "wanted the same result after the same torch.manual_seed; .*draw from torch"),
        (Python, "wanted the same result after the same torch.manual_seed; .*draw from torch"),
        (BlackImages, "wanted an image that is not constant; got a constant one in all draws"),
        (SeveralOnly, "batch of 1 at 64x64: the augmentation fails with IndexError"),
        (NeedsP, "NeedsP: building it without arguments fails with TypeError.*lambda: my_augmentation"),
        (Hides, "a correlation of 0.5 or more if both were the same pattern; .*lower likeness="),
        (NoAugmentation, r"wanted a callable that takes \(image, mask\); got a NoAugmentation"),
    ],
)
def test_error_says_what_to_change(part, message):
    with pytest.raises(ConformanceError, match=message):
        check_augmentation(part)


def plain_function(image, mask):
    return image.flip(-1), mask.flip(-1)


@pytest.mark.parametrize(
    "make", [Good, Crops, Blurs, Inverts, Mixes, OwnGenerator, lambda: plain_function], ids=lambda make: make.__name__
)
def test_value_sound_augmentations_pass(make):
    check_augmentation(make)


def test_value_options():
    check_augmentation(Hides, likeness=0.05)
    check_augmentation(TurnsEverything, sizes=[(64, 64)], channels=1)


def test_error_seldom_wrong_needs_draws():
    def seldom(image, mask):
        return (image.flip(-1) if torch.rand(()) < 0.02 else image), mask

    check_augmentation(lambda: seldom, draws=1)
    with pytest.raises(ConformanceError, match="move together"):
        check_augmentation(lambda: seldom, draws=100)


def test_error_finished_augmentation():
    with pytest.raises(TypeError, match="check_augmentation takes a class or function that builds the augmentation"):
        check_augmentation(Good())


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_value_on_a_gpu():
    check_augmentation(Good, device="cuda")
    with pytest.raises(ConformanceError, match="wanted the mask in torch.float32 on cuda:0; got torch.float32 on cpu"):
        check_augmentation(lambda: lambda image, mask: (image, mask.cpu()), device="cuda")
