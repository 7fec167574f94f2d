"""A photograph and its mask, as arrays and as files."""

import cv2
import numpy as np
import pytest
from PIL import Image

PHOTOMETRIC = [
    "clahe",
    "brightness_contrast",
    "gamma",
    "color_jitter",
    "grayscale",
    "gaussian_blur",
    "salt_pepper",
    "jpeg",
]


@pytest.fixture
def pair():
    """A photograph of noise and a soft mask of 65 by 97."""
    random = np.random.default_rng(0)
    mask = cv2.GaussianBlur(cv2.circle(np.zeros((65, 97), np.uint8), (50, 30), 20, 255, -1), (5, 5), 0)
    return {"image": random.integers(40, 200, (65, 97, 3), dtype=np.uint8), "mask": mask}


@pytest.fixture
def pair_folders(pair, tmp_path):
    """Two folders with three such pairs."""
    for folder, key in (("im", "image"), ("gt", "mask")):
        (tmp_path / folder).mkdir()
        for name in "abc":
            Image.fromarray(pair[key]).save(tmp_path / folder / f"{name}.png")
    return tmp_path / "im", tmp_path / "gt"
