import numpy as np
import pytest
import torch

from dichoseg.augmentations import cpu_augmentation

from .conftest import PHOTOMETRIC

EXACT = {"elastic": 0, "clahe": 0, "brightness_contrast": 0, "gamma": 0, "blur_patches": 0}


def _seeded(transform, seed, data):
    torch.manual_seed(seed)
    return transform(**data)


def test_value_geometry_moves_image_and_mask_alike(pair):
    pair["image"] = np.repeat(pair["mask"][:, :, None], 3, axis=2)
    transform = cpu_augmentation(size=64, **(EXACT | {"elastic": 0.8}))
    for seed in range(10):
        result = _seeded(transform, seed, pair)
        assert np.array_equal(result["image"][..., 0], result["mask"])
        assert len(np.unique(result["mask"])) > 20, "soft edges stay soft"


@pytest.mark.parametrize("step", [*PHOTOMETRIC, "blur_patches"])
def test_value_photometric_steps_change_the_image_alone(step, pair):
    none = {"horizontal_flip": 0} | EXACT
    plain = _seeded(cpu_augmentation("isnet", size=64, **none), 0, pair)
    changed = _seeded(cpu_augmentation("isnet", size=64, **(none | {step: 1})), 0, pair)
    assert np.array_equal(plain["mask"], changed["mask"])
    assert not np.array_equal(plain["image"], changed["image"])


def test_value_resize_averages_along_one_side_and_ramps_along_the_other():
    image = np.zeros((4, 256, 3), np.uint8)
    image[2:, 1::2] = 200
    none = {"horizontal_flip": 0} | EXACT
    image = cpu_augmentation("isnet", size=64, **none)(image=image, mask=image[..., 0])["image"]
    assert np.ptp(image, axis=1).max() == 0, "columns of 0 and 200 become their mean"
    assert len(np.unique(image)) > 10, "rows ramp, without steps"


def test_value_quarter_turns_keep_the_size_of_an_oblong():
    image = np.zeros((64, 128, 3), np.uint8)
    augmentation = cpu_augmentation("dis_tuning", size=(64, 128), rotate90=1.0)
    assert {augmentation(image=image, mask=image[..., 0])["image"].shape for _ in range(12)} == {(64, 128, 3)}
