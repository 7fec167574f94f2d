import cv2
import numpy as np
import pytest
import torch

from dichoseg import FolderDataset, fit
from dichoseg.augmentations import cpu_augmentation, gpu_augmentation, presets


@pytest.mark.parametrize("shape", [(65, 97), (300, 40), (9, 9)])
@pytest.mark.parametrize("value", [0, 255])
def test_shape_square_of_the_size_asked_for(shape, value):
    torch.manual_seed(0)
    data = {
        "image": np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8),
        "mask": np.full(shape, value, np.uint8),
    }
    result = cpu_augmentation(size=65)(**data)
    assert result["image"].shape == (65, 65, 3)
    assert result["image"].dtype == result["mask"].dtype == np.uint8
    assert np.array_equal(result["mask"], np.full((65, 65), value)), "empty and full masks stay"


@pytest.mark.parametrize(
    ("preset", "names"),
    [
        ("isnet", ["Resize", "HorizontalFlip"]),
        (
            "dis_tuning",
            [
                *["Resize", "RandomCrop", "_Rotate90", "_Elastic", "HorizontalFlip", "VerticalFlip", "CLAHE"],
                *["RandomBrightnessContrast", "RandomGamma", "BlurPatchesTransform"],
            ],
        ),
        (
            "strong",
            [
                *["Resize", "RandomCrop", "HorizontalFlip", "Affine", "ColorJitter", "ToGray", "GaussianBlur"],
                *["SaltAndPepper", "ImageCompression"],
            ],
        ),
    ],
)
def test_value_both_back_ends_take_the_same_steps(preset, names):
    transforms = list(cpu_augmentation(preset).pipeline)
    assert [type(step).__name__ for step in transforms] == names
    device = gpu_augmentation(preset)
    chances = [step.p for step in device.augmentations if hasattr(step, "p")]
    assert chances == [step.p for step in transforms if type(step).__name__ not in ("Resize", "RandomCrop")]
    if device.input_scale > 1:
        assert transforms[0].height / transforms[1].height == device.input_scale
    if preset == "dis_tuning":
        assert transforms[-1].patches == device.augmentations[-1].patches == 5


NEUTRAL = ((1, 1), (1, 1), (1, 1), (0, 0))


@pytest.mark.parametrize(
    ("step", "constants"),
    [
        ("affine", {"ZOOM": (1.2, 1.2), "ROTATION": 0.0}),
        ("affine", {"ZOOM": (0.8, 0.8), "ROTATION": 0.0}),
        ("color_jitter", {"COLOR_JITTER": ((1.3, 1.3), *NEUTRAL[1:])}),
        ("color_jitter", {"COLOR_JITTER": (NEUTRAL[0], (0.6, 0.6), *NEUTRAL[2:])}),
        ("color_jitter", {"COLOR_JITTER": (*NEUTRAL[:2], (1.8, 1.8), NEUTRAL[3])}),
        ("color_jitter", {"COLOR_JITTER": (*NEUTRAL[:3], (0.05, 0.05))}),
        ("grayscale", {}),
        ("gaussian_blur", {"BLUR_SIGMA": (1.2, 1.2)}),
    ],
)
def test_value_both_back_ends_mean_the_same(step, constants, monkeypatch):
    image, on_cpu, on_gpu = _both(step, constants, monkeypatch)
    assert (on_cpu[0] - on_gpu[0]).abs().mean() < 0.1 * (on_cpu[0] - image).abs().mean()
    assert (on_cpu[1] - on_gpu[1]).abs().mean() < 0.001


def test_value_jpeg_does_as_much_harm_in_both(monkeypatch):
    harm = []
    for quality in (50, 95):
        image, on_cpu, on_gpu = _both("jpeg", {"JPEG_QUALITY": (quality, quality)}, monkeypatch)
        harm.append([float((changed - image).abs().mean()) for changed, _ in (on_cpu, on_gpu)])
        assert 0.75 < harm[-1][0] / harm[-1][1] < 1.33
    assert min(harm[0]) > 1.5 * max(harm[1])


def _both(step, constants, monkeypatch):
    """An image, and the pair that each back end makes of it and its mask, as tensors in [0, 1]."""
    for name, value in constants.items():
        monkeypatch.setattr(presets, name, value)
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    image = cv2.blur(noise, (3, 3))
    mask = np.zeros((96, 96), np.uint8)
    mask[20:70, 30:60] = 255
    tensors = torch.from_numpy(image).permute(2, 0, 1)[None] / 255, torch.from_numpy(mask)[None, None] / 255
    torch.manual_seed(0)
    result = cpu_augmentation("isnet", size=96, horizontal_flip=0, **{step: 1})(image=image, mask=mask)
    on_cpu = torch.from_numpy(result["image"]).permute(2, 0, 1)[None] / 255, torch.from_numpy(result["mask"]) / 255
    return tensors[0], on_cpu, gpu_augmentation("isnet", horizontal_flip=0, **{step: 1})(*tensors)


def test_value_salt_and_pepper_hit_as_many_pixels_in_both():
    grey = np.full((400, 400, 3), 128, np.uint8)
    torch.manual_seed(0)
    none = {"horizontal_flip": 0, "salt_pepper": 1}
    on_cpu = cpu_augmentation("isnet", size=400, **none)(image=grey, mask=grey[..., 0])["image"]
    on_gpu, _ = gpu_augmentation("isnet", **none)(torch.full((1, 3, 400, 400), 0.5), torch.zeros(1, 1, 400, 400))
    for pixels in (torch.from_numpy(on_cpu)[..., 0] / 255, on_gpu[0, 0]):
        assert 0.0005 < (pixels == 1).float().mean() < 0.001
        assert 0.0005 < (pixels == 0).float().mean() < 0.001


@pytest.mark.parametrize("preset", ["dis_tuning", "strong"])
def test_value_number_of_workers_changes_nothing(preset, small_isnet, pair_folders):
    data = FolderDataset(*pair_folders, transform=cpu_augmentation(preset, size=64))
    weights = small_isnet.state_dict()
    start = {key: value.clone() for key, value in weights.items()}
    losses = []
    for workers in (0, 2):
        small_isnet.load_state_dict(start)
        losses.append(fit(small_isnet, data, epochs=2, batch_size=3, workers=workers, device="cpu")[-1]["loss"])
    assert losses[0] == losses[1]
