import re
from functools import partial

import kornia.augmentation as K
import pytest
import torch

from dichoseg.augmentations import (
    KorniaAugmentation,
    RandomApply,
    RandomBlurPatches,
    RandomBorderCrop,
    RandomCrop,
    RandomElastic,
    RandomRotate90,
    RandomScaleCrop,
    cpu_augmentation,
    gpu_augmentation,
)

IMAGE, MASK = torch.zeros(2, 3, 8, 9), torch.zeros(2, 1, 8, 9)
ALL = {
    "Kornia": KorniaAugmentation(K.RandomHorizontalFlip()),
    "apply": RandomApply(RandomRotate90(), 1.0),
    "blur": RandomBlurPatches(),
    "border crop": RandomBorderCrop(),
    "crop": RandomCrop(),
    "elastic": RandomElastic(1.0),
    "preset": gpu_augmentation("isnet"),
    "rotate": RandomRotate90(1.0),
    "scale crop": RandomScaleCrop(),
}


@pytest.mark.parametrize("augmentation", ALL.values(), ids=ALL)
def test_error_what_is_no_batch(augmentation):
    for image, mask, got in (
        (IMAGE[0], MASK[0], r"got \(3, 8, 9\) and \(1, 8, 9\)"),
        (IMAGE, MASK[:, 0], r"got \(2, 3, 8, 9\) and \(2, 8, 9\)"),
        (IMAGE, MASK[..., 1:], r"masks \(B, 1, H, W\) of one size; got"),
        (IMAGE, MASK[:1], "an augmentation takes images"),
        (IMAGE[:0], MASK[:0], r"got \(0, 3, 8, 9\)"),
    ):
        with pytest.raises(ValueError, match=got):
            augmentation(image, mask)
    with pytest.raises(TypeError, match=r"floats in \[0, 1\]; got torch.uint8 and torch.float32 \(divide bytes by 255"):
        augmentation(IMAGE.byte(), MASK)
    with pytest.raises(TypeError, match="got torch.float32 and torch.int64"):
        augmentation(IMAGE, MASK.long())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("augmentation", ALL.values(), ids=ALL)
def test_shape_floats_of_any_kind_and_masks_of_bool(augmentation, dtype):
    wanted = tuple(part.shape for part in augmentation(IMAGE, MASK))
    for mask in (MASK.to(dtype), MASK.bool()):
        image, mask = augmentation(IMAGE.to(dtype), mask)
        assert (image.shape, mask.shape) == wanted
        assert image.is_floating_point()


@pytest.mark.parametrize(
    ("make", "argument", "value"),
    [
        (RandomElastic, "p", -1),
        (RandomElastic, "nodes", 1),
        (RandomElastic, "shift", 0.1),
        (RandomRotate90, "p", float("nan")),
        (partial(RandomApply, RandomRotate90()), "p", 2),
        (partial(RandomApply, RandomRotate90()), "p", "a"),
        (RandomCrop, "input_scale", "a"),
        (RandomCrop, "input_scale", 0.5),
        (RandomBorderCrop, "input_scale", 0.5),
        (RandomBorderCrop, "share", 1.5),
        (RandomScaleCrop, "input_scale", 0.5),
        (RandomScaleCrop, "input_scale", float("inf")),
        (RandomBlurPatches, "patches", 2.5),
        (RandomBlurPatches, "patches", -1),
        (RandomBlurPatches, "size", (5, 9)),
        (RandomBlurPatches, "size", (0.2, 0.1)),
        (RandomBlurPatches, "kernel", (0, 0.1)),
        (RandomBlurPatches, "where", "edge"),
        (RandomBlurPatches, "objects", "one"),
        (RandomBlurPatches, "kind", "median"),
        (RandomBlurPatches, "unit", "px"),
        (RandomBlurPatches, "feather", -0.1),
        (RandomBlurPatches, "p", 2),
        (partial(RandomBlurPatches, where="anywhere"), "objects", "largest"),
        (gpu_augmentation, "horizontal_flip", "a"),
        (gpu_augmentation, "preset", "gpu"),
        (cpu_augmentation, "preset", "gpu"),
        (cpu_augmentation, "size", 32.5),
        (cpu_augmentation, "size", 0),
    ],
)
def test_error_arguments(make, argument, value):
    with pytest.raises((TypeError, ValueError), match=f"{argument}.*{re.escape(str(value))}"):
        make(**{argument: value})
