import os
import signal

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import ConcatDataset, Subset

from dichoseg import FolderDataset, Optimization, Preprocessing, Sample, SyntheticDataset, create_model, fit
from dichoseg.augmentations import gpu_augmentation
from dichoseg.losses import BCELoss
from dichoseg.objectives import DeepSupervision
from dichoseg.training import Batches, constant, freeze_batch_norm
from dichoseg.training.ranks import Ranks
from dichoseg.training.sizes import Grouping, check_sizes

SQUARE = SyntheticDataset(11, size=64)


class Shaped(SyntheticDataset):
    """Scenes of which every third is said to be wide, every seventh tall."""

    def image_size(self, index):
        return (64, 100) if index % 3 == 0 else (97, 65) if index % 7 == 1 else (65, 64)


SHAPED = Shaped(23, size=64)  # 8 wide ones (0, 3, ...), 3 tall ones (1, 8, 22), 12 others
SIZES = (32, 64, (32, 48), (48, 32))


def epoch(data, model, number=1, **options):
    return list(Batches(data, model, **{"batch_size": 4, "seed": 1} | options).epoch(number))


def shapes(batches):
    return [tuple(batch.image.shape[-2:]) for batch in batches]


def same(first, second):
    return all(torch.equal(value, second[name]) for name, value in first.items())


def test_value_without_sizes_every_batch_is_as_in_former_versions(small_isnet):
    order = np.random.default_rng([1, 3]).permutation(11).tolist()
    names = [SQUARE[index].name for index in order]
    batches = epoch(SQUARE, small_isnet, 3)
    assert [batch.names for batch in batches] == [names[:4], names[4:8], names[8:]]
    for batch, own in zip(epoch(SQUARE, small_isnet, 3, sizes=(64,)), batches, strict=True):
        assert batch.names == own.names
        assert torch.equal(batch.image, own.image)


def test_shape_every_batch_has_one_of_the_sizes(small_isnet):
    sizes = (32, 65, (64, 96))
    with pytest.raises(TypeError, match=r"image_size\(index\) as FolderDataset does; got SyntheticDataset"):
        epoch(SQUARE, small_isnet, sizes=sizes)
    sizes = (32, 65)
    seen = [tuple(shapes(epoch(SQUARE, small_isnet, number, sizes=sizes, batch_size=2))) for number in range(1, 6)]
    for turns in seen:
        counts = [turns.count((side, side)) for side in sizes]
        assert sum(counts) == 5
        assert max(counts) - min(counts) == 1  # about as many batches for each size
    assert len(set(seen)) > 1, "in another order in each epoch"
    for batch in epoch(SQUARE, small_isnet, sizes=sizes):
        assert batch.mask.shape[-2:] == batch.image.shape[-2:]
    assert shapes(Batches(SQUARE, small_isnet, batch_size=4, sizes=sizes).in_order()) == [(64, 64)] * 3


def test_value_images_go_to_the_nearest_aspect_ratio_and_all_are_seen_once(small_isnet):
    freeze_batch_norm(small_isnet)  # so that no image is left out
    for number in (1, 2):
        batches = epoch(SHAPED, small_isnet, number, sizes=SIZES, batch_size=5)
        names = [name for batch in batches for name in batch.names]
        assert sorted(names) == sorted(SHAPED[index].name for index in range(23))
        wanted = {SHAPED[index].name: SHAPED.image_size(index) for index in range(23)}
        for batch, shape in zip(batches, shapes(batches), strict=True):
            height, width = {wanted[name] for name in batch.names}.pop()
            assert {wanted[name] for name in batch.names} == {(height, width)}
            assert shape in ([(48, 32)] if height == 97 else [(32, 48)] if width == 100 else [(32, 32), (64, 64)])
        assert sorted(len(batch.names) for batch in batches) == [2, 3, 3, 5, 5, 5]


def test_value_sides_rounded_to_multiples_are_one_aspect_ratio(small_isnet):
    batches = epoch(SQUARE, small_isnet, sizes=((32, 48), (64, 92)))  # of a data set that knows no sizes
    assert set(shapes(batches)) == {(32, 48), (64, 92)}


@pytest.mark.parametrize(
    ("batch_size", "images"),
    [(2, 2 + 12 + 8), (4, 3 + 12 + 8), (7, 3 + 12 + 7), (11, 3 + 11 + 8)],
)
def test_value_no_batch_of_any_bucket_holds_a_single_image(small_isnet, batch_size, images):
    options = {"batch_size": batch_size, "sizes": SIZES}
    loader = Batches(SHAPED, small_isnet, **options)
    assert loader.images == images
    seen = {name for number in range(1, 12) for batch in loader.epoch(number) for name in batch.names}
    assert len(seen) == 23, "others in each epoch"
    assert min(loader.counts(1)) > 1
    assert sum(loader.counts(2)) == loader.images
    assert len(loader.counts(3)) == len(loader)
    freeze_batch_norm(small_isnet)
    assert Batches(SHAPED, small_isnet, **options).images == 23


