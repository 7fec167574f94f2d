import dataclasses
import random
import subprocess
import sys
import traceback

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import ConcatDataset, Subset

from dichoseg import FolderDataset, Preprocessing, Sample, SyntheticDataset, create_model
from dichoseg.augmentations import (
    Compose,
    RandomBorderCrop,
    RandomElastic,
    RandomRotate90,
    RandomScaleCrop,
    cpu_augmentation,
    gpu_augmentation,
)
from dichoseg.data.decoding import to_unit
from dichoseg.runtime.seeding import seeded
from dichoseg.training import Batches, freeze_batch_norm
from dichoseg.training.batches import check_range, prepare, resized_levels, stacked
from dichoseg.training.ranks import Ranks
from dichoseg.training.sources import pixel_source

DATA = SyntheticDataset(7, size=64)


def batches(data, model, *, epoch=None, **options):
    """Images, masks and names of an epoch, or in order; the images in [0, 1]."""
    plain = (
        {"mean": (0.0,), "std": (1.0,)} if model.preprocessing.source == "mask" else {"mean": (0,) * 3, "std": (1,) * 3}
    )
    preprocessing = dataclasses.replace(model.preprocessing, **plain)
    model = torch.nn.Module()
    model.preprocessing = preprocessing
    loader = Batches(data, model, **options)
    for batch in loader.epoch(epoch) if epoch else loader.in_order():
        yield batch.image, batch.mask, batch.names


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
    def crop(image, mask):
        return image, mask

    crop.input_scale = 1.25
    image, mask, _ = next(batches(DATA, small_isnet, batch_size=2, workers=0, augmentation=crop, epoch=1))
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


@pytest.mark.parametrize("workers", [0, 1])
def test_error_a_mistake_in_a_transform_keeps_its_place(small_isnet, photographs, workers):
    photographs.transform = lambda image, mask: len(image.ndim)
    with pytest.raises(TypeError) as caught:
        next(batches(photographs, small_isnet, batch_size=1, workers=workers, epoch=1))
    shown = "".join(traceback.format_exception(caught.value))
    assert "len(image.ndim)" in shown


class Extended(FolderDataset):
    """One that does more than read."""

    def __getitem__(self, index):
        return super().__getitem__(index)


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


