from pathlib import Path

import numpy as np
import pytest
import torch

from dichoseg.masks import all_count, border, edge_band, largest_object, mask_edges


def test_value_edge_band_by_hand():
    mask = torch.zeros(1, 1, 6, 6)
    mask[..., 3:] = 1
    expected = torch.zeros(6, 6)
    expected[:, 2:4] = 1
    assert torch.equal(edge_band(mask, 3)[0, 0], expected)
    expected[:, 1:5] = 1
    assert torch.equal(edge_band(mask, 5)[0, 0], expected)
    for constant in (torch.zeros_like(mask), torch.ones_like(mask)):
        assert edge_band(constant).sum() == 0


def test_value_mask_edges_are_egnets():
    golden = np.load(Path(__file__).parent / "golden/architectures/edge_gt.npz")
    mask = torch.from_numpy(golden["mask"])[:, None].float()
    assert torch.equal(mask_edges(mask), torch.from_numpy(golden["edge"])[:, None].float())


def test_value_mask_edges_are_a_gradient_that_is_not_zero():
    mask = torch.rand(1, 1, 65, 97, generator=torch.Generator().manual_seed(0))
    down, across = np.gradient((mask[0, 0] > 128 / 255).numpy().astype(float))
    assert torch.equal(mask_edges(mask)[0, 0].bool(), torch.from_numpy(down**2 + across**2 != 0))


def test_value_mask_edges_by_hand():
    row = torch.tensor([0, 0, 128, 129, 255, 255]).view(1, 1, 1, 6) / 255  # foreground from 129 on
    assert mask_edges(row).flatten().tolist() == [0, 0, 1, 1, 0, 0]
    assert mask_edges(row, threshold=0.4).flatten().tolist() == [0, 1, 1, 0, 0, 0]
    pixel = torch.zeros(1, 1, 65, 97)
    pixel[..., 0, 0] = 1  # one-sided at the border: the pixel itself counts
    assert mask_edges(pixel).sum() == 3
    assert mask_edges(pixel.bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_value_mask_edges_of_constant_masks(value):
    assert not mask_edges(torch.full((2, 1, 65, 97), value)).any()
    assert not mask_edges(torch.full((1, 1, 1, 1), value)).any()


def test_value_border_pixels():
    inside = torch.zeros(1, 5, 5, dtype=torch.bool)
    inside[..., 2, 2] = True
    assert border(inside)[0].int().tolist() == [
        [0] * 5,
        [0, 0, 1, 0, 0],
        [0, 1, 1, 1, 0],
        [0, 0, 1, 0, 0],
        [0] * 5,
    ]


def test_value_largest_object_in_odd_masks():
    empty, full = torch.zeros(65, 97, dtype=torch.bool), torch.ones(65, 97, dtype=torch.bool)
    assert torch.equal(largest_object(empty), empty)
    assert torch.equal(largest_object(full), full)
    for place in ((slice(3, 4), slice(5, 6)), (slice(3, 4), slice(5, 50))):  # a pixel and a line enclose nothing
        thin = empty.clone()
        thin[place] = True
        assert torch.equal(largest_object(thin), thin)


def test_value_pixels_of_which_all_count():
    assert all_count(torch.tensor([0.0, 1 / 255, 0.02, 1.0])).tolist() == [1, 1, 0, 0]
