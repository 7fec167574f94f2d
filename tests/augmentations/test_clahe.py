import albumentations
import pytest
import torch
from kornia.color import rgb_to_grayscale

from dichoseg.augmentations.clahe import RandomLumaClahe


def _dull(height, width):
    """Reddish noise of little contrast."""
    noise = 0.4 + 0.1 * torch.rand(height, width, generator=torch.Generator().manual_seed(0))
    return torch.stack([noise + 0.1, noise, noise - 0.1])[None]


@pytest.mark.parametrize("size", [(65, 97), (64, 64), (9, 120)])
def test_shape_any_size(size):
    torch.manual_seed(0)
    equalized = RandomLumaClahe((1.0, 4.0), (8, 8), p=1.0)(torch.rand(2, 3, *size))
    assert equalized.shape == (2, 3, *size)
    assert equalized.min() >= 0
    assert equalized.max() <= 1


def test_value_contrast_grows_and_colours_stay():
    image = _dull(65, 97)
    equalized = RandomLumaClahe((4.0, 4.0), (8, 8), p=1.0)(image)
    assert rgb_to_grayscale(equalized).std() > 1.2 * rgb_to_grayscale(image).std()
    torch.testing.assert_close(equalized[:, 0] - equalized[:, 2], image[:, 0] - image[:, 2], atol=1e-5, rtol=0)


def test_value_looks_like_albumentations():
    image = _dull(64, 96)
    pixels = (image[0].permute(1, 2, 0) * 255).round().byte().numpy()
    expected = albumentations.CLAHE((4.0, 4.0), (8, 8), p=1.0)(image=pixels)["image"] / 255
    equalized = RandomLumaClahe((4.0, 4.0), (8, 8), p=1.0)(image)[0].permute(1, 2, 0).numpy()
    effect = abs(expected - pixels / 255).mean()
    assert abs(equalized - expected).mean() < 0.3 * effect


def test_value_every_image_draws_its_own_limit():
    torch.manual_seed(0)
    equalized = RandomLumaClahe((1.0, 4.0), (8, 8), p=1.0)(_dull(256, 256).expand(2, -1, -1, -1))
    assert not torch.equal(equalized[0], equalized[1])