def test_error_too_few_images_for_an_aspect_ratio(small_isnet):
    with pytest.raises(ValueError, match=r"3 of 23 images .* \[\(48, 32\)\], .* needs 4 or more"):
        Batches(SHAPED, small_isnet, batch_size=2, ranks=Ranks(0, 2), sizes=SIZES)
    with pytest.raises(ValueError, match=r"0 of 23 images .* \[\(32, 320\)\], .* needs 2 or more"):
        Batches(SHAPED, small_isnet, batch_size=2, sizes=(*SIZES, (32, 320)))


def test_value_ranks_have_one_size_in_each_step(small_isnet):
    freeze_batch_norm(small_isnet)
    both = [epoch(SHAPED, small_isnet, batch_size=2, sizes=SIZES, ranks=Ranks(rank, 2)) for rank in (0, 1)]
    assert shapes(both[0]) == shapes(both[1])
    assert len(set(shapes(both[0]))) == 4
    own = sorted(name for batches in both for batch in batches for name in batch.names[: batch.own])
    assert own == sorted(SHAPED[index].name for index in range(23))


def test_value_workers_and_a_later_start_change_nothing(small_isnet):
    augmentation = gpu_augmentation("dis_tuning", elastic=0, clahe=0)  # which asks for larger images, to crop
    options = {"sizes": SIZES, "augmentation": augmentation, "batch_size": 3}
    alone = epoch(SHAPED, small_isnet, 2, **options)
    loader = Batches(SHAPED, small_isnet, seed=1, workers=2, **options)
    next(loader.epoch(1))
    for start in (0, 3):
        for batch, expected in zip(loader.epoch(2, start=start), alone[start:], strict=True):
            assert batch.names == expected.names
            assert torch.equal(batch.image, expected.image)
            assert torch.equal(batch.mask, expected.mask)
    loader.close()


