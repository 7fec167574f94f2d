import random

import numpy as np
import pytest
import torch

from dichoseg import Preprocessing, SyntheticDataset, create_model
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
    with pytest.raises(ValueError, match="got nan"):
        check_range("photo", "mask", torch.tensor([float("nan")]))


def test_error_data_without_length():
    with pytest.raises(TypeError, match="needs a length and an index.*got generator"):
        length(DATA[0] for _ in range(1))
