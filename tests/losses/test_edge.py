import math

import pytest
import torch

from dichoseg.losses import BalancedBCELoss, EdgeBCELoss, EdgeMapBCELoss


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


@pytest.mark.parametrize("loss", [EdgeBCELoss, EdgeMapBCELoss])
@pytest.mark.parametrize("width", [0, 1, 4])
def test_error_width(loss, width):
    with pytest.raises(ValueError, match=f"width must be odd and 3 or more; got {width}"):
        loss(width=width)


def test_value_balanced_bce_by_hand():
    target = torch.tensor([1.0, 0.0, 0.0, 0.0, 0.5]).view(1, 1, 1, 5)  # the half weighs nothing
    logits = torch.tensor([2.0, -1.0, 0.0, 0.0, 9.0]).view(1, 1, 1, 5)
    positive = 3 / 4 * math.log(1 + math.exp(-2))
    negative = 1.1 * 1 / 4 * (math.log(1 + math.exp(-1)) + 2 * math.log(2))
    assert float(BalancedBCELoss(reduction="sum")(logits, target)) == pytest.approx(positive + negative, rel=1e-6)
    assert float(BalancedBCELoss()(logits, target)) == pytest.approx((positive + negative) / 5, rel=1e-6)
    even = float(BalancedBCELoss(negative_weight=0, reduction="sum")(logits, target))
    assert even == pytest.approx(positive, rel=1e-6)


def test_value_balanced_bce_counts_over_the_batch():
    target = torch.tensor([[1.0, 1.0], [0.0, 0.0]]).view(2, 1, 1, 2)
    loss = BalancedBCELoss(reduction="sum")
    logits = torch.zeros(2, 1, 1, 2)
    assert float(loss(logits, target)) == pytest.approx((1 + 1.1) * math.log(2), rel=1e-6)
    assert [float(loss(logits[i : i + 1], target[i : i + 1])) for i in range(2)] == [0, 0]


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("value", [0.0, 1.0, 0.5])
def test_gradient_balanced_bce_without_both_kinds(reduction, value):
    logits = torch.randn(2, 1, 65, 97, requires_grad=True)
    loss = BalancedBCELoss(reduction=reduction)(logits, torch.full((2, 1, 65, 97), value))
    assert float(loss.detach()) == 0
    loss.backward()
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_gradient_balanced_bce_one_pixel():
    target = torch.zeros(1, 1, 65, 97)
    target[..., 30, 40] = 1
    logits = torch.zeros(1, 1, 65, 97, requires_grad=True)
    BalancedBCELoss(reduction="sum")(logits, target).backward()
    assert float(logits.grad[..., 30, 40]) == pytest.approx(-(65 * 97 - 1) / (65 * 97) / 2)
    assert float(logits.grad[..., 0, 0]) == pytest.approx(1.1 / (65 * 97) / 2)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_value_balanced_bce_counts_in_float32(dtype):
    target = torch.zeros(1, 1, 65, 97, dtype=dtype)
    target[..., :2] = 1
    expected = BalancedBCELoss()(torch.zeros(1, 1, 65, 97), target.float())
    with torch.autocast("cpu", dtype):
        assert torch.equal(BalancedBCELoss()(torch.zeros(1, 1, 65, 97, dtype=dtype), target), expected)


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_error_negative_weight(weight):
    with pytest.raises(ValueError, match=f"negative_weight must be a finite number, 0 or more; got {weight}"):
        BalancedBCELoss(negative_weight=weight)


def test_error_reduction():
    with pytest.raises(ValueError, match="reduction must be one of mean, sum; got 'none'"):
        BalancedBCELoss(reduction="none")
