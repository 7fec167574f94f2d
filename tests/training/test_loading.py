import dataclasses
import random

import numpy as np
import pytest
import torch
from PIL import Image

from dichoseg import FolderDataset, Preprocessing, SyntheticDataset, create_model
from dichoseg.training.loading import batches, check_range, length, prepare, seeded

DATA = SyntheticDataset(7, size=64)


def names(model, **options):
    return [name for *_, batch in batches(DATA, model, batch_size=3, workers=0, **options) for name in batch]


def test_value_every_sample_once_and_shuffled_by_seed_and_epoch(small_isnet):
    in_order = [DATA[index].name for index in range(7)]
    assert names(small_isnet) == in_order
    first = names(small_isnet, seed=1, epoch=1)
    assert first == names(small_isnet, seed=1, epoch=1)
    assert sorted(first) == sorted(in_order)
    assert (
        len({tuple(first), tuple(names(small_isnet, seed=1, epoch=2)), tuple(names(small_isnet, seed=2, epoch=1))}) == 3
    )


class Noisy:
    """A data set with randomness of its own, from every global generator."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        value = (random.random() + np.random.rand() + float(torch.rand(()))) / 3
        return torch.full((3, 64, 64), value), torch.full((1, 64, 64), value)


def test_value_randomness_in_the_data_set_knows_no_workers(small_isnet):
    drawn = [
        torch.cat(
            [image for image, *_ in batches(Noisy(), small_isnet, batch_size=2, workers=workers, seed=3, epoch=1)]
        )
        for workers in (0, 2)
    ]
    assert torch.equal(*drawn)
    assert len(drawn[0].flatten(1)[:, 0].unique()) == 4


def test_shape_images_for_a_crop_are_larger(small_isnet):
    class Crop:
        input_scale = 1.25

    image, mask, _ = next(batches(DATA, small_isnet, batch_size=2, workers=0, augmentation=Crop()))
    assert image.shape == (2, 3, 80, 80)
    assert mask.shape == (2, 1, 80, 80)


@pytest.fixture
def photographs(tmp_path):
    """Three JPEGs of 280 by 264 pixels with structure in all sizes, and masks."""
    random_numbers = np.random.default_rng(0)
    for name in "abc":
        picture = np.zeros((280, 264, 3))
        for size in (2, 8, 32, 128):
            blobs = random_numbers.integers(0, 64, (size, size, 3), dtype=np.uint8)
            picture += np.asarray(Image.fromarray(blobs).resize((264, 280), Image.Resampling.BICUBIC), float)
        for part in ("im", "gt"):
            (tmp_path / part).mkdir(exist_ok=True)
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(tmp_path / f"im/{name}.jpg", quality=95)
        Image.fromarray((picture[..., 0] > 128).astype(np.uint8) * 255).save(tmp_path / f"gt/{name}.png")
    return FolderDataset(tmp_path / "im", tmp_path / "gt")


class Extended(FolderDataset):
    """One that may do more than read."""


def loaded(data, model, *, epoch):
    """Images and masks in the data's order, and what they would be at native size."""
    images, masks = {}, {}
    for image, mask, batch in batches(data, model, batch_size=2, workers=0, epoch=epoch):
        images |= dict(zip(batch, image, strict=True))
        masks |= dict(zip(batch, mask, strict=True))
    resize = model.preprocessing.resize
    for sample in map(data.__getitem__, range(len(data))):
        yield images[sample.name], resize(sample.image[None])[0]
        yield masks[sample.name], resize(sample.mask[None])[0]


def test_value_training_decodes_a_fraction_where_antialiasing_hides_it(small_isnet, photographs):
    for image, whole in list(loaded(photographs, small_isnet, epoch=1))[::2]:
        assert not torch.equal(image, whole)
        assert (image - whole).abs().mean() < 1.5 / 255
    for mask, whole in list(loaded(photographs, small_isnet, epoch=1))[1::2]:
        assert torch.equal(mask, whole)
    crop = lambda image, mask: (image, mask)  # noqa: E731
    crop.input_scale = 1.1  # 70 pixels: half of 264 is too few
    model, data = small_isnet, photographs
    for image, _, batch in batches(data, model, batch_size=1, workers=0, augmentation=crop, epoch=1):
        index = [name for name, *_ in data.files].index(batch[0])
        assert torch.equal(image, model.preprocessing.resize(data[index].image[None], scale=1.1))


