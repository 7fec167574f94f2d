import pytest
import torch

from dichoseg.augmentations import RandomElastic
from dichoseg.augmentations.elastic import _sample, displacement


@pytest.mark.parametrize("size", [(65, 97), (256, 256)])
def test_value_pixels_move_about_as_far_as_nodes(size):
    torch.manual_seed(0)
    shifts = displacement((torch.rand(20, 2, 8, 8) * 2 - 1) * 0.015, *size)
    assert shifts.shape == (20, 2, *size)
    furthest = shifts.abs().amax(dim=(1, 2, 3))
    assert 0.015 < furthest.mean() < 0.020, "1.9 % of the side, as the docstring says"
    assert furthest.max() < 1.5 * 0.015


def test_value_no_displacement_is_no_change():
    image = torch.rand(2, 4, 65, 97)
    torch.testing.assert_close(_sample(image, torch.zeros(2, 2, 65, 97)), image, atol=1e-4, rtol=0)


def test_value_displacement_is_a_fraction_of_the_side_x_first():
    rows, columns = torch.meshgrid(torch.arange(20.0), torch.arange(40.0), indexing="ij")
    shifts = torch.tensor([0.1, 0.2]).view(1, 2, 1, 1).expand(1, 2, 20, 40)
    moved = _sample(torch.stack([rows, columns])[None] / 40, shifts)[0] * 40
    torch.testing.assert_close(moved[0, :16], rows[:16] + 4, atol=1e-3, rtol=0)  # 0.2 of 20 rows
    torch.testing.assert_close(moved[1, :, :36], columns[:, :36] + 4, atol=1e-3, rtol=0)  # 0.1 of 40 columns
    assert moved[1, 0, 36:].round().tolist() == [39, 38, 37, 36], "what lies beyond is the reflection"


def test_value_image_and_mask_bend_alike_and_per_image():
    torch.manual_seed(0)
    mask = torch.rand(1, 1, 65, 97).expand(3, -1, -1, -1)
    image, bent = RandomElastic(1.0)(mask.expand(-1, 3, -1, -1), mask)
    torch.testing.assert_close(image, bent.expand(-1, 3, -1, -1))
    assert not torch.equal(bent[0], bent[1])


def test_value_probability():
    torch.manual_seed(0)
    image, mask = torch.rand(200, 3, 8, 8), torch.rand(200, 1, 8, 8)
    bent, _ = RandomElastic(0.8)(image, mask)
    assert 140 <= sum(not torch.equal(a, b) for a, b in zip(image, bent, strict=True)) <= 180
    for before, after in zip((image, mask), RandomElastic(0.0)(image, mask), strict=True):
        assert torch.equal(before, after)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_value_empty_and_full_masks_stay(value):
    mask = torch.full((2, 1, 65, 97), value)
    torch.testing.assert_close(RandomElastic(1.0)(torch.rand(2, 3, 65, 97), mask)[1], mask)
