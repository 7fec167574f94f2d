"""Shared by all tests: threads, no network, small data."""

import os

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import pytest
import torch

from dichoseg import Preprocessing, create_model
from dichoseg.contracts import Model

SMALL = {
    "channels": [8, 8, 16],
    "mid_channels": [4, 4, 8],
    "strides": [2, 4, 8],
    "stem_channels": 8,
}


@pytest.fixture
def small_isnet() -> Model:
    """A tiny IS-Net for 64-pixel images."""
    torch.manual_seed(0)
    return create_model("isnet", encoder_args=SMALL, preprocessing=Preprocessing(size=64))


@pytest.fixture
def disc() -> torch.Tensor:
    """Two masks of 65 by 97: a disc, and nothing."""
    rows, columns = torch.meshgrid(torch.arange(65), torch.arange(97), indexing="ij")
    inside = ((rows - 30) ** 2 + (columns - 50) ** 2 < 400).float()
    return torch.stack([inside, torch.zeros_like(inside)])[:, None]
