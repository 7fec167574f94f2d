import numpy as np
import pytest
import torch

from dichoseg.losses import BCELoss, DiceLoss, IoULoss, StructureLoss

REGION = [IoULoss(), DiceLoss(), StructureLoss()]


def named(loss):
    return type(loss).__name__


def logit(probability):
    return torch.logit(torch.tensor(probability, dtype=torch.float64)).view(1, 1, *np.shape(probability))


def as_mask(values):
    return torch.tensor(values, dtype=torch.float64).view(1, 1, *np.shape(values))


P, M = [[0.25, 0.5, 0.75]], [[0.0, 1.0, 1.0]]  # sum(p) = 1.5, sum(pm) = 1.25, sum(p²) = 0.875


def test_value_iou_by_hand():
    assert float(IoULoss()(logit(P), as_mask(M))) == pytest.approx(1 - (1.25 + 1) / (1.5 + 2 - 1.25 + 1), rel=1e-9)


def test_value_dice_by_hand():
    assert float(DiceLoss()(logit(P), as_mask(M))) == pytest.approx(1 - (2.5 + 1) / (0.875 + 2 + 1), rel=1e-9)


def test_value_structure_by_hand():
    # A window of 3 ends at the image: means 1/2, 2/3, 1, so |mean - mask| = 1/2, 1/3, 0 and weights 2, 5/3, 1.
    bce = 2 * np.log(4 / 3) + 5 / 3 * np.log(2) + np.log(4 / 3)
    intersection = 5 / 3 * 0.5 + 0.75
    union = 2 * 0.25 + 5 / 3 + 1  # p where the mask is 0, 1 where it is 1
    expected = bce / (2 + 5 / 3 + 1) + 1 - (intersection + 1) / (union + 1)
    assert float(StructureLoss(width=3, border_weight=2.0)(logit(P), as_mask(M))) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("height", "width"), [(65, 97), (7, 40), (1, 1)])
def test_value_structure_is_the_papers_formula(height, width):
    random = np.random.default_rng(0)
    logits, mask = random.normal(size=(2, height, width)), random.random((2, height, width)).round()
    values = []
    for one_logits, one_mask in zip(logits, mask, strict=True):
        alpha = np.empty((height, width))
        for i, j in np.ndindex(height, width):
            window = one_mask[max(i - 15, 0) : i + 16, max(j - 15, 0) : j + 16]
            alpha[i, j] = abs(window.mean() - one_mask[i, j])
        weight, probability = 1 + 5 * alpha, 1 / (1 + np.exp(-one_logits))
        right = np.where(one_mask == 1, probability, 1 - probability)
        union = weight * np.where(one_mask == 1, 1, probability)
        cross_entropy = -(weight * np.log(right)).sum() / weight.sum()
        values.append(cross_entropy + 1 - ((weight * probability * one_mask).sum() + 1) / (union.sum() + 1))
    result = StructureLoss()(torch.from_numpy(logits)[:, None], torch.from_numpy(mask)[:, None])
    assert float(result) == pytest.approx(np.mean(values), rel=1e-9)


@pytest.mark.parametrize("loss", REGION, ids=named)
@pytest.mark.parametrize("fill", [0.0, 1.0])
def test_value_of_a_right_and_a_wrong_answer(loss, fill, disc):
    masks = torch.cat([disc, torch.full_like(disc, fill)])
    right = 200 * masks - 100
    assert float(loss(right, masks)) == pytest.approx(0, abs=1e-6)
    for index in range(4):
        wrong = float(loss(-right[index : index + 1], masks[index : index + 1]))
        assert wrong == pytest.approx(101 if isinstance(loss, StructureLoss) else 1, rel=1e-3)


def test_value_of_empty_and_full_masks(disc):
    empty, full, logits = torch.zeros(1, 1, 65, 97), torch.ones(1, 1, 65, 97), torch.zeros(1, 1, 65, 97)
    pixels = 65 * 97
    assert float(IoULoss()(logits, empty)) == pytest.approx(1 - 1 / (pixels / 2 + 1))
    assert float(IoULoss()(logits, full)) == pytest.approx(1 - (pixels / 2 + 1) / (pixels + 1))
    assert float(DiceLoss()(logits, empty)) == pytest.approx(1 - 1 / (pixels / 4 + 1))
    assert float(DiceLoss()(logits, full)) == pytest.approx(1 - (pixels + 1) / (pixels / 4 + pixels + 1))
    for mask in (empty, full):
        plain = float(BCELoss()(logits, mask) + IoULoss()(logits, mask))
        assert float(StructureLoss()(logits, mask)) == pytest.approx(plain, rel=1e-6)


