import torch

from dichoseg import SyntheticDataset, fit
from dichoseg.augmentations import Compose, RandomScaleCrop


def test_shape_sides_are_divided():
    image, mask = RandomScaleCrop(2.0)(torch.rand(3, 3, 130, 194), torch.rand(3, 1, 130, 194))
    assert image.shape == (3, 3, 65, 97)
    assert mask.shape == (3, 1, 65, 97)
    assert Compose(RandomScaleCrop(2.0), RandomScaleCrop(1.5)).input_scale == 3.0


def test_value_image_and_mask_are_cut_alike_at_many_scales():
    ramp = torch.linspace(0, 1, 128).expand(1, 1, 128, 128)
    torch.manual_seed(0)
    augment = RandomScaleCrop(4.0)
    spans = []
    for _ in range(200):
        image, mask = augment(ramp.expand(1, 3, -1, -1), ramp)
        assert torch.equal(image[:, :1], mask)
        spans.append(float(mask.max() - mask.min()))
    assert min(spans) < 0.3
    assert max(spans) > 0.9
    inside = sum(span < 0.5 for span in spans) / len(spans)
    assert 0.35 < inside < 0.65, "half of the windows are smaller than half of the input"


def test_value_one_changes_nothing():
    image, mask = torch.rand(2, 3, 65, 97), torch.rand(2, 1, 65, 97)
    cut, cut_mask = RandomScaleCrop(1.0)(image, mask)
    torch.testing.assert_close(cut, image)
    torch.testing.assert_close(cut_mask, mask)


def test_value_fit_loads_larger_images(small_isnet):
    seen = []

    def watch(image, mask):
        seen.append(tuple(image.shape[-2:]))
        return image, mask

    fit(
        small_isnet,
        SyntheticDataset(2, size=64),
        augmentation=Compose(RandomScaleCrop(1.5), watch),
        epochs=1,
        batch_size=2,
    )
    assert seen == [(64, 64)]