def test_value_masks_as_input_and_ignored_pixels(small_isnet):
    weight = torch.ones(1, 64, 64)
    weight[..., 32:] = 0
    data = [Sample(*SQUARE[index], weight) for index in range(8)]
    for batch in epoch(data, small_isnet, sizes=(32, 96)):
        side = batch.image.shape[-1]
        assert batch.weight.shape == (4, 1, side, side)
        assert not batch.weight[..., side // 2 + 1 :].any()
        assert batch.weight[..., : side // 2 - 1].all()
    small_isnet.preprocessing = Preprocessing(size=64, source="mask", mean=(0,), std=(1,))
    batches = epoch(data, small_isnet, sizes=(32, 96))
    assert sorted(shapes(batches)) == [(32, 32), (96, 96)]
    assert all(torch.equal(batch.image, batch.mask) for batch in batches)


def test_value_jpegs_are_decoded_for_the_size_of_their_batch(small_isnet, tmp_path, monkeypatch):
    asked = []
    load = FolderDataset.load_pixels
    monkeypatch.setattr(
        FolderDataset, "load_pixels", lambda self, index, **how: asked.append(how) or load(self, index, **how)
    )
    for part in ("im", "gt"):
        (tmp_path / part).mkdir()
    for number, (width, height) in enumerate([(96, 64)] * 4 + [(64, 96)] * 4):
        Image.new("RGB", (width, height), "gray").save(tmp_path / f"im/{number}.jpg")
        Image.new("L", (width, height), 255).save(tmp_path / f"gt/{number}.png")
    folder = FolderDataset(tmp_path / "im", tmp_path / "gt")
    data = ConcatDataset([Subset(folder, [7, 0, 6, 1]), Subset(folder, [2, 5, 3, 4])])
    batches = epoch(data, small_isnet, sizes=((32, 48), (96, 64)), seed=0)
    assert {shape: sorted(batch.names) for shape, batch in zip(shapes(batches), batches, strict=True)} == {
        (32, 48): list("0123"),
        (96, 64): list("4567"),
    }
    assert sorted(how["at_least"] for how in asked) == [96] * 4 + [192] * 4  # twice the longer side


@pytest.mark.parametrize(
    ("sizes", "error"),
    [
        (384, TypeError),
        ("384", TypeError),
        ((384, "512"), TypeError),
        ((384, None), TypeError),
        ((384, 0), ValueError),
        ((384, (512, 0)), ValueError),
        ((384, 512.5), TypeError),
        (((1, 2, 3),), ValueError),
        ((384, 384), ValueError),
        ((384, (384, 384)), ValueError),
    ],
)
def test_error_sizes(sizes, error):
    with pytest.raises(error, match=r"^sizes must .*; got .*384|^sizes must .*; got \(\(1, 2, 3\),\)"):
        check_sizes(sizes, Preprocessing())


def test_value_sizes_of_numpy_and_none():
    assert check_sizes(np.array([384, 512]), Preprocessing()) == ((384, 384), (512, 512))
    assert check_sizes([[64, 96], 32], Preprocessing()) == ((64, 96), (32, 32))
    assert check_sizes((), Preprocessing(size=None)) == ()
    with pytest.raises(ValueError, match=r"sizes=\(384,\) need a model with a size.*size=None"):
        check_sizes((384,), Preprocessing(size=None))


def test_value_a_group_s_size_follows_from_seed_and_epoch():
    def groups(seed, number):
        return Grouping(SHAPED, ((32, 32), (64, 64), (32, 48)), together=3, least=1, seed=seed).epoch(number)

    assert groups(1, 1) == groups(1, 1)
    found = [[group.size for group in groups(*key)] for key in ((1, 1), (1, 2), (2, 1))]
    assert found[0] != found[1] != found[2]


def fresh():
    torch.manual_seed(0)
    args = {"channels": [8, 8], "mid_channels": [4, 4], "strides": [2, 4], "stem_channels": 8}
    return create_model("isnet", encoder_args=args, preprocessing=Preprocessing(size=32))


def test_value_accumulated_gradients_count_images_of_all_sizes_alike():
    model, other = fresh(), fresh()
    freeze_batch_norm(model)
    freeze_batch_norm(other)
    objective = DeepSupervision(BCELoss())
    optimization = Optimization(
        optimizer=torch.optim.SGD, learning_rate=1.0, schedule=constant, accumulate=99, clip_norm=None,
        precision="float32",
    )  # fmt: skip
    fit(model, SHAPED, objective=objective, epochs=1, batch_size=5, optimization=optimization, sizes=SIZES, seed=3)
    other.to(memory_format=torch.channels_last).train()
    batches = epoch(SHAPED, other, batch_size=5, sizes=SIZES, seed=3)
    assert [len(batch.names) for batch in batches[:-1]] != [5] * 5, "a smaller batch is in the middle"
    for batch in batches:
        for index in range(len(batch.names)):  # each image by itself
            objective(other(batch.image[index : index + 1]), batch.mask[index : index + 1]).backward()
    for name, parameter in other.named_parameters():
        step = parameter - model.state_dict()[name]
        torch.testing.assert_close(step, parameter.grad / 23, rtol=1e-3, atol=1e-6, msg=name)


@pytest.mark.parametrize("sizes", [(32, 48), SIZES], ids=["squares", "several aspect ratios"])
def test_value_a_run_stopped_within_an_epoch_resumes_as_if_it_had_not(tmp_path, sizes):
    def trained(out, stop):
        seen = []

        def augmentation(image, mask):
            seen.append(tuple(image.shape[-2:]))
            if len(seen) == stop:
                os.kill(os.getpid(), signal.SIGTERM)
            return image, mask

        model = fresh()
        history = fit(
            model, SHAPED, augmentation=augmentation, epochs=2, batch_size=4, out=out, resume=True, sizes=sizes,
            optimization=Optimization(accumulate=2),
        )  # fmt: skip
        return seen, model.state_dict(), [row["loss"] for row in history]

    whole, weights, losses = trained(tmp_path / "a", stop=0)
    assert len(set(whole)) == len(sizes)
    first, *_ = trained(tmp_path / "b", stop=3)
    assert 0 < len(first) < len(whole) / 2
    second, resumed, later = trained(tmp_path / "b", stop=0)
    assert first + second == whole
    assert same(weights, resumed)
    assert later == pytest.approx(losses, rel=1e-12)


def test_value_one_size_that_is_the_model_s_changes_no_weight():
    found = []
    for options in ({}, {"sizes": (32,)}):
        model = fresh()
        fit(model, SQUARE, epochs=2, batch_size=4, **options)
        found.append(model.state_dict())
    assert same(*found)


def test_value_validation_and_the_saved_model_keep_the_model_s_size():
    model = fresh()
    sides = []
    handle = model.register_forward_pre_hook(
        lambda module, inputs: sides.append((module.training, inputs[0].shape[-1]))
    )
    fit(model, SQUARE, val_data=SQUARE, epochs=2, batch_size=4, sizes=(48, 64))
    handle.remove()
    assert {side for training, side in sides if training} == {48, 64}
    assert {side for training, side in sides if not training} == {32}
    assert model.preprocessing.size == 32


def test_error_out_of_memory_names_the_largest_size(monkeypatch):
    def full(*_):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")

    model = fresh()
    monkeypatch.setattr(model, "forward", full)
    with pytest.raises(MemoryError, match=r"isnet at \(48, 32\) pixels, .* a smaller maximum of sizes="):
        fit(model, SHAPED, batch_size=3, sizes=(32, (48, 32)))
