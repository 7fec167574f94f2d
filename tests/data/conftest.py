import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def folder(tmp_path):
    """Three pairs of images and masks, one in a subfolder."""
    for name in ("b", "a", "sub dir/ü"):
        for part, ending in (("im", "jpg"), ("gt", "png")):
            path = tmp_path / part / f"{name}.{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((6, 8), 255, np.uint8)).convert("RGB").save(path)
    return tmp_path
