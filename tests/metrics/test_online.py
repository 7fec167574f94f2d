import math
import pickle

import numpy as np
import pytest
import torch

from dichoseg.metrics import Evaluator, OnlineMetrics
from dichoseg.metrics.per_image import record_of
from dichoseg.records import Metric


def on_levels(*shape):
    """Logits whose probabilities lie in the middle of gray levels, away from rounding."""
    levels = torch.randint(0, 255, shape, generator=torch.Generator().manual_seed(0))
    return torch.logit((levels + 0.5) / 255)


def scattered(*shape):
    return (torch.rand(shape, generator=torch.Generator().manual_seed(1)) > 0.7).float()


def scores_of(*batches):
    metrics = OnlineMetrics()
    for logits, mask in batches:
        metrics.update(logits, mask)
    return metrics.compute()


def test_value_agrees_with_the_exact_metrics():
    logits, mask = on_levels(5, 1, 65, 97), scattered(5, 1, 65, 97)
    mask[3], mask[4] = 1, 0
    exact = Evaluator(metrics=("fast", "binary_iou"), normalize=False)
    for one, truth in zip(logits.sigmoid(), mask, strict=True):
        exact.update(one[0].numpy(), truth[0].numpy() > 0.5)
    scores = scores_of((logits[:2], mask[:2]), (logits[2:], mask[2:]))
    assert set(scores) == {"quick_mae", "quick_max_f", "quick_iou"}
    assert scores["quick_mae"] == pytest.approx(exact.compute()["mae"], abs=1e-6)
    assert scores["quick_iou"] == pytest.approx(exact.compute()["binary_iou"], abs=1e-12)
    assert scores["quick_max_f"] == pytest.approx(exact.compute()["max_f"], abs=1e-12)


def test_value_by_hand():
    logits = torch.tensor([[0.0, 0.0, 100.0, -100.0]]).view(1, 1, 2, 2)
    mask = torch.tensor([[0.5, 0.6, 1.0, 0.0]]).view(1, 1, 2, 2)  # 0.5 is background
    scores = scores_of((logits, mask))
    assert scores["quick_mae"] == pytest.approx(0.1 / 4)  # the mask is not binarised
    assert scores["quick_max_f"] == pytest.approx(1.3 / (0.3 * 2 + 1))  # level 255: one of two, none wrong


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("value", "expected"), [(0.0, 0.0), (1.0, 1.0)])
def test_value_empty_and_full_mask(value, expected, dtype):
    logits = torch.full((1, 1, 65, 97), 100 * (value - 0.5)).to(dtype)
    scores = scores_of((logits, torch.full((1, 1, 65, 97), value)))
    assert scores == pytest.approx({"quick_mae": 0.0, "quick_max_f": expected, "quick_iou": expected}, abs=1e-6)


def test_value_one_pixel():
    logits, mask = torch.full((1, 1, 65, 97), -100.0), torch.zeros(1, 1, 65, 97)
    logits[..., 64, 96], mask[..., 64, 96] = 100, 1
    assert scores_of((logits, mask)) == pytest.approx(
        {"quick_mae": 0.0, "quick_max_f": 1.0, "quick_iou": 1.0}, abs=1e-6
    )


def test_value_half_precision_is_raised_before_the_sigmoid():
    logits, mask = torch.randn(2, 1, 65, 97).bfloat16(), scattered(2, 1, 65, 97)
    assert scores_of((logits, mask)) == scores_of((logits.float(), mask))


def test_value_batches_do_not_matter():
    logits, mask = on_levels(6, 1, 33, 31), scattered(6, 1, 33, 31)
    whole = scores_of((logits, mask))
    assert scores_of((logits[:1], mask[:1]), (logits[1:], mask[1:])) == pytest.approx(whole, abs=1e-6)


def test_value_nan_does_not_end_the_run():
    logits, mask = on_levels(2, 1, 65, 97), scattered(2, 1, 65, 97)
    broken = logits.clone()
    broken[0] = math.nan
    scores = scores_of((broken, mask))
    assert math.isnan(scores["quick_mae"])
    background = torch.where(broken.isnan(), torch.full_like(broken, -100), broken)
    assert scores["quick_max_f"] == scores_of((background, mask))["quick_max_f"]


def test_gradient_is_not_recorded():
    logits = on_levels(1, 1, 8, 8).requires_grad_()
    scores = scores_of((logits, scattered(1, 1, 8, 8)))
    assert all(type(score) is float for score in scores.values())
    assert logits.grad is None


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_value_same_on_a_gpu():
    logits, mask = on_levels(3, 1, 65, 97), scattered(3, 1, 65, 97)
    assert scores_of((logits.cuda(), mask.cuda())) == pytest.approx(scores_of((logits, mask)), abs=1e-6)


def test_error_nothing_to_average():
    with pytest.raises(ValueError, match="nothing to average; call update"):
        OnlineMetrics().compute()


def test_error_sizes():
    with pytest.raises(ValueError, match=r"same shape; got \(2, 1, 8, 8\) and \(2, 8, 8\)"):
        OnlineMetrics().update(torch.zeros(2, 1, 8, 8), torch.zeros(2, 8, 8))


def test_shape_counts_add_up():
    metrics = OnlineMetrics()
    metrics.update(on_levels(3, 1, 65, 97), scattered(3, 1, 65, 97))
    assert metrics.count == 3
    assert np.isfinite(list(metrics.compute().values())).all()


def test_value_further_metrics_are_averaged_where_they_are_defined():
    logits = torch.tensor([[4.0, -4.0], [-4.0, -4.0]])[:, None, None, :].expand(2, 1, 3, 2)
    mask = torch.tensor([[1.0, 0.0], [0.0, 0.0]])[:, None, None, :].expand(2, 1, 3, 2)
    area = Metric("area", lambda pair: float(pair.values.mean()) if pair.foreground.any() else math.nan)
    count = Metric("count", lambda pair: float(pair.foreground.sum()))
    online, other = OnlineMetrics([area, count]), OnlineMetrics([area, count])
    online.update(logits[:1], mask[:1])
    other.update(logits[1:], mask[1:])
    online.merge(pickle.loads(pickle.dumps(other)))
    scores = online.compute()
    assert scores["quick_count"] == 1.5
    assert scores["quick_area"] == pytest.approx((250 / 255 + 5 / 255) / 2, abs=1e-6), "8 bits, not stretched"
    nothing = OnlineMetrics([area])
    nothing.update(logits[1:], mask[1:])
    assert math.isnan(nothing.compute()["quick_area"])


def test_value_ignored_pixels_are_left_out():
    generator = torch.Generator().manual_seed(0)
    logits, mask = torch.randn(3, 1, 33, 47, generator=generator), torch.zeros(3, 1, 33, 47)
    mask[..., 10:20, 15:40] = 1
    weight = torch.ones_like(mask)
    weight[..., :20] = 0
    weight[2] = 0  # an image that counts nowhere
    ignored, cropped = OnlineMetrics([record_of("mba")]), OnlineMetrics()
    ignored.update(torch.where(weight > 0, logits, 99.0), torch.where(weight > 0, mask, 1.0), weight)
    cropped.update(logits[:2, ..., 20:], mask[:2, ..., 20:])
    scores = ignored.compute()
    assert ignored.count == 2
    assert 0 < scores.pop("quick_mba") < 1
    assert scores == pytest.approx(cropped.compute())
