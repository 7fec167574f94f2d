"""Small networks whose maps are far from constant, and one that takes some sizes only."""

import dataclasses
import errno
from pathlib import Path

import pytest
import torch

from dichoseg import FeatureInfo, Prediction, Preprocessing, SyntheticDataset, create_model
from dichoseg.blocks import resize
from dichoseg.contracts import Model

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def with_contrast(model):
    """Scale a network's answer so that its probabilities spread over most of [0, 1]."""
    head = model.heads.sides[0]
    scene = SyntheticDataset(1, size=64)[0].image[None]
    with torch.no_grad():
        logits = model.eval().logits(model.preprocessing.normalize(scene))
        head.weight.mul_(2 / logits.std())
        head.bias.copy_((head.bias - logits.mean()) * 2 / logits.std())
    return model


@pytest.fixture
def isnet(small_isnet):
    return with_contrast(small_isnet)


@pytest.fixture
def foreign():
    """A timm network whose input is as unlike rembg's as can be."""
    torch.manual_seed(0)
    model = create_model("isnet", encoder="timm:test_resnet")
    mean, std = ((0.4, 0.5, 0.6), (0.2, 0.25, 0.3))
    bytes_of = [tuple(255 * value for value in values) for values in (mean, std)]
    model.preprocessing = Preprocessing(
        size=64, channel_order="bgr", scale="byte", mean=bytes_of[0], std=bytes_of[1], antialias=False
    )
    return with_contrast(model)


def at(model, size):
    """The same model at another size."""
    model.preprocessing = dataclasses.replace(model.preprocessing, size=size)
    return model


@pytest.fixture
def full_disk(monkeypatch):
    """Of what is written to a file the first byte is, and then there is no space left."""
    write = Path.write_bytes

    def write_the_first(path, content):
        write(path, content[:1])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_the_first)


class Gray(Model):
    """One convolution; takes images of `sides` pixels alone, and where `frozen` answers at the traced size."""

    def __init__(self, sides=None, *, frozen=False):
        super().__init__()
        self.feature_info = FeatureInfo((1,), (1,))
        self.preprocessing = Preprocessing(size=64)
        self.conv = torch.nn.Conv2d(3, 1, 1)
        self.sides, self.frozen = sides, frozen

    def forward(self, image):
        if self.sides is not None and image.shape[-1] not in self.sides:
            raise ValueError(f"the side must be one of {self.sides}")
        size = tuple(int(side) if self.frozen else side for side in image.shape[-2:])
        return Prediction(resize(self.conv(image), size))
