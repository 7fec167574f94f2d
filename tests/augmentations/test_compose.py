import pytest
import torch

from dichoseg.augmentations import Compose, KorniaAugmentation, RandomApply, RandomCrop


def test_value_apply_takes_each_image_for_itself():
    torch.manual_seed(0)
    sizes = []

    def invert(image, mask):
        sizes.append(len(image))
        return 1 - image, mask / 2

    image, mask = torch.rand(300, 3, 4, 5), torch.ones(300, 1, 4, 5)
    before = image.clone()
    changed, halved = RandomApply(invert, 0.3)(image, mask)
    drawn = halved[:, 0, 0, 0] == 0.5
    assert sizes == [int(drawn.sum())], "only what was drawn is computed"
    assert 60 <= sizes[0] <= 120
    assert torch.equal(changed, torch.where(drawn.view(-1, 1, 1, 1), 1 - image, image))
    assert torch.equal(halved, torch.where(drawn.view(-1, 1, 1, 1), mask / 2, mask))
    assert torch.equal(image, before)
    assert RandomApply(invert, 0.0)(image, mask)[0] is image
    assert torch.equal(RandomApply(invert, 1.0)(image, mask)[0], 1 - image)


def test_error_apply():
    with pytest.raises(ValueError, match="an augmentation that crops must crop all images of a batch"):
        RandomApply(RandomCrop(1.25))


def test_value_flip_probabilities():
    from kornia.augmentation import RandomHorizontalFlip

    image = torch.rand(2, 3, 5, 7)
    flipped, mask = KorniaAugmentation(RandomHorizontalFlip(p=1.0))(image, image[:, :1])
    assert torch.equal(flipped, image.flip(-1))
    assert torch.equal(mask, image[:, :1].flip(-1))


def test_value_compose_joins_scales():
    assert Compose(RandomCrop(1.25), RandomCrop(2.0)).input_scale == 2.5
