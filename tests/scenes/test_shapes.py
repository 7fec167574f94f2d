import cv2
import numpy as np
import pytest

from dichoseg.scenes.shapes import SHAPES


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
