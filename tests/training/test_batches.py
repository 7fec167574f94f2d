import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import ConcatDataset

from dichoseg import FolderDataset, Preprocessing, Sample, SyntheticDataset, create_model
from dichoseg.augmentations import (
    Compose,
    RandomBorderCrop,
    RandomElastic,
    RandomRotate90,
    RandomScaleCrop,
    gpu_augmentation,
)
from dichoseg.training import Batches, freeze_batch_norm
from dichoseg.training.batches import prepare
from dichoseg.training.ranks import Ranks

from ..epochs import batches

DATA = SyntheticDataset(7, size=64)


def names(model, **options):
    return [name for *_, batch in batches(DATA, model, batch_size=3, workers=0, **options) for name in batch]


def test_value_one_loader_serves_all_epochs(small_isnet):
    for workers in (0, 2):
        loader = Batches(DATA, small_isnet, batch_size=3, workers=workers, seed=1, drop_last=False)
        for epoch in (1, 2, 1):
            assert [name for batch in loader.epoch(epoch) for name in batch.names] == names(
                small_isnet, seed=1, epoch=epoch
            )
        whole = list(loader.epoch(2))
        resumed = list(loader.epoch(2, start=1))
        assert [batch.step for batch in whole] == [1, 2, 3]
        assert [batch.key for batch in resumed] == [(1, 2, 2), (1, 2, 3)]
        assert all(torch.equal(a.image, b.image) for a, b in zip(whole[1:], resumed, strict=True))


