import cv2
import numpy as np
import pytest
import torch

from dichoseg.blocks import resize
from dichoseg.pyramid import blend, ellipse, expand, laplacian_pyramid, reconstruct, reduce, transition


def center(maps):
    """Center of mass, in pixels."""
    rows, columns = (torch.arange(side, dtype=maps.dtype) for side in maps.shape[-2:])
    return float((maps.sum(-1) * rows).sum() / maps.sum()), float((maps.sum(-2) * columns).sum() / maps.sum())


def blob(side=64, at=(24, 32)):
    rows, columns = torch.meshgrid(*2 * [torch.arange(side, dtype=torch.float64)], indexing="ij")
    return torch.exp(-((rows - at[0]) ** 2 + (columns - at[1]) ** 2) / 50)[None, None]


def test_value_reduce_and_expand_keep_the_place():
    maps = blob()
    half = reduce(maps)
    assert center(half) == pytest.approx((12, 16), abs=1e-3)
    assert center(expand(half)) == pytest.approx((24, 32), abs=1e-3)
    assert center(resize(half, (64, 64))) == pytest.approx((24.5, 32.5), abs=1e-3)


def test_value_constant_maps():
    maps = torch.full((1, 2, 5, 8), 3.0)
    torch.testing.assert_close(reduce(maps), torch.full((1, 2, 3, 4), 3.0))
    even, odd = 2 * (0.39905028 + 2 * 0.05400558), 4 * (0.24203623 + 0.00443305)  # not exactly 1
    assert float(expand(maps)[0, 0, 4, 8]) == pytest.approx(3 * even**2, rel=1e-5)
    assert float(expand(maps)[0, 0, 5, 8]) == pytest.approx(3 * odd * even, rel=1e-5)


def test_shape_odd():
    maps = torch.randn(2, 1, 65, 97)
    assert reduce(maps).shape == (2, 1, 33, 49)
    assert expand(maps).shape == (2, 1, 130, 194)


def test_value_half_precision_computes_in_float32():
    maps = torch.randn(1, 1, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(expand(maps), expand(maps.clone()))
        assert expand(maps.bfloat16()).dtype == torch.float32
    assert reduce(maps.double()).dtype == torch.float64


def test_value_laplacian_pyramid_gives_the_maps_back():
    maps = torch.randn(2, 3, 32, 48, dtype=torch.float64)
    *details, current = laplacian_pyramid(maps, 3)
    assert [each.shape[-1] for each in details] == [48, 24, 12]
    for detail in reversed(details):
        current = reconstruct(current, detail)
    torch.testing.assert_close(current, maps)


@pytest.mark.parametrize("width", [3, 5, 9, 17, 33])
def test_value_ellipse_is_that_of_opencv(width):
    assert ellipse(width) == cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width)).sum(axis=1).tolist()


def test_value_transition_is_dilation_minus_erosion():
    probability = np.random.default_rng(0).random((33, 49)).astype(np.float32) ** 4
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
    wanted = cv2.dilate(probability, kernel) - cv2.erode(probability, kernel) > 0.5
    found = transition(torch.from_numpy(probability)[None, None], 9)[0, 0]
    assert 0 < wanted.mean() < 1
    assert np.array_equal(found.numpy() > 0, wanted)


def test_value_blend_takes_details_at_borders_only():
    coarsest = torch.full((1, 1, 8, 8), -9.0)
    coarsest[..., :4] = 9
    detail = torch.ones(1, 1, 16, 16)
    added = blend(coarsest, [detail])[-1] - expand(coarsest)
    assert added[..., 8].min() == 1
    assert added[..., 15].abs().max() == 0


def test_error_tiny_maps():
    with pytest.raises(ValueError, match="got 3 by 8"):
        reduce(torch.zeros(1, 1, 3, 8))
    with pytest.raises(ValueError, match="got 16 by 2"):
        expand(torch.zeros(1, 1, 8, 1))
