import pytest
import torch

from dichoseg.augmentations import RandomBlurPatches, blur_patches
from dichoseg.augmentations.blur_patches import Patch, _box_blur, blur, border


def test_value_box_blur_is_an_average():
    image = torch.rand(3, 20, 30)
    expected = torch.nn.functional.avg_pool2d(image[None], 7, stride=1, padding=3, count_include_pad=False)[0]
    torch.testing.assert_close(_box_blur(image, 3), expected, rtol=1e-4, atol=1e-5)


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


@pytest.mark.parametrize("count", [0, 1, 5])
def test_value_exact_count_on_the_border(count, monkeypatch):
    places = []
    monkeypatch.setattr(blur_patches, "blur", lambda target, source, patch: places.append((patch.row, patch.column)))
    mask = torch.zeros(2, 1, 65, 97)
    mask[:, :, 20:40, 30:60] = 1
    RandomBlurPatches(count)(torch.rand(2, 3, 65, 97), mask)
    assert len(places) == 2 * count
    assert all(border(mask[:, 0] > 0.5)[0, row, column] for row, column in places)


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


def test_value_white_stays_white_and_bytes_round():
    white = torch.ones(3, 65, 97)
    blur(changed := white.clone(), white, Patch(30, 40, 20, 3))
    assert torch.equal(changed, white), "an average never leaves the range of what it averages"
    stripes = torch.tensor([0, 255, 255, 255, 255], dtype=torch.uint8).repeat(3, 27, 13)
    blur(changed := stripes.clone(), stripes, Patch(13, 32, 1, 2))
    assert changed[0, 13, 32] == 204
    assert int((changed != stripes).sum()) == 3, "one pixel in each channel"


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
