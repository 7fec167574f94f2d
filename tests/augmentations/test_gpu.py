import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dichoseg.augmentations import Compose, KorniaAugmentation, RandomCrop, RandomRotate90, gpu_augmentation


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), height=st.sampled_from([40, 65]), width=st.sampled_from([40, 97]))
def test_value_image_and_mask_move_together(seed, height, width):
    torch.manual_seed(seed)
    mask = torch.rand(3, 1, height, width)
    image, moved = gpu_augmentation(blur_patches=0)(mask.expand(-1, 3, -1, -1), mask)
    assert image.shape[-2:] == (round(height / 1.25), round(width / 1.25))
    assert torch.equal(image, moved.expand(-1, 3, -1, -1))
    assert set(moved.unique().tolist()) <= set(mask.unique().tolist()), "moved exactly, not resampled"


def test_value_rotations_are_exact_and_per_image():
    torch.manual_seed(0)
    image = torch.rand(64, 1, 6, 6)
    turned, _ = RandomRotate90(1.0)(image, image)
    turns = [
        next(k for k in range(4) if torch.equal(a.rot90(k, (-2, -1)), b)) for a, b in zip(image, turned, strict=True)
    ]
    assert set(turns) == {0, 1, 2, 3}
    assert torch.equal(RandomRotate90(0.0)(image, image)[0], image)


def test_value_crop_reaches_every_offset():
    torch.manual_seed(0)
    ramp = torch.arange(5.0).expand(200, 1, 5, 5)
    corners = RandomCrop(1.25)(ramp, ramp)[0][:, 0, 0, 0]
    assert set(corners.tolist()) == {0.0, 1.0}


def test_value_flip_probabilities():
    from kornia.augmentation import RandomHorizontalFlip

    image = torch.rand(2, 3, 5, 7)
    flipped, mask = KorniaAugmentation(RandomHorizontalFlip(p=1.0))(image, image[:, :1])
    assert torch.equal(flipped, image.flip(-1))
    assert torch.equal(mask, image[:, :1].flip(-1))


def test_value_compose_joins_scales():
    assert Compose(RandomCrop(1.25), RandomCrop(2.0)).input_scale == 2.5


def test_error_scale():
    with pytest.raises(ValueError, match="input_scale must be 1 or more"):
        RandomCrop(0.5)
