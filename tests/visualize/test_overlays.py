import numpy as np
import pytest
import torch

from dichoseg.masks import edge_band
from dichoseg.visualize import error_map, outlined
from dichoseg.visualize.overlays import EDGE, PATCH, WHITE, Box, draw_picture, edge_pictures


def square(size, low, high):
    mask = torch.zeros(1, 1, size, size)
    mask[..., low:high, low:high] = 1
    return mask


def coloured(picture, colour):
    """Where a picture has a colour, to the levels of 8 bits."""
    return np.abs(picture - np.array(colour, np.float32)).max(axis=-1) < 0.01


def test_value_error_colours():
    prediction, mask = np.array([[1, 0, 1, 0]], np.float32), np.array([[1, 0, 0, 1]], np.float32)
    assert error_map(prediction, mask).tolist() == [[[1, 1, 1], [0, 0, 0], [1, 0, 0], [0, 0, 1]]]


def test_value_outline():
    image, mask = np.ones((20, 20, 3), np.float32), np.zeros((20, 20), np.float32)
    mask[5:15, 5:15] = 1
    drawn = outlined(image, mask)
    assert drawn[10, 10].tolist() == [1, 1, 1]
    assert drawn[0, 0] == pytest.approx(0.3)
    assert drawn[5, 10] == pytest.approx([1, 0.2, 0.1])


def test_value_edge_band_is_what_the_loss_sees():
    mask = square(64, 16, 48)
    whole, near = edge_pictures(torch.full((1, 3, 64, 64), 0.5), mask, side=64)
    expected = edge_band(mask)[0, 0].bool().numpy()
    framed = coloured(whole, WHITE)
    assert np.array_equal(coloured(whole, EDGE) | framed, expected | framed)
    assert whole[32, 32] == pytest.approx(0.5, abs=0.01), "the object as it is"
    assert whole[2, 2] == pytest.approx(0.35 * 0.5, abs=0.01), "the ground dim"
    assert near.shape == (64, 64, 3), "16 pixels, four times as large"
    half = (np.array(EDGE) + 0.5) / 2
    blocks = near.reshape(16, 4, 16, 4, 3)
    assert (blocks == blocks[:, :1, :, :1]).all(), "no smoothing"
    rows, columns = np.nonzero(framed)
    cut = expected[rows.min() : rows.min() + 16, columns.min() : columns.min() + 16]
    assert np.array_equal(coloured(blocks[:, 0, :, 0], half), cut)
    assert cut.sum() == 48, "a corner: no other window of these, four pixels apart, has more"


def test_value_thin_bands_stay_visible_in_large_images():
    mask = square(1000, 300, 700)
    whole, _ = edge_pictures(torch.zeros(1, 3, 1000, 1000), mask, side=50)
    painted = coloured(whole, EDGE) | coloured(whole, WHITE)
    assert painted[25, 14:16].any()
    assert painted[25, 34:36].any()
    assert not painted[25, 17:33].any()


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_value_no_edge_shows_the_middle(value):
    image = torch.zeros(1, 3, 65, 97)
    image[..., 32, 48] = 1
    whole, near = edge_pictures(image, torch.full((1, 1, 65, 97), value), side=64)
    assert not coloured(whole, EDGE).any()
    assert (near == 1).all(axis=-1).sum() == 16, "the one white pixel"
    assert abs(np.nonzero((near == 1).all(axis=-1))[0].mean() - 31.5) < 4


def test_value_boxes_hide_the_outline():
    mask = square(64, 16, 48)
    picture = draw_picture(torch.full((1, 3, 64, 64), 0.5), mask, [Box(0.1, 0.1, 0.5, 0.5)], side=64)
    assert coloured(picture[6, 6:33], PATCH).all()
    assert coloured(picture[6:33, 32], PATCH).all()
    assert not coloured(picture[7:31, 7:31], EDGE).any(), "the blur is seen as it is"
    assert coloured(picture[48, 17:47], EDGE).all(), "elsewhere the outline goes round the object"
    assert picture[40, 40] == pytest.approx(0.5, abs=0.01)
    assert not coloured(draw_picture(torch.zeros(1, 3, 64, 64), mask, [], side=64), PATCH).any()


def test_error_two_sizes():
    with pytest.raises(ValueError, match=r"prediction and mask must be .* of one size; got \(4, 5\) and \(4, 4\)"):
        error_map(np.zeros((4, 5)), np.zeros((4, 4)))
    with pytest.raises(ValueError, match=r"image must be \(H, W, 3\) .* of one size; got \(4, 5\) and \(4, 5\)"):
        outlined(np.zeros((4, 5)), np.zeros((4, 5)))
