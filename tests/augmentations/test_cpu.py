import pickle

import albumentations
import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from dichoseg import FolderDataset, fit
from dichoseg.augmentations import BlurPatchesTransform, SeededTransform, cpu_augmentation, gpu_augmentation

EXACT = {"elastic": 0, "clahe": 0, "brightness_contrast": 0, "gamma": 0, "blur_patches": 0}


@pytest.fixture
def pair():
    """A photograph of noise and a soft mask of 65 by 97."""
    random = np.random.default_rng(0)
    mask = cv2.GaussianBlur(cv2.circle(np.zeros((65, 97), np.uint8), (50, 30), 20, 255, -1), (5, 5), 0)
    return {"image": random.integers(40, 200, (65, 97, 3), dtype=np.uint8), "mask": mask}


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


@pytest.mark.parametrize("step", ["clahe", "brightness_contrast", "gamma", "blur_patches"])
def test_value_photometric_steps_change_the_image_alone(step, pair):
    none = {"horizontal_flip": 0} | EXACT
    plain = _seeded(cpu_augmentation("isnet", size=64, **none), 0, pair)
    changed = _seeded(cpu_augmentation("isnet", size=64, **(none | {step: 1})), 0, pair)
    assert np.array_equal(plain["mask"], changed["mask"])
    assert not np.array_equal(plain["image"], changed["image"])


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


def test_value_resize_averages_along_one_side_and_ramps_along_the_other():
    image = np.zeros((4, 256, 3), np.uint8)
    image[2:, 1::2] = 200
    none = {"horizontal_flip": 0} | EXACT
    image = cpu_augmentation("isnet", size=64, **none)(image=image, mask=image[..., 0])["image"]
    assert np.ptp(image, axis=1).max() == 0, "columns of 0 and 200 become their mean"
    assert len(np.unique(image)) > 10, "rows ramp, without steps"


def test_value_both_back_ends_take_the_same_steps():
    device = gpu_augmentation()
    kornia = {type(step).__name__: step.p for step in device.augmentations[3].pipeline}
    transforms = {type(step).__name__.strip("_"): step for step in cpu_augmentation().pipeline}
    assert [device.augmentations[1].p, device.augmentations[2].p, *kornia.values()] == [
        transforms["RandomRotate90"].p,
        transforms["Elastic"].p,
        transforms["HorizontalFlip"].p,
        transforms["VerticalFlip"].p,
        transforms["CLAHE"].p,
        transforms["RandomBrightnessContrast"].p,
        transforms["RandomGamma"].p,
    ]
    assert transforms["Resize"].height / transforms["RandomCrop"].height == device.input_scale
    assert transforms["BlurPatchesTransform"].patches == device.augmentations[4].patches == 5


def test_value_steps_that_cannot_act_are_left_out():
    assert [type(step).__name__ for step in cpu_augmentation("isnet").pipeline] == ["_Resize", "HorizontalFlip"]
    assert len(cpu_augmentation().pipeline) == 10


def test_value_follows_torch_manual_seed(pair):
    transform = cpu_augmentation(size=64)
    copy = pickle.loads(pickle.dumps(transform))
    first = _seeded(transform, 1, pair)
    _seeded(transform, 2, pair)
    for again in (_seeded(transform, 1, pair), _seeded(copy, 1, pair)):
        assert np.array_equal(first["image"], again["image"])
        assert np.array_equal(first["mask"], again["mask"])
    assert not np.array_equal(first["image"], _seeded(transform, 2, pair)["image"])


def test_value_transforms_of_one_probability_act_independently():
    transform = SeededTransform(albumentations.HorizontalFlip(p=0.5), albumentations.VerticalFlip(p=0.5))
    ramp = np.arange(4, dtype=np.uint8).reshape(2, 2)
    torch.manual_seed(0)
    corners = [transform(image=ramp[..., None], mask=ramp)["mask"][0, 0] for _ in range(40)]
    assert set(corners) == {0, 1, 2, 3}


def test_value_number_of_workers_changes_nothing(small_isnet, tmp_path, pair):
    for name in "abc":
        for folder, key in (("im", "image"), ("gt", "mask")):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(pair[key]).save(tmp_path / folder / f"{name}.png")
    data = FolderDataset(tmp_path / "im", tmp_path / "gt", transform=cpu_augmentation(size=64))
    weights = small_isnet.state_dict()
    start = {key: value.clone() for key, value in weights.items()}
    losses = []
    for workers in (0, 2):
        small_isnet.load_state_dict(start)
        losses.append(fit(small_isnet, data, epochs=2, batch_size=3, workers=workers, device="cpu")[-1]["loss"])
    assert losses[0] == losses[1]


@pytest.mark.parametrize("largest", [1, 255])
def test_value_blur_patches_in_anybodys_compose(largest, pair):
    mask = (pair["mask"] > 127).astype(np.uint8) * largest
    blurs = albumentations.Compose([BlurPatchesTransform(3, size=(5, 9), kernel=(3, 3), unit="pixels")], seed=0)
    result = blurs(image=pair["image"], mask=mask)
    assert result["image"].dtype == np.uint8
    assert result["mask"] is mask or np.array_equal(result["mask"], mask)
    changed = (result["image"] != pair["image"]).any(axis=2)
    distance = cv2.distanceTransform(
        (cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((3, 3))) == 0).astype(np.uint8), cv2.DIST_C, 3
    )
    assert changed.any()
    assert distance[changed].max() <= 5


@pytest.mark.parametrize("shape", [(65, 97), (65, 97, 1), (65, 97, 3)])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_shape_blur_patches_keep_shape_and_type(shape, kind, pair):
    image = np.random.default_rng(0).random(shape).astype(np.float32)
    image = (image * 255).astype(kind) if kind is np.uint8 else image
    image.flags.writeable = False  # as NumPy's view of a Pillow image
    blurred = BlurPatchesTransform()(image=image, mask=pair["mask"].astype(np.float32) / 255)["image"]
    assert blurred.shape == shape
    assert blurred.dtype == kind
    assert not np.array_equal(blurred, image)


@pytest.mark.parametrize("value", [0, 255])
def test_value_blur_patches_need_a_border(value, pair):
    result = BlurPatchesTransform()(image=pair["image"], mask=np.full((65, 97), value, np.uint8))
    assert np.array_equal(result["image"], pair["image"])


def test_value_blur_patches_are_serialised():
    restored = albumentations.from_dict(
        albumentations.to_dict(BlurPatchesTransform(2, unit="pixels", size=(5, 9), kernel=(3, 5)))
    )
    assert (restored.patches, restored.unit, restored.size, restored.kernel, restored.p) == (
        2,
        "pixels",
        (5, 9),
        (3, 5),
        1,
    )


def test_error_values():
    with pytest.raises(ValueError, match="size must be a positive number of pixels; got 0"):
        cpu_augmentation(size=0)
    with pytest.raises(ValueError, match="no augmentation preset 'gpu'"):
        cpu_augmentation("gpu")
    with pytest.raises(ValueError, match="patches must be 0 or more; got -1"):
        BlurPatchesTransform(-1)
    with pytest.raises(ValueError, match="requires .*mask"):
        BlurPatchesTransform()(image=np.zeros((8, 8, 3), np.uint8))
