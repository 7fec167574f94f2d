import copy
import pickle

import albumentations
import cv2
import numpy as np
import pytest
import torch

from dichoseg import FolderDataset, fit
from dichoseg.augmentations import (
    BlurPatchesTransform,
    BorderCropTransform,
    RandomBlurPatches,
    SeededTransform,
    cpu_augmentation,
)
from dichoseg.augmentations.blur_patches import blur
from dichoseg.masks import border

ALL_KINDS = [
    {"kind": "gaussian"},
    {"kind": "motion", "feather": 0.5},
    {"where": "anywhere"},
    {"objects": "largest", "p": 0.5},
]


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


@pytest.mark.parametrize("options", ALL_KINDS)
def test_value_blur_patches_are_the_tensors_own(options, pair):
    """What one generator draws for `RandomBlurPatches`, its twin blurs."""
    transform = BlurPatchesTransform(3, **options)
    drawn = []
    draw = transform.blur_patches.draw
    transform.blur_patches.draw = lambda places, generator: drawn.extend(draw(places, generator)) or drawn
    transforms = albumentations.Compose([transform], seed=1)
    image = transforms(image=pair["image"], mask=pair["mask"])["image"]
    expected = torch.from_numpy(pair["image"]).permute(2, 0, 1).clone()
    for patch in drawn:
        blur(expected, torch.from_numpy(pair["image"]).permute(2, 0, 1), patch)
    assert torch.equal(torch.from_numpy(image).permute(2, 0, 1), expected)
    assert len(drawn) in (0, 3)
    assert all(patch.kind == options.get("kind", "box") for patch in drawn)


def test_value_blur_patches_take_what_the_module_takes():
    options = {"size": (5, 9), "kernel": (3, 5), "unit": "pixels", "kind": "motion", "feather": 0.5, "p": 0.5}
    for more in ({"where": "anywhere"}, {"objects": "largest"}):
        module, transform = RandomBlurPatches(2, **options, **more), BlurPatchesTransform(2, **options, **more)
        restored = albumentations.from_dict(albumentations.to_dict(transform))
        for name in ("patches", "where", "objects", *options):
            assert getattr(module, name) == getattr(transform, name) == getattr(restored, name), name
        assert restored.blur_patches.kind == "motion"


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
@pytest.mark.parametrize("options", ALL_KINDS)
def test_value_blur_patches_leave_white_white(options, kind, pair):
    white = np.full((65, 97, 3), 255 if kind is np.uint8 else 1, kind)
    assert np.array_equal(BlurPatchesTransform(**options)(image=white, mask=pair["mask"])["image"], white)


def test_shape_border_crop(pair):
    for mask in (pair["mask"], pair["mask"][..., None]):
        result = BorderCropTransform(30, 40)(image=pair["image"], mask=mask)
        assert result["image"].shape == (30, 40, 3)
        assert result["mask"].shape[:2] == (30, 40)


@pytest.mark.parametrize("largest", [1, 255])
def test_value_border_crop_finds_a_small_object(largest):
    image = np.arange(100 * 120, dtype=np.float32).reshape(100, 120, 1) / 12000
    mask = np.zeros((100, 120), np.uint8)
    mask[70:74, 5:9] = largest
    crop = albumentations.Compose([BorderCropTransform(20, 20, share=1.0)], seed=0)
    corners = set()
    for _ in range(30):
        result = crop(image=image, mask=mask)
        assert result["mask"].sum() == 16 * largest
        top, left = divmod(round(float(result["image"][0, 0, 0]) * 12000), 120)
        assert np.array_equal(result["mask"], mask[top : top + 20, left : left + 20])
        corners.add((top, left))
    assert len(corners) > 20, "anywhere that has all of it"


@pytest.mark.parametrize("value", [0, 255])
def test_value_border_crop_without_border_is_even(value):
    ramp = np.arange(6, dtype=np.uint8)[None, :, None].repeat(6, axis=0)
    crop = albumentations.Compose([BorderCropTransform(4, 4)], seed=0)
    corners = [int(crop(image=ramp, mask=np.full((6, 6), value, np.uint8))["image"][0, 0, 0]) for _ in range(300)]
    assert [60 < corners.count(corner) < 140 for corner in (0, 1, 2)] == [True] * 3


