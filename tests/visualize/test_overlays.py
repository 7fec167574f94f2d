import numpy as np
import pytest
import torch

from dichoseg.masks import edge_band
from dichoseg.visualize import error_map, outlined
from dichoseg.visualize.overlays import EDGE, WHITE, draw_outline, edge_pictures


def square(size, low, high):
    mask = torch.zeros(1, 1, size, size)
    mask[..., low:high, low:high] = 1
    return mask


def has_color(picture, color):
    """Return where a picture has a color, to the levels of 8 bits."""
    return np.abs(picture - np.array(color, np.float32)).max(axis=-1) < 0.01


def test_value_error_colors():
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
    framed = has_color(whole, WHITE)
    assert np.array_equal(has_color(whole, EDGE) | framed, expected | framed)
    assert whole[32, 32] == pytest.approx(0.5, abs=0.01), "the object as it is"
    assert whole[2, 2] == pytest.approx(0.35 * 0.5, abs=0.01), "the ground dim"
    assert near.shape == (64, 64, 3), "16 pixels, four times as large"
    half = (np.array(EDGE) + 0.5) / 2
    blocks = near.reshape(16, 4, 16, 4, 3)
    assert (blocks == blocks[:, :1, :, :1]).all(), "no smoothing"
    rows, columns = np.nonzero(framed)
    cut = expected[rows.min() : rows.min() + 16, columns.min() : columns.min() + 16]
    assert np.array_equal(has_color(blocks[:, 0, :, 0], half), cut)
    assert cut.sum() == 48, "a corner: no other window of these, four pixels apart, has more"


def test_value_thin_bands_stay_visible_in_large_images():
    mask = square(1000, 300, 700)
    whole, _ = edge_pictures(torch.zeros(1, 3, 1000, 1000), mask, side=50)
    painted = has_color(whole, EDGE) | has_color(whole, WHITE)
    assert painted[25, 14:16].any()
    assert painted[25, 34:36].any()
    assert not painted[25, 17:33].any()


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_value_no_edge_shows_the_middle(value):
    image = torch.zeros(1, 3, 65, 97)
    image[..., 32, 48] = 1
    whole, near = edge_pictures(image, torch.full((1, 1, 65, 97), value), side=64)
    assert not has_color(whole, EDGE).any()
    assert (near == 1).all(axis=-1).sum() == 16, "the one white pixel"
    assert abs(np.nonzero((near == 1).all(axis=-1))[0].mean() - 31.5) < 4


def test_value_draws_have_the_outline_around_the_object():
    mask = square(64, 16, 48)
    picture = draw_outline(torch.full((1, 3, 64, 64), 0.5), mask, side=64)
    assert has_color(picture[48, 17:47], EDGE).all()
    assert picture[40, 40] == pytest.approx(0.5, abs=0.01)


def test_error_two_sizes():
    with pytest.raises(ValueError, match=r"prediction.*\(4, 5\).*\(4, 4\)"):
        error_map(np.zeros((4, 5)), np.zeros((4, 4)))
    with pytest.raises(ValueError, match=r"image.*\(4, 5\).*\(4, 5\)"):
        outlined(np.zeros((4, 5)), np.zeros((4, 5)))
