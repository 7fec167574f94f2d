import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dichoseg import SyntheticDataset, fit
from dichoseg.augmentations import (
    gpu_augmentation,
)
from dichoseg.augmentations.gpu import dis_tuning, isnet, strong


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), height=st.sampled_from([40, 65]), width=st.sampled_from([40, 97]))
def test_value_image_and_mask_move_together(seed, height, width):
    torch.manual_seed(seed)
    mask = torch.rand(3, 1, height, width)
    exact = gpu_augmentation(elastic=0, clahe=0, brightness_contrast=0, gamma=0, blur_patches=0)
    image, moved = exact(mask.expand(-1, 3, -1, -1), mask)
    assert image.shape[-2:] == (round(height / 1.25), round(width / 1.25))
    assert torch.equal(image, moved.expand(-1, 3, -1, -1))
    assert set(moved.unique().tolist()) <= set(mask.unique().tolist()), "moved exactly, not resampled"


@pytest.mark.parametrize("preset", ["dis_tuning", "strong"])
@pytest.mark.parametrize("size", [(40, 40), (65, 97), (64, 128)])
def test_shape_and_range_of_the_whole_preset(size, preset):
    torch.manual_seed(0)
    augmentation = gpu_augmentation(preset)
    corner = torch.zeros(1, *size)
    corner[:, :20, :30] = 1
    masks = torch.stack([torch.zeros(1, *size), torch.ones(1, *size), corner, torch.rand(1, *size)])
    for _ in range(3):
        image, mask = augmentation(torch.rand(4, 3, *size), masks)
        assert image.shape == (4, 3, *(round(side / 1.25) for side in size))
        assert mask.shape == (4, 1, *image.shape[-2:])
        assert image.dtype == mask.dtype == torch.float32
        for values in (image, mask):
            assert values.min() >= 0
            assert values.max() <= 1 + 1e-6, "resampling rounds"
        assert not mask[0].any()
        assert mask[1].min() > 0.999


def test_value_presets():
    assert gpu_augmentation("isnet").input_scale == 1.0
    assert gpu_augmentation().input_scale == dis_tuning().input_scale == strong().input_scale == 1.25
    assert _names(isnet()) == ["RandomHorizontalFlip"]
    assert _names(dis_tuning()) == [
        "RandomCrop", "RandomRotate90", "RandomElastic", "RandomHorizontalFlip", "RandomVerticalFlip",
        "RandomLumaClahe", "ColorJiggle", "RandomGamma", "RandomBlurPatches",
    ]  # fmt: skip
    assert _names(strong()) == [
        "RandomCrop", "RandomHorizontalFlip", "RandomAffine", "ColorJitter", "RandomGrayscale", "RandomGaussianBlur",
        "RandomSaltAndPepperNoise", "RandomJPEG",
    ]  # fmt: skip


def _names(augmentation):
    steps = [getattr(step, "augmentation", step) for step in augmentation.augmentations]
    return [type(getattr(step, "pipeline", [step])[0]).__name__ for step in steps]


def test_value_steps_that_cannot_act_are_left_out():
    nothing = gpu_augmentation("isnet", horizontal_flip=0)
    image, mask = torch.rand(2, 3, 65, 97), torch.rand(2, 1, 65, 97)
    assert nothing.augmentations == ()
    assert all(a is b for a, b in zip(nothing(image, mask), (image, mask), strict=True))
    flip, _ = gpu_augmentation("isnet", horizontal_flip=1)(image, mask)
    assert torch.equal(flip, image.flip(-1))


@pytest.mark.parametrize("preset", ["dis_tuning", "strong"])
def test_value_repeatable(disc, preset):
    image = torch.rand(2, 3, 65, 97)
    augmentation = gpu_augmentation(preset)
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(augmentation(image, disc)[0])
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_value_strong_is_repeatable_in_fit_whatever_the_workers(small_isnet):
    start = {key: value.clone() for key, value in small_isnet.state_dict().items()}
    losses = []
    for workers, seed in ((0, 1), (2, 1), (0, 2)):
        small_isnet.load_state_dict(start)
        data = SyntheticDataset(4, size=80)
        history = fit(
            small_isnet, data, augmentation=strong(), epochs=1, batch_size=2, workers=workers, device="cpu", seed=seed
        )
        losses.append(history[-1]["loss"])
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


@pytest.mark.parametrize("preset", ["dis_tuning", "strong"])
def test_value_bfloat16_autocast_changes_nothing(disc, preset):
    image = torch.rand(2, 3, 65, 97)
    results = []
    for enabled in (False, True):
        torch.manual_seed(3)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            results.append(gpu_augmentation(preset)(image, disc)[0])
    assert torch.equal(*results)


def test_error_unknown_preset():
    with pytest.raises(ValueError, match=r"no augmentation preset 'dis_tunign'; did you mean 'dis_tuning'\?"):
        gpu_augmentation("dis_tunign")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_value_same_draws_on_cuda(disc):
    image = torch.rand(2, 3, 65, 97)
    results = []
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)
        moved, mask = gpu_augmentation()(image.to(device), disc.to(device))
        assert moved.device.type == mask.device.type == device
        results.append((moved.cpu(), mask.cpu()))
    # half a step of 255 decides between two entries of CLAHE's tables
    torch.testing.assert_close(results[0], results[1], atol=0.02, rtol=0)