def test_value_a_program_ends_with_its_workers():
    script = """
import tempfile
folder = tempfile.TemporaryDirectory()  # whose own exit handler is registered before multiprocessing's
import dichoseg
from dichoseg.training import Batches
model = dichoseg.create_model("isnet", encoder="timm:test_resnet", size=64)
batches = Batches(dichoseg.SyntheticDataset(4, size=64), model, batch_size=2, workers=1)
print([len(batch.names) for batch in batches.epoch(1)])
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    assert ran.stdout == "[2, 2]\n"


def test_value_ranks_share_every_batch(small_isnet):
    shares = [
        list(Batches(DATA, small_isnet, batch_size=2, seed=1, ranks=Ranks(rank, 2), drop_last=False).epoch(1))
        for rank in range(2)
    ]
    for first, second in zip(*shares, strict=True):
        assert len(first.names) == first.own
        assert len(second.names) == max(second.own, 1)
    assert [batch.own for batch in shares[1]] == [2, 1]
    own = sorted(name for share in shares for batch in share for name in batch.names[: batch.own])
    assert own == sorted(DATA[index].name for index in range(7))


@pytest.mark.parametrize(
    ("samples", "batch_size", "world_size", "images"),
    [(7, 3, 1, 6), (7, 2, 1, 6), (7, 7, 1, 7), (7, 1, 1, 7), (7, 2, 2, 4), (8, 2, 2, 8), (6, 2, 2, 4), (7, 5, 1, 7)],
)
def test_value_no_rank_gets_a_single_image(small_isnet, samples, batch_size, world_size, images):
    data = [DATA[0]] * samples
    ranks = Ranks(0, world_size)
    assert Batches(data, small_isnet, batch_size=batch_size, ranks=ranks).images == images
    freeze_batch_norm(small_isnet)
    assert Batches(data, small_isnet, batch_size=batch_size, ranks=ranks).images == samples


def test_error_two_epochs_at_once(small_isnet):
    loader = Batches(DATA, small_isnet, batch_size=2)
    first = loader.epoch(1)
    next(first)
    next(loader.epoch(2))
    with pytest.raises(RuntimeError, match="another epoch"):
        next(first)


def test_error_batches_of_no_size(small_isnet):
    with pytest.raises(ValueError, match="batch_size.*0"):
        Batches(DATA, small_isnet, batch_size=0)


def test_value_a_smaller_last_batch_is_left_out_if_asked(small_isnet):
    loader = Batches(DATA, small_isnet, batch_size=3, seed=1, drop_last=True)
    assert (len(loader), loader.images, loader.samples) == (2, 6, 7)
    assert [len(batch.names) for batch in loader.epoch(1)] == [3, 3]
    seen = {name for epoch in range(1, 6) for batch in loader.epoch(epoch) for name in batch.names}
    assert len(seen) == 7, "another one in each epoch"
    assert sum(len(batch.names) for batch in loader.in_order()) == 7


def test_value_every_sample_once_and_shuffled_by_seed_and_epoch(small_isnet):
    in_order = [DATA[index].name for index in range(7)]
    assert names(small_isnet) == in_order
    first = names(small_isnet, seed=1, epoch=1)
    assert first == names(small_isnet, seed=1, epoch=1)
    assert sorted(first) == sorted(in_order)
    assert (
        len({tuple(first), tuple(names(small_isnet, seed=1, epoch=2)), tuple(names(small_isnet, seed=2, epoch=1))}) == 3
    )


def test_shape_images_for_a_crop_are_larger(small_isnet):
    def crop(image, mask):
        return image, mask

    crop.input_scale = 1.25
    image, mask, _ = next(batches(DATA, small_isnet, batch_size=2, workers=0, augmentation=crop, epoch=1))
    assert image.shape == (2, 3, 80, 80)
    assert mask.shape == (2, 1, 80, 80)


def test_value_mask_source_and_rounding_of_an_augmentation():
    model = create_model("isnet_gt_encoder", preprocessing=Preprocessing(size=64, mean=(0.0,), source="mask"))
    image, mask = torch.rand(1, 3, 8, 8), torch.ones(1, 1, 8, 8)
    shown, target, _ = prepare(model, image, mask, lambda i, m: (i, m * 1.0000002), torch.device("cpu"))
    assert torch.equal(target, mask)
    assert torch.equal(shown, target)


def test_error_augmentation_that_leaves_the_range(small_isnet):
    image, mask = torch.rand(1, 3, 8, 8), torch.ones(1, 1, 8, 8)
    with pytest.raises(ValueError, match=r"after augmentation: the mask must lie in \[0, 1\]; got 255 to 255"):
        prepare(small_isnet, image, mask, lambda i, m: (i, m * 255), torch.device("cpu"))


@pytest.mark.parametrize(
    ("augmentation", "kind", "message"),
    [
        (lambda image, mask: image, TypeError, "both tensors; got Tensor"),
        (lambda image, mask: (image, None), TypeError, "got tuple"),
        (
            lambda image, mask: (image, mask[:1]),
            ValueError,
            r"2 of each, with 3 and 1 channels; got \(2, 3, 8, 8\) and \(1",
        ),
        (
            lambda image, mask: (image, mask[..., 2:]),
            ValueError,
            r"of one size, .*; got \(2, 3, 8, 8\) and \(2, 1, 8, 6\)",
        ),
        (lambda image, mask: (image[0], mask[0]), ValueError, r"got \(3, 8, 8\) and \(1, 8, 8\)"),
        (lambda image, mask: (image * 255, mask), ValueError, r"the image must lie in \[0, 1\]; got 0 to 255"),
        (lambda image, mask: (image / 0, mask), ValueError, "the image must lie in .*; got nan"),
        (lambda image, mask: (image, mask * 2 - 1), ValueError, r"the mask must lie in \[0, 1\]; got -1 to -1"),
    ],
)
def test_error_augmentation_that_breaks_its_contract(small_isnet, augmentation, kind, message):
    image = torch.zeros(2, 3, 8, 8)
    image[..., 4:] = 1
    with pytest.raises(kind, match=message):
        prepare(small_isnet, image, torch.zeros(2, 1, 8, 8), augmentation, torch.device("cpu"))


def test_value_ignored_pixels_move_with_the_mask(small_isnet):
    image, mask = torch.zeros(3, 64, 64), torch.zeros(1, 64, 64)
    mask[:, 20:40, 10:30] = 1
    image[0], weight = mask[0], 1 - mask  # red shows where pixels are ignored
    data = [Sample(image, mask, "a", weight), (image, mask)]
    steps = gpu_augmentation("strong", color_jitter=0, grayscale=0, gaussian_blur=0, salt_pepper=0, jpeg=0, affine=1)
    augmentation = Compose(steps, RandomElastic(1.0), RandomBorderCrop(1.2), RandomScaleCrop(1.2), RandomRotate90(1.0))
    model = torch.nn.Module()
    model.preprocessing = dataclasses.replace(small_isnet.preprocessing, mean=(0,) * 3, std=(1,) * 3)
    loader = Batches(data, model, batch_size=2, augmentation=augmentation)
    for batch in [next(loader.epoch(1)), next(loader.in_order())]:
        marked = batch.names.index("a")
        red, weight = batch.image[marked, 0], batch.weight[marked, 0]
        assert ((red > 0.02) <= (weight == 0)).all()
        assert ((red < 0.005) <= (weight == 1)).all()
        assert weight.unique().tolist() == [0, 1]
        assert not batch.mask[marked].any()  # the object is ignored, so it is background
        assert batch.mask[1 - marked].any()
        assert (batch.weight[1 - marked] == 1).all()
        assert batch.target.weight is batch.weight


def test_value_samples_without_weights_have_none(small_isnet):
    assert all(batch.weight is None for batch in Batches(DATA, small_isnet, batch_size=3).in_order())


def test_value_folders_with_and_without_ignored_pixels_share_batches(tmp_path, small_isnet):
    parts = []
    for name, ignore in (("a", [128]), ("b", [])):
        stencil = np.full((64, 64), 255, np.uint8)
        stencil[:20] = 128 if ignore else 0
        for folder in ("im", "gt"):
            (tmp_path / name / folder).mkdir(parents=True)
            Image.fromarray(stencil).save(tmp_path / name / folder / "0.png")
        parts.append(FolderDataset(tmp_path / name / "im", tmp_path / name / "gt", ignore=ignore))
    for order in ([0, 1], [1, 0]):
        (batch,) = Batches(ConcatDataset([parts[index] for index in order]), small_isnet, batch_size=2).in_order()
        share = (batch.weight == 0).float().mean(dim=(1, 2, 3))[order]
        torch.testing.assert_close(share, torch.tensor([20 / 64, 0]), atol=0.02, rtol=0)
