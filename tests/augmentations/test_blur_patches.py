import pytest
import torch

from dichoseg.augmentations import RandomBlurPatches
from dichoseg.augmentations.blur_patches import _border, _box_blur


def test_value_box_blur_is_an_average():
    image = torch.rand(3, 20, 30)
    expected = torch.nn.functional.avg_pool2d(image[None], 7, stride=1, padding=3, count_include_pad=False)[0]
    torch.testing.assert_close(_box_blur(image, 3), expected, rtol=1e-4, atol=1e-5)


def test_value_border_pixels():
    mask = torch.zeros(1, 1, 5, 5)
    mask[..., 2, 2] = 1
    assert _border(mask)[0].int().tolist() == [
        [0] * 5,
        [0, 0, 1, 0, 0],
        [0, 1, 1, 1, 0],
        [0, 0, 1, 0, 0],
        [0] * 5,
    ]


@pytest.mark.parametrize("count", [0, 1, 5])
def test_value_exact_count_on_the_border(count, monkeypatch):
    places = []
    monkeypatch.setattr(
        RandomBlurPatches, "_blur", lambda self, target, source, row, column, g: places.append((row, column))
    )
    mask = torch.zeros(2, 1, 65, 97)
    mask[:, :, 20:40, 30:60] = 1
    RandomBlurPatches(count)(torch.rand(2, 3, 65, 97), mask)
    assert len(places) == 2 * count
    assert all(_border(mask)[0, row, column] for row, column in places)


def test_value_mask_untouched_and_changes_lie_near_the_border():
    mask = torch.zeros(1, 1, 65, 97)
    mask[..., 40:] = 1
    image = torch.rand(1, 3, 65, 97)
    before = image.clone()
    blurred, same = RandomBlurPatches(3, size=(5, 9), kernel=(3, 3), unit="pixels")(image, mask)
    assert same is mask
    assert torch.equal(image, before)
    changed = (blurred != image).any(dim=1)[0].any(dim=0).nonzero()[:, 0]
    assert int(changed.min()) >= 34
    assert int(changed.max()) <= 45


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_value_no_border_no_change(value):
    image = torch.rand(2, 3, 65, 97)
    assert torch.equal(RandomBlurPatches()(image, torch.full((2, 1, 65, 97), value))[0], image)


def test_value_repeatable(disc):
    image = torch.rand(2, 3, 65, 97)
    torch.manual_seed(3)
    first = RandomBlurPatches()(image, disc)[0]
    torch.manual_seed(3)
    assert torch.equal(RandomBlurPatches()(image, disc)[0], first)
    state = torch.get_rng_state()
    own = [RandomBlurPatches(generator=torch.Generator().manual_seed(1))(image, disc)[0] for _ in range(2)]
    assert torch.equal(*own)
    assert torch.equal(torch.get_rng_state(), state), "a generator of its own leaves the global one alone"


def test_error_ranges():
    with pytest.raises(ValueError, match="patches must be 0 or more; got -1"):
        RandomBlurPatches(-1)
    with pytest.raises(ValueError, match=r"size must be a range \(low, high\) above 0, in fraction"):
        RandomBlurPatches(size=(5, 9))
