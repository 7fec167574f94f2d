import pytest
import torch

from dichoseg.augmentations import gpu_augmentation

from .conftest import PHOTOMETRIC


@pytest.mark.parametrize("step", PHOTOMETRIC)
def test_value_photometric_steps_change_the_image_alone(step, disc):
    torch.manual_seed(0)
    image = torch.rand(2, 3, 65, 97) * 0.5 + 0.25
    changed, mask = gpu_augmentation("isnet", horizontal_flip=0, **{step: 1})(image, disc)
    assert torch.equal(mask, disc)
    assert (changed - image).abs().mean() > 0.0005
    factors = (changed - image).mean(dim=(1, 2, 3))
    assert factors[0] != factors[1], "every image draws its own"


def test_value_elastic_keeps_image_and_mask_together(disc):
    torch.manual_seed(0)
    bent, mask = gpu_augmentation("isnet", elastic=1)(disc.expand(-1, 3, -1, -1), disc)
    torch.testing.assert_close(bent, mask.expand(-1, 3, -1, -1))
    assert not torch.equal(mask[0], disc[0])
    assert not mask[1].any()


def test_value_zoom_and_rotation_keep_image_and_mask_together(disc):
    torch.manual_seed(0)
    turned, mask = gpu_augmentation("isnet", affine=1, horizontal_flip=0)(disc.expand(-1, 3, -1, -1), disc)
    torch.testing.assert_close(turned, mask.expand(-1, 3, -1, -1))
    assert not torch.equal(mask[0], disc[0])
    assert not mask[1].any()
    full = torch.ones(8, 1, 65, 97)
    torch.testing.assert_close(gpu_augmentation("isnet", affine=1)(full, full)[1], full)