@pytest.mark.parametrize(("epoch", "workers"), [(None, 0), (1, 2)], ids=["validation", "training"])
@pytest.mark.parametrize("kind", ["8 bits", "16 bits", "ids", "masks of another size", "cut-outs"])
@pytest.mark.parametrize("size", [64, None], ids=["resized", "as transformed"])
def test_value_what_is_loaded_is_what_the_data_set_gives(
    small_isnet, photographs, tmp_path, kind, epoch, workers, size
):
    for name in "abc":
        picture = np.asarray(Image.open(tmp_path / f"im/{name}.jpg"))
        if kind == "16 bits" and name == "b":  # alone among others
            Image.fromarray(picture[..., 0].astype(np.uint16) * 201).save(tmp_path / f"gt/{name}.png")
            Image.fromarray(picture[..., 1].astype(np.uint16) * 201).save(tmp_path / f"im/{name}.png")
            (tmp_path / f"im/{name}.jpg").unlink()
        if kind == "ids":
            Image.fromarray(picture[..., 0] // 64).save(tmp_path / f"gt/{name}.png")
        if kind == "masks of another size":
            Image.fromarray(picture[::3, ::2, 0]).save(tmp_path / f"gt/{name}.png")
        if kind == "cut-outs":
            (tmp_path / f"im/{name}.jpg").unlink()
            Image.fromarray(np.dstack([picture, picture[..., 0]])).save(tmp_path / f"im/{name}.png")
    data = FolderDataset(
        tmp_path / "im",
        "alpha" if kind == "cut-outs" else tmp_path / "gt",
        transform=cpu_augmentation("dis_tuning", size=96),
        foreground=[1, 3] if kind == "ids" else None,
        resize_masks=True,
    )
    small_isnet.preprocessing = Preprocessing(size=size, antialias=False, to_uint8=True)  # at 64 pixels OpenCV is exact
    found = {}
    for image, mask, batch in batches(data, small_isnet, batch_size=2, workers=workers, seed=4, epoch=epoch):
        found |= {name: pair for name, *pair in zip(batch, image, mask, strict=True)}
    for index, name in enumerate("abc"):
        with seeded(4, epoch or 0, index, 1):
            sample = data[index]
        for ours, whole in zip(found[name], (sample.image, sample.mask), strict=True):
            assert torch.equal(ours, small_isnet.preprocessing.resize(whole[None])[0])


@pytest.mark.parametrize("channels", [1, 3])
def test_value_the_published_resize_by_opencv(channels):
    levels = torch.randint(256, (130, 97, channels), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    levels[:20] = 255
    levels = levels.permute(2, 0, 1)  # as files have them
    for size, allowed in ((64, 0), (65, 0.03), (256, 0), (300, 0.03)):
        published = Preprocessing(size=size, antialias=False, to_uint8=True).resize(levels[None] / 255)[0]
        ours = resized_levels(levels, (size, size))
        assert ours.dtype == torch.uint8
        difference = (ours / 255 - published).abs()
        assert difference.max() <= 1.001 / 255
        assert (difference > 0).float().mean() <= allowed


def test_value_only_training_resizes_by_opencv(small_isnet, photographs, monkeypatch):
    monkeypatch.setattr("dichoseg.training.batches.resized_levels", lambda levels, size: levels[:, :1, :1])
    shapes = lambda **how: {image.shape[2] for image, *_ in batches(photographs, small_isnet, workers=0, **how)}  # noqa: E731
    small_isnet.preprocessing = Preprocessing(size=60, antialias=False, to_uint8=True)
    assert shapes(batch_size=3, epoch=1) == {1}
    assert shapes(batch_size=3) == {60}
    for changes in ({"antialias": True}, {"to_uint8": False}, {"interpolation": "bicubic"}):
        small_isnet.preprocessing = Preprocessing(**{"size": 60, "antialias": False, "to_uint8": True} | changes)
        assert shapes(batch_size=3, epoch=1) == {60}
    small_isnet.preprocessing = Preprocessing(size=60, antialias=False, to_uint8=True, resize_policy="letterbox")
    assert shapes(batch_size=3, epoch=1) == {60}
    photographs.__class__ = Extended
    small_isnet.preprocessing = Preprocessing(size=60, antialias=False, to_uint8=True)
    assert shapes(batch_size=3, epoch=1) == {60}


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64])
def test_value_masks_of_zeros_and_ones_in_other_numbers(small_isnet, dtype):
    mask = torch.eye(40).to(dtype)[None]
    for size in (40, 20):
        small_isnet.preprocessing = Preprocessing(size=size, to_uint8=True)
        (batch,) = batches([(torch.rand(3, 40, 40), mask)], small_isnet, batch_size=1, workers=0, epoch=1)
        assert torch.equal(batch[1], small_isnet.preprocessing.resize(mask.float()[None]))


def test_value_a_batch_is_of_levels_where_all_are():
    levels = torch.arange(24, dtype=torch.uint8).reshape(2, 4, 3)
    views = levels.permute(2, 0, 1), levels.permute(2, 0, 1).contiguous()
    assert torch.equal(stacked(views), torch.stack(views))
    mixed = stacked([views[0], views[1] / 255])
    assert mixed.dtype == torch.float32
    assert torch.equal(*mixed)


def test_value_masks_alone_need_no_whole_image(small_isnet, photographs, monkeypatch):
    asked = []
    load = FolderDataset.load_pixels
    monkeypatch.setattr(
        FolderDataset, "load_pixels", lambda self, index, **how: asked.append(how) or load(self, index, **how)
    )
    changes = {"antialias": False, "source": "mask", "mean": (0.0,), "std": (1.0,)}
    small_isnet.preprocessing = dataclasses.replace(small_isnet.preprocessing, **changes)
    pairs = list(loaded(photographs, small_isnet, epoch=1))
    assert asked[:3] == [{"at_least": 1}] * 3
    assert all(torch.equal(mask, whole) for mask, whole in pairs[1::2])


