import math

import pytest
import torch

from dichoseg.losses import EdgeBCELoss, EdgeMapBCELoss


def half_mask():
    mask = torch.zeros(1, 1, 4, 6)
    mask[..., 3:] = 1
    return mask


def test_value_edge_bce_by_hand():
    logits = torch.zeros(1, 1, 4, 6)
    logits[..., 2] = 2.0  # on the band, mask 0: log(1 + e^2)
    logits[..., 0] = 30.0  # off the band: does not count
    expected = (math.log(1 + math.exp(2)) + math.log(2)) / 2
    assert float(EdgeBCELoss()(logits, half_mask())) == pytest.approx(expected, rel=1e-6)


def test_value_edge_bce_averages_per_image_first():
    masks = torch.cat([half_mask(), torch.zeros(1, 1, 4, 6)])
    assert float(EdgeBCELoss()(torch.zeros(2, 1, 4, 6), masks)) == pytest.approx(math.log(2) / 2)


def test_gradient_edge_bce_stays_on_the_band():
    logits = torch.zeros(1, 1, 4, 6, requires_grad=True)
    EdgeBCELoss(width=5)(logits, half_mask()).backward()
    assert [bool(g) for g in logits.grad[0, 0, 0]] == [False, True, True, True, True, False]


def test_value_edge_map_by_hand():
    logits = torch.full((1, 1, 4, 6), 2.0)
    expected = (4 * math.log(1 + math.exp(2)) + 2 * math.log(1 + math.exp(-2))) / 6
    assert float(EdgeMapBCELoss()(logits, half_mask())) == pytest.approx(expected, rel=1e-6)


def test_value_edge_map_optimum_inside_is_one_over_one_plus_weight():
    weight = 0.5
    mask = torch.ones(1, 1, 3, 3)
    logits = torch.zeros(1, 1, 3, 3, requires_grad=True)
    optimizer = torch.optim.SGD([logits], lr=20.0)
    for _ in range(300):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, mask) + weight * EdgeMapBCELoss()(
            logits, mask
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.testing.assert_close(logits.detach().sigmoid(), torch.full_like(mask, 1 / (1 + weight)))


@pytest.mark.parametrize("width", [0, 2, 4])
def test_error_width(width):
    with pytest.raises(ValueError, match=f"width must be an odd number of pixels, 3 or more; got {width}"):
        EdgeBCELoss(width=width)