def test_value_dice_of_a_grey_mask_is_0_where_equal():
    grey = torch.rand(1, 1, 5, 7, dtype=torch.float64) * 0.9 + 0.05
    assert float(DiceLoss()(grey.logit(), grey)) == pytest.approx(0, abs=1e-12)
    assert float(IoULoss()(grey.logit(), grey)) > 0.01


@pytest.mark.parametrize("loss", REGION, ids=named)
def test_value_averages_per_image_first(loss, disc):
    logits = torch.randn(2, 1, 65, 97, generator=torch.manual_seed(0))
    one_by_one = [float(loss(logits[i : i + 1], disc[i : i + 1])) for i in range(2)]
    assert float(loss(logits, disc)) == pytest.approx(np.mean(one_by_one), rel=1e-6)


@pytest.mark.parametrize("loss", REGION, ids=named)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_value_sums_in_float32(loss, dtype, disc):
    logits = torch.randn(2, 1, 65, 97, generator=torch.manual_seed(0)).to(dtype)
    expected = loss(logits.float(), disc)
    with torch.autocast("cpu", dtype):
        assert torch.equal(loss(logits, disc.to(dtype)), expected)


@pytest.mark.parametrize("loss", [IoULoss(), DiceLoss()], ids=named)
@pytest.mark.parametrize("shape", [(2, 65, 97), (1, 1, 65, 97), (2, 1, 1, 1)])
def test_error_a_mask_that_would_be_broadcast(loss, shape):
    with pytest.raises(ValueError, match=r"must have the same shape; got \(2, 1, 65, 97\) and \("):
        loss(torch.zeros(2, 1, 65, 97), torch.zeros(shape))


@pytest.mark.parametrize("width", [1, 4])
def test_error_width(width):
    with pytest.raises(ValueError, match=f"width must be odd and 3 or more; got {width}"):
        StructureLoss(width=width)


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_error_border_weight(weight):
    with pytest.raises(ValueError, match=f"border_weight must be a finite number, 0 or more; got {weight}"):
        StructureLoss(border_weight=weight)


def test_value_iou_without_smoothing():
    logits = torch.full((2, 1, 1, 4), 100.0)
    logits[..., 2:] = -100
    mask = torch.tensor([1.0, 0.0, 1.0, 0.0]).expand(2, 1, 1, 4)
    assert float(IoULoss(smoothing=0)(logits, mask)) == pytest.approx(2 / 3)
    assert float(IoULoss(smoothing=0, reduction="sum")(logits, mask)) == pytest.approx(4 / 3)


def test_gradient_iou_of_nothing_and_nothing():
    logits = torch.full((1, 1, 4, 4), -200.0, requires_grad=True)
    loss = IoULoss(smoothing=0)(logits, torch.zeros(1, 1, 4, 4))
    loss.backward()
    assert float(loss.detach()) == 1
    assert not logits.grad.any()


def test_error_reduction():
    with pytest.raises(ValueError, match="reduction .*'max'"):
        IoULoss(reduction="max")
    with pytest.raises(ValueError, match="smoothing .*-1"):
        IoULoss(smoothing=-1)


def test_value_structure_with_zeros_around_the_image():
    mask = torch.ones(1, 1, 3, 3)
    logits = torch.zeros(1, 1, 3, 3)
    logits[..., 1, 1] = 2
    weight = torch.ones(3, 3)  # of windows of 3 pixels, the corner's has 5 zeros, an edge's 3
    weight[::2, ::2], weight[1, ::2], weight[::2, 1] = 1 + 5 * 5 / 9, 1 + 5 / 3, 1 + 5 / 3
    errors, probability = -logits[0, 0].sigmoid().log(), logits[0, 0].sigmoid()
    overlap = ((weight * probability).sum() + 1) / (weight.sum() + 1)
    wanted = (weight * errors).sum() / weight.sum() + 1 - overlap
    torch.testing.assert_close(StructureLoss(width=3, padding="zeros")(logits, mask), wanted)