@pytest.mark.parametrize("epoch", [None, 1])
def test_error_transform_of_the_image_alone(small_isnet, photographs, epoch):
    photographs.transform = lambda image, mask: {"image": image[::2, ::2], "mask": mask}
    with pytest.raises(ValueError, match=r": the transform .*\(140, 132, 3\) and \(280, 264\)"):
        next(batches(photographs, small_isnet, batch_size=1, workers=0, epoch=epoch))


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


def test_error_ranges():
    with pytest.raises(ValueError, match=r"photo: the image must lie in \[0, 1\]; got 0 to 2"):
        check_range("photo", "image", torch.tensor([0.0, 2.0]))
    with pytest.raises(ValueError, match="got -1 to 0.5"):
        check_range("photo", "image", torch.tensor([[[0.5, 0], [0, -1]], [[0, 0], [0, 0]]]).permute(2, 0, 1)[:, ::2])
    with pytest.raises(ValueError, match="got nan"):
        check_range("photo", "mask", torch.tensor([float("nan")]))


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


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_value_samples_of_other_floats_become_float32(small_isnet, dtype):
    samples = [(DATA[index].image.to(dtype), DATA[index].mask.to(dtype)) for index in range(2)]
    image, mask, _ = next(batches(samples, small_isnet, batch_size=2, workers=0))
    assert image.dtype == mask.dtype == torch.float32
    assert (image - torch.stack([DATA[index].image for index in range(2)])).abs().max() < 1 / 128


def nested(data):
    """Its pixels behind several of torch's own wrappers, in another order."""
    return Subset(ConcatDataset([Subset(data, [2]), data]), [1, 0, 2])


def test_value_wrapped_pixels_are_those_of_the_folder(small_isnet, photographs):
    plain = loaded_by_name(photographs, small_isnet)
    assert loaded_by_name(nested(photographs), small_isnet).keys() == plain.keys()
    for name, image in loaded_by_name(nested(photographs), small_isnet).items():
        assert torch.equal(image, plain[name])


def loaded_by_name(data, model):
    found = {}
    for image, _, names in batches(data, model, batch_size=3, workers=0, epoch=1):
        found |= dict(zip(names, image, strict=True))
    return found


class Negative(FolderDataset):
    def load(self, index, **options):
        sample = super().load(index, **options)
        return sample._replace(mask=1 - sample.mask)


def test_value_a_data_set_with_a_load_of_its_own(photographs, small_isnet):
    plain = next(batches(photographs, small_isnet, batch_size=1, workers=0))[1]
    photographs.__class__ = Negative
    negative = next(batches(photographs, small_isnet, batch_size=1, workers=0))[1]
    assert pixel_source(photographs, 0)[0] is None
    assert torch.allclose(negative, 1 - to_unit(plain), atol=1e-2)


def test_error_pixels_of_another_kind(small_isnet):
    class Levels:
        def __init__(self, image, mask):
            self.sample = image, mask, "x.png"

        def __len__(self):
            return 1

        def __getitem__(self, index):
            return self.sample

        def load_pixels(self, index, *, at_least=None):
            return self.sample

    mask = torch.ones(1, 64, 64)
    with pytest.raises(TypeError, match="x.png: .*torch.int32 for the image"):
        next(batches(Levels(torch.ones(3, 64, 64).int(), mask), small_isnet, batch_size=1, workers=0))
    with pytest.raises(ValueError, match=r"x.png: the image must lie in \[0, 1\]; got 2 to 2"):
        next(batches(Levels(2 * torch.ones(3, 64, 64), mask), small_isnet, batch_size=1, workers=0))
    with pytest.raises(ValueError, match="x.png: wanted an image .* of one size"):
        next(batches(Levels(torch.ones(3, 64, 32), mask), small_isnet, batch_size=1, workers=0, epoch=1))


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


def test_error_weights_between(small_isnet):
    data = [Sample(*DATA[0], torch.full_like(DATA[0].mask, 0.5))]
    with pytest.raises(ValueError, match="the weight must be 0 or 1 .*0.5 to 0.5"):
        list(Batches(data, small_isnet, batch_size=1).in_order())


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