def test_value_border_crop_shows_more_border_than_albumentations_own(pair):
    """A window of its own can lie inside of the object."""
    mask = np.zeros((100, 100), np.uint8)
    mask[10:90, 10:90] = 255
    image = np.zeros((100, 100, 3), np.uint8)

    def seen(transform):
        crop = albumentations.Compose([transform], seed=0)
        cut = [crop(image=image, mask=mask)["mask"] > 127 for _ in range(100)]
        return sum(bool(border(torch.from_numpy(one)[None]).any()) for one in cut)

    assert seen(BorderCropTransform(20, 20)) == 100
    assert seen(albumentations.CropNonEmptyMaskIfExists(20, 20)) < 90


@pytest.mark.parametrize(
    "transform",
    [*(BlurPatchesTransform(kernel=(0.05, 0.2), **options) for options in ALL_KINDS), BorderCropTransform(40, 40)],
    ids=lambda transform: "-".join(map(str, transform.get_transform_init_args().values())),
)
def test_value_follows_the_seed_whatever_the_workers(transform, small_isnet, pair_folders):
    data = FolderDataset(*pair_folders, transform=SeededTransform(transform))
    start = {key: value.clone() for key, value in small_isnet.state_dict().items()}
    losses = []
    for workers, seed in ((0, 1), (2, 1), (0, 2)):
        small_isnet.load_state_dict(start)
        history = fit(small_isnet, data, epochs=1, batch_size=3, workers=workers, device="cpu", seed=seed)
        losses.append(history[-1]["loss"])
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


def test_error_values(pair):
    with pytest.raises(ValueError, match="patches must be 0 or more; got -1"):
        BlurPatchesTransform(-1)
    with pytest.raises(ValueError, match="kind must be one of box, gaussian, motion; got 'median'"):
        BlurPatchesTransform(kind="median")
    with pytest.raises(ValueError, match="share must be a number from 0 to 1; got 2"):
        BorderCropTransform(8, 8, share=2)
    with pytest.raises(ValueError, match="height .*0"):
        BorderCropTransform(0, 8)
    with pytest.raises(
        ValueError, match=r"a window of 66 by 8 needs an image at least as large; got 65 by 97 \(height"
    ):
        BorderCropTransform(66, 8)(**pair)
    for transform in (BlurPatchesTransform(), BorderCropTransform(8, 8)):
        with pytest.raises(ValueError, match="requires .*mask"):
            transform(image=np.zeros((8, 8, 3), np.uint8))


def _seeded(transform, seed, data):
    torch.manual_seed(seed)
    return transform(**data)


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


@pytest.mark.parametrize(
    ("transform", "size"),
    [
        (cpu_augmentation("strong", size=(48, 32)), (48, 32)),
        (albumentations.Compose([albumentations.Resize(40, 30), albumentations.HorizontalFlip(p=1)]), (40, 30)),
        (albumentations.LongestMaxSize(50), (50, 34)),
        (SeededTransform(albumentations.Resize(9, 9, p=0.5), albumentations.RandomCrop(20, 24)), (20, 24)),
        (SeededTransform(albumentations.HorizontalFlip()), None),
    ],
)
def test_value_a_split_keeps_the_resizing(transform, size, pair_folders):
    training, validation = FolderDataset(*pair_folders, transform=transform).split(0.5)
    assert training.transform is transform
    if size is None:
        assert validation.transform is None
        return
    plain = copy.copy(validation)
    plain.transform = None
    height, width = plain[0].image.shape[1:]
    wanted = (
        size if size != (50, 34) else (round(height * 50 / max(height, width)), round(width * 50 / max(height, width)))
    )
    first, second = validation[0], validation[0]
    assert first.image.shape[1:] == first.mask.shape[1:] == wanted
    assert torch.equal(first.image, second.image)
    assert (first.mask.mean() - plain[0].mask.mean()).abs() < 0.03  # not cropped
