import albumentations as A
import pytest
import torch
from torch import nn

from dichoseg import Preprocessing, Sample
from dichoseg.augmentations import (
    BlurPatchesTransform,
    Compose,
    RandomApply,
    RandomBlurPatches,
    RandomCrop,
    SeededTransform,
    cpu_augmentation,
)
from dichoseg.augmentations.blur_patches import Patch
from dichoseg.runtime.seeding import seeded
from dichoseg.visualize.draws import Draw, augmented, blurs_at_the_end, boxes_of, prepared, watched
from dichoseg.visualize.overlays import Box


def flipped(image, mask):
    return image.flip(-1), mask.flip(-1)


def darker(image, mask):
    return image * 0.5, mask.clone()


@pytest.fixture
def start(disc):
    torch.manual_seed(0)
    return Draw(torch.rand(1, 3, 65, 97), disc[:1])


def test_value_boxes_hold_what_was_blurred(start):
    with seeded(0):
        draw = augmented(start, Compose(RandomBlurPatches(3, unit="pixels", size=(9, 15), kernel=(5, 5))))
    changed = (draw.image != start.image).any(dim=1)[0]
    inside = torch.zeros(65, 97, dtype=torch.bool)
    for box in draw.boxes:
        top, left, bottom, right = (round(part * side) for part, side in zip(box, (65, 97, 65, 97), strict=True))
        inside[top:bottom, left:right] = True
    assert len(draw.boxes) == 3
    assert torch.equal(changed, inside)


@pytest.mark.parametrize(
    ("augmentation", "count"),
    [
        (Compose(RandomBlurPatches(3)), 3),
        (Compose(flipped, Compose(RandomBlurPatches(3))), 3),
        (Compose(RandomBlurPatches(3), darker), 3),
        (Compose(RandomBlurPatches(3), RandomBlurPatches(2)), 5),
        (Compose(RandomBlurPatches(3), flipped), 0),
        (Compose(RandomBlurPatches(3), RandomCrop(1.25), RandomBlurPatches(2)), 2),
        (RandomApply(RandomBlurPatches(3), p=1.0), 3),
        (RandomBlurPatches(3, p=0.0), 0),
        (darker, 0),
    ],
)
def test_value_boxes_of_moved_patches_are_lost(start, augmentation, count):
    with seeded(0):
        assert len(augmented(start, augmentation).boxes) == count


def test_value_symmetric_masks_cannot_tell(start):
    centred = torch.zeros(1, 1, 64, 64)
    centred[..., 16:48, 16:48] = 1
    draw = Draw(torch.rand(1, 3, 64, 64), centred)
    with seeded(0):
        assert augmented(draw, Compose(RandomBlurPatches(3), flipped)).boxes == ()
        assert augmented(draw, RandomBlurPatches(3)).boxes != ()


def test_value_watching_leaves_no_trace(start):
    blur = RandomBlurPatches(3)
    before = dict(vars(blur))
    with watched([blur]) as patches:
        blur(start.image, start.mask)
    assert len(patches) == 3
    with pytest.raises(AttributeError, match="ndim"), watched([blur]):
        blur(None, None)
    assert vars(blur) == before
    blur(start.image, start.mask)
    assert len(patches) == 3
    with seeded(1):
        seen = augmented(start, blur).image
    with seeded(1):
        assert torch.equal(blur(start.image, start.mask)[0], seen), "being watched changes nothing"


def test_value_seeded_puts_the_state_back():
    before = torch.get_rng_state()
    with seeded(3, 1):
        first = torch.rand(4)
    assert torch.equal(torch.get_rng_state(), before)
    with seeded(3, 1):
        assert torch.equal(torch.rand(4), first)
    with seeded(3, 2):
        assert not torch.equal(torch.rand(4), first)


def test_value_boxes_are_cut_at_the_image():
    assert boxes_of([Patch(0, 50, 20, 3), Patch(30, 99, 5, 3)], 40, 100) == (
        Box(0, 0.4, 0.25, 0.6),
        Box(0.7, 0.97, 0.825, 1),
    )


@pytest.mark.parametrize(("policy", "bottom"), [("stretch", 1.0), ("letterbox", 0.5)])
def test_value_boxes_follow_a_letterbox(policy, bottom):
    sample = Sample(torch.rand(3, 20, 40), torch.ones(1, 20, 40))
    whole = Patch(10, 20, 40, 3)
    draw = prepared(sample, Preprocessing(size=32, resize_policy=policy), scale=1.25, patches=[whole])
    assert draw.image.shape[-2:] == draw.mask.shape[-2:] == (40, 40)
    assert draw.boxes == (Box(0, 0, bottom, 1),)
    assert float(draw.mask[0, 0, : round(40 * bottom)].min()) == 1


def test_value_blurs_of_a_pipeline():
    first, last = BlurPatchesTransform(3), BlurPatchesTransform(2)
    pipelines = {
        SeededTransform(first, A.RandomGamma()): [first.blur_patches],
        SeededTransform(first, A.HorizontalFlip()): [],
        A.Compose([first, A.OneOf([A.HorizontalFlip()]), last]): [last.blur_patches],
        nn.Identity(): [],
    }
    for transform, blurs in pipelines.items():
        assert blurs_at_the_end(transform) == blurs
    assert len(blurs_at_the_end(cpu_augmentation("dis_tuning", size=64))) == 1
    assert blurs_at_the_end(cpu_augmentation("isnet", size=64)) == []
