import numpy as np
import pytest
import torch

from dichoseg.losses import SSIMLoss

C1, C2 = 0.01**2, 0.03**2


def ssim_loss(probability, mask):
    """Of one image, pixel by pixel, from the paper's formula."""
    distance = np.arange(-5, 6)
    weights = np.exp(-(distance[:, None] ** 2 + distance**2) / (2 * 1.5**2))
    weights /= weights.sum()
    p, m = (np.pad(values, 5, mode="edge") for values in (probability, mask))
    losses = np.empty(probability.shape)
    for i, j in np.ndindex(*losses.shape):
        p_window, m_window = p[i : i + 11, j : j + 11], m[i : i + 11, j : j + 11]
        p_mean, m_mean = (weights * p_window).sum(), (weights * m_window).sum()
        p_variance, m_variance = (weights * (p_window - p_mean) ** 2).sum(), (weights * (m_window - m_mean) ** 2).sum()
        covariance = (weights * (p_window - p_mean) * (m_window - m_mean)).sum()
        luminance = (2 * p_mean * m_mean + C1) / (p_mean**2 + m_mean**2 + C1)
        losses[i, j] = 1 - luminance * (2 * covariance + C2) / (p_variance + m_variance + C2)
    return losses.mean()


@pytest.mark.parametrize("size", [(20, 33), (5, 7), (1, 12), (1, 1)])
def test_value_is_the_papers_formula(size):
    random = np.random.default_rng(0)
    logits, mask = random.normal(size=(2, *size)), random.random((2, *size)).round()
    expected = np.mean([ssim_loss(1 / (1 + np.exp(-x)), m) for x, m in zip(logits, mask, strict=True)])
    result = SSIMLoss()(torch.from_numpy(logits)[:, None], torch.from_numpy(mask)[:, None])
    assert float(result) == pytest.approx(expected, rel=1e-9)


def test_value_by_hand():
    # Flat images have no variance: 1 - (2 * 0.5 * 1 + C1) / (0.5² + 1 + C1).
    expected = 1 - (1 + C1) / (1.25 + C1)
    result = SSIMLoss()(torch.zeros(1, 1, 4, 6, dtype=torch.float64), torch.ones(1, 1, 4, 6))
    assert float(result) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("fill", [0.0, 1.0])
def test_value_of_empty_and_full_masks(fill):
    mask = torch.full((1, 1, 65, 97), fill)
    right = 200 * mask - 100
    assert float(SSIMLoss()(right, mask)) == pytest.approx(0, abs=1e-6)
    assert float(SSIMLoss()(-right, mask)) == pytest.approx(1 - 1e-4 / 1.0001, rel=1e-6)


def test_value_of_a_right_answer(disc):
    assert float(SSIMLoss()(200 * disc - 100, disc)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_value_in_float32(dtype, disc):
    logits = torch.randn(2, 1, 65, 97, generator=torch.manual_seed(0)).to(dtype)
    expected = SSIMLoss()(logits.float(), disc)
    with torch.autocast("cpu", dtype):
        assert torch.equal(SSIMLoss()(logits, disc.to(dtype)), expected)


def test_value_padded_with_zeros():
    # a window at the corner of a full mask of 4 by 6 sees ones in the image only: a difference in mean and variance
    mask = torch.ones(1, 1, 4, 6, dtype=torch.float64)
    assert float(SSIMLoss(padding="zeros")(200 * mask - 100, mask)) == pytest.approx(0, abs=1e-9)
    distance = np.arange(-5, 6)
    weights = np.exp(-(distance**2) / (2 * 1.5**2)) / np.exp(-(distance**2) / (2 * 1.5**2)).sum()
    expected = []
    for row, column in np.ndindex(4, 6):
        inside = weights[5 - row : 9 - row].sum() * weights[5 - column : 11 - column].sum()
        expected.append(1 - C1 / (inside**2 + C1) * C2 / (inside - inside**2 + C2))  # of an empty prediction
    found = SSIMLoss(padding="zeros")(100 - 200 * mask, mask)
    assert float(found) == pytest.approx(np.mean(expected), rel=1e-9)


def test_error_padding():
    with pytest.raises(ValueError, match="padding .*'ones'"):
        SSIMLoss(padding="ones")
