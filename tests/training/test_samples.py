import dataclasses
import random
import traceback

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import ConcatDataset, Subset

from dichoseg import FolderDataset, Preprocessing, Sample, SyntheticDataset
from dichoseg.augmentations import cpu_augmentation
from dichoseg.data.decoding import to_unit
from dichoseg.runtime.seeding import seeded
from dichoseg.training import Batches
from dichoseg.training.samples import check_range, resized_levels, stacked
from dichoseg.training.sources import pixel_source

from ..epochs import batches

DATA = SyntheticDataset(7, size=64)


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
    monkeypatch.setattr("dichoseg.training.samples.resized_levels", lambda levels, size: levels[:, :1, :1])
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


def test_error_ranges():
    with pytest.raises(ValueError, match=r"photo: the image must lie in \[0, 1\]; got 0 to 2"):
        check_range("photo", "image", torch.tensor([0.0, 2.0]))
    with pytest.raises(ValueError, match="got -1 to 0.5"):
        check_range("photo", "image", torch.tensor([[[0.5, 0], [0, -1]], [[0, 0], [0, 0]]]).permute(2, 0, 1)[:, ::2])
    with pytest.raises(ValueError, match="got nan"):
        check_range("photo", "mask", torch.tensor([float("nan")]))


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


def test_error_weights_between(small_isnet):
    data = [Sample(*DATA[0], torch.full_like(DATA[0].mask, 0.5))]
    with pytest.raises(ValueError, match="the weight must be 0 or 1 .*0.5 to 0.5"):
        list(Batches(data, small_isnet, batch_size=1).in_order())
