import cv2
import numpy as np
import pytest

from dichoseg.scenes.drawing import SHAPES, ground, surface


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
@pytest.mark.parametrize("size", [64, 256])
def test_value_shapes_have_structure(shape, size):
    shares, thin = [], []
    for seed in range(5):
        canvas = shape(np.random.default_rng(seed), size)
        assert canvas.shape == (size, size)
        assert set(np.unique(canvas)) == {0, 255}
        shares.append((canvas > 0).mean())
        thin.append((cv2.erode(canvas, np.ones((5, 5), np.uint8)) > 0).mean() / shares[-1])
    assert 0.01 < np.mean(shares) < 0.8  # a shape fills its canvas; placing it makes it smaller
    assert np.mean(thin) < 0.95


def test_value_textures():
    for seed in range(10):
        rng = np.random.default_rng(seed)
        background = ground(rng, 64)
        foreground = surface(rng, 64, away_from=background.mean(axis=(0, 1)))
        for texture in (background, foreground):
            assert texture.shape == (64, 64, 3)
            assert texture.min() >= 0
            assert texture.max() <= 1
            assert texture.std() > 0.002