@pytest.mark.parametrize(
    ("changes", "kind", "epoch"),
    [
        ({}, FolderDataset, None),
        ({}, Extended, 1),
        ({"antialias": False}, FolderDataset, 1),
        ({"antialias": False, "to_uint8": True}, FolderDataset, 1),
        ({"size": 128}, FolderDataset, 1),
        ({"resize_policy": "letterbox"}, FolderDataset, 1),
        ({"size": None}, FolderDataset, 1),
    ],
    ids=["validation", "subclass", "as published", "IS-Net", "too large", "letterbox", "native"],
)
def test_value_all_others_decode_whole_images(small_isnet, photographs, changes, kind, epoch):
    photographs.__class__ = kind
    small_isnet.preprocessing = dataclasses.replace(small_isnet.preprocessing, **changes)
    for ours, whole in loaded(photographs, small_isnet, epoch=epoch):
        assert torch.equal(ours, whole)


def test_value_masks_alone_need_no_whole_image(small_isnet, photographs):
    small_isnet.preprocessing = dataclasses.replace(small_isnet.preprocessing, antialias=False, source="mask")
    pairs = list(loaded(photographs, small_isnet, epoch=1))
    assert all(image.shape == (3, 64, 64) and not torch.equal(image, whole) for image, whole in pairs[::2])
    assert all(torch.equal(mask, whole) for mask, whole in pairs[1::2])


def test_error_transform_of_the_image_alone(small_isnet, photographs):
    photographs.transform = lambda image, mask: {"image": image[::2], "mask": mask}
    with pytest.raises(ValueError, match=r"a: wanted an image .* of one size; got \(3, 140, 264\) and \(1, 280, 264\)"):
        next(batches(photographs, small_isnet, batch_size=1, workers=0))


def test_value_seeded_puts_the_state_back():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    with seeded(1, 2):
        inside = torch.rand(3), random.random()
    assert torch.equal(torch.rand(3), expected)
    with seeded(1, 2):
        assert torch.equal(torch.rand(3), inside[0])
        assert random.random() == inside[1]


def test_value_mask_source_and_rounding_of_an_augmentation():
    model = create_model("isnet_gt_encoder", preprocessing=Preprocessing(size=64, mean=(0.0,), source="mask"))
    image, mask = torch.rand(1, 3, 8, 8), torch.ones(1, 1, 8, 8)
    shown, target = prepare(model, image, mask, lambda i, m: (i, m * 1.0000002), torch.device("cpu"))
    assert torch.equal(target, mask)
    assert torch.equal(shown, target)


def test_error_augmentation_that_leaves_the_range(small_isnet):
    image, mask = torch.rand(1, 3, 8, 8), torch.ones(1, 1, 8, 8)
    with pytest.raises(ValueError, match=r"after augmentation: the mask must lie in \[0, 1\]; got 255 to 255"):
        prepare(small_isnet, image, mask, lambda i, m: (i, m * 255), torch.device("cpu"))


def test_error_ranges():
    with pytest.raises(ValueError, match=r"photo: the image must lie in \[0, 1\]; got 0 to 2"):
        check_range("photo", "image", torch.tensor([0.0, 2.0]))
    with pytest.raises(ValueError, match="got -1 to 0.5"):
        check_range("photo", "image", torch.tensor([[[0.5, 0], [0, -1]], [[0, 0], [0, 0]]]).permute(2, 0, 1)[:, ::2])
    with pytest.raises(ValueError, match="got nan"):
        check_range("photo", "mask", torch.tensor([float("nan")]))


def test_error_data_without_length():
    with pytest.raises(TypeError, match="needs a length and an index.*got generator"):
        length(DATA[0] for _ in range(1))
