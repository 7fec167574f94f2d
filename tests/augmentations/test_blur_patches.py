import math

import numpy as np
import pytest
import torch

from dichoseg import SyntheticDataset, fit
from dichoseg.augmentations import RandomBlurPatches, blur_patches
from dichoseg.augmentations.blur_patches import Patch, _gaussian_blur, _motion_blur, blur
from dichoseg.blocks import window_mean
from dichoseg.masks import border

OPTIONS = [
    {"kind": "gaussian"},
    {"kind": "motion"},
    {"feather": 0.5},
    {"kind": "motion", "feather": 1.0},
    {"where": "anywhere"},
    {"objects": "largest"},
    {"p": 0.5},
]


@pytest.mark.parametrize("count", [0, 1, 5])
def test_value_exact_count_on_the_border(count, monkeypatch):
    places = []
    monkeypatch.setattr(blur_patches, "blur", lambda target, source, patch: places.append((patch.row, patch.column)))
    mask = torch.zeros(2, 1, 65, 97)
    mask[:, :, 20:40, 30:60] = 1
    RandomBlurPatches(count)(torch.rand(2, 3, 65, 97), mask)
    assert len(places) == 2 * count
    assert all(border(mask[:, 0] > 0.5)[0, row, column] for row, column in places)


def test_value_mask_untouched_and_changes_lie_near_the_border():
    mask = torch.zeros(1, 1, 65, 97)
    mask[..., 40:] = 1
    image = torch.rand(1, 3, 65, 97)
    before = image.clone()
    blurred, same = RandomBlurPatches(3, size=(5, 9), kernel=(3, 3), unit="pixels")(image, mask)
    assert same is mask
    assert torch.equal(image, before)
    changed = (blurred != image).any(dim=1)[0].any(dim=0).nonzero()[:, 0]
    assert int(changed.min()) >= 34
    assert int(changed.max()) <= 45


def test_value_white_stays_white_and_bytes_round():
    white = torch.ones(3, 65, 97)
    blur(changed := white.clone(), white, Patch(30, 40, 20, 3))
    assert torch.equal(changed, white), "an average never leaves the range of what it averages"
    stripes = torch.tensor([0, 255, 255, 255, 255], dtype=torch.uint8).repeat(3, 27, 13)
    blur(changed := stripes.clone(), stripes, Patch(13, 32, 1, 2))
    assert changed[0, 13, 32] == 204
    assert int((changed != stripes).sum()) == 3, "one pixel in each channel"


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_value_no_border_no_change(value):
    image = torch.rand(2, 3, 65, 97)
    assert torch.equal(RandomBlurPatches()(image, torch.full((2, 1, 65, 97), value))[0], image)


def test_value_repeatable(disc):
    image = torch.rand(2, 3, 65, 97)
    torch.manual_seed(3)
    first = RandomBlurPatches()(image, disc)[0]
    torch.manual_seed(3)
    assert torch.equal(RandomBlurPatches()(image, disc)[0], first)
    state = torch.get_rng_state()
    own = [RandomBlurPatches(generator=torch.Generator().manual_seed(1))(image, disc)[0] for _ in range(2)]
    assert torch.equal(*own)
    assert torch.equal(torch.get_rng_state(), state), "a generator of its own leaves the global one alone"


@pytest.mark.parametrize("radius", [1, 4, 9])
def test_value_gaussian_has_the_standard_deviation_of_the_box(radius):
    dot = torch.zeros(1, 101, 101)
    dot[0, 50, 50] = 1
    spread = (torch.arange(101) - 50.0).square()
    box = window_mean(dot, 2 * radius + 1, 2 * radius + 1)[0]
    gaussian = _gaussian_blur(dot, radius)[0]
    for line in (gaussian.sum(dim=0), gaussian.sum(dim=1)):
        torch.testing.assert_close(line.sum(), torch.ones(()))
        torch.testing.assert_close((line * spread).sum(), (box.sum(dim=0) * spread).sum(), rtol=0.03, atol=0)
    torch.testing.assert_close(
        gaussian[50, 51] / gaussian[50, 50], torch.tensor(math.exp(-1.5 / (radius * (radius + 1))))
    )


def test_value_gaussian_at_the_image_edge_averages_what_is_there():
    image = torch.rand(2, 12, 9)
    ones = torch.nn.functional.pad(torch.ones(2, 12, 9), (20, 20, 20, 20))
    padded = torch.nn.functional.pad(image, (20, 20, 20, 20))
    expected = (_gaussian_blur(padded, 3) / _gaussian_blur(ones, 3))[:, 20:-20, 20:-20]
    torch.testing.assert_close(_gaussian_blur(image, 3), expected)


@pytest.mark.parametrize("angle", [0.0, 0.4, math.pi / 4, 1.2, math.pi / 2, 2.0, 2.9])
def test_value_motion_smears_a_dot_along_a_line(angle):
    dot = torch.zeros(1, 41, 41)
    dot[0, 20, 20] = 1
    smear = _motion_blur(dot, 8, angle)[0]
    rows, columns = (smear.nonzero() - 20).float().unbind(dim=1)
    along = columns * math.cos(angle) + rows * math.sin(angle)
    beside = rows * math.cos(angle) - columns * math.sin(angle)
    count = 2 * round(8 * max(abs(math.cos(angle)), abs(math.sin(angle)))) + 1
    assert len(along) == count, "one pixel in each column, or in each row"
    torch.testing.assert_close(smear[smear > 0], torch.full((count,), 1 / count))
    assert beside.abs().max() <= 1
    assert 7 < -along.min() < 9
    assert 7 < along.max() < 9


def test_value_motion_along_rows_and_columns_is_exact():
    image = torch.rand(2, 20, 30)
    pool = torch.nn.functional.avg_pool2d
    options = {"stride": 1, "count_include_pad": False}
    across = pool(image[None], (1, 7), padding=(0, 3), **options)[0]
    down = pool(image[None], (7, 1), padding=(3, 0), **options)[0]
    torch.testing.assert_close(_motion_blur(image, 3, 0.0), across, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(_motion_blur(image, 3, math.pi / 2), down, rtol=1e-4, atol=1e-5)


def test_value_motion_keeps_lines_of_its_own_direction():
    rows, columns = torch.meshgrid(torch.arange(40), torch.arange(40), indexing="ij")
    stripes = ((rows - columns) % 8 < 4).float()[None]  # they run down to the right, at 45 degrees
    assert torch.equal(_motion_blur(stripes, 6, math.pi / 4), stripes)
    assert _motion_blur(stripes, 6, 3 * math.pi / 4)[0, 10:30, 10:30].std() < 0.15


@pytest.mark.parametrize("kind", ["box", "gaussian", "motion"])
@pytest.mark.parametrize("feather", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("place", [(0, 0), (30, 40), (64, 96)])
def test_value_nothing_darkens(kind, feather, place):
    for value in (torch.ones(3, 65, 97), torch.full((3, 65, 97), 255, dtype=torch.uint8), torch.zeros(3, 65, 97)):
        changed = value.clone()
        blur(changed, value, Patch(*place, 31, 5, kind, 1.0, feather))
        blur(changed, value, Patch(*place, 20, 9, kind, 0.5, feather))
        assert torch.equal(changed, value)


def test_value_soft_edges_fade_from_the_image_to_the_blur():
    torch.manual_seed(0)
    image = torch.rand(1, 65, 97)
    blur(hard := image.clone(), image, Patch(30, 50, 20, 4))
    blur(soft := image.clone(), image, Patch(30, 50, 20, 4, feather=0.5))
    weight = ((soft - image) / (hard - image)).nan_to_num()[0, 20:40, 40:60]
    ramp = torch.tensor([min((place + 0.5) / 5, 1) for place in range(10)])
    ramp = torch.cat([ramp, ramp.flip(0)])
    torch.testing.assert_close(weight, ramp[:, None] * ramp, atol=1e-2, rtol=0)
    blur(twice := hard.clone(), image, Patch(30, 50, 20, 4, feather=0.5))
    torch.testing.assert_close(twice, hard)  # where two patches lie on each other, nothing becomes sharp again


def test_value_patches_that_reach_beyond_the_image_do_not_fade_there():
    image = torch.rand(1, 65, 97)
    blur(hard := image.clone(), image, Patch(0, 50, 20, 4))
    blur(soft := image.clone(), image, Patch(0, 50, 20, 4, feather=0.5))
    torch.testing.assert_close(soft[:, 0, 46:54], hard[:, 0, 46:54])


def test_value_places():
    mask = torch.zeros(1, 65, 97, dtype=torch.bool)
    mask[:, 5:45, 10:60] = True
    mask[:, 15:30, 20:40] = False  # a hole
    mask[:, 20:24, 24:28] = True  # and something in it
    mask[:, 50:60, 70:90] = True
    outline = mask.clone()
    outline[:, 5:45, 10:60] = True
    outline[:, 50:] = False
    assert torch.equal(RandomBlurPatches().places(mask), border(mask))
    assert torch.equal(RandomBlurPatches(objects="largest").places(mask), border(outline))
    assert RandomBlurPatches(where="anywhere").places(mask).all()


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_value_anywhere_needs_no_border(value):
    torch.manual_seed(0)
    image = torch.rand(2, 3, 65, 97)
    mask = torch.full((2, 1, 65, 97), value)
    assert (RandomBlurPatches(where="anywhere")(image, mask)[0] != image).flatten(1).any(dim=1).all()
    assert torch.equal(RandomBlurPatches(objects="largest")(image, mask)[0], image)


def test_value_anywhere_reaches_all_of_the_image():
    drawn = RandomBlurPatches(2000, where="anywhere").draw(torch.ones(65, 97) > 0, torch.Generator().manual_seed(0))
    places = np.array([(patch.row, patch.column) for patch in drawn])
    counts = np.histogram2d(*places.T, bins=(4, 4), range=((0, 65), (0, 97)))[0]
    assert counts.min() > 80
    assert counts.max() < 180


def test_value_probability_per_image(disc):
    torch.manual_seed(0)
    image = torch.rand(1, 3, 65, 97).expand(400, -1, -1, -1)
    blurred, _ = RandomBlurPatches(1, p=0.3)(image, disc[:1].expand(400, -1, -1, -1))
    assert 90 <= int((blurred != image).flatten(1).any(dim=1).sum()) <= 150
    assert torch.equal(RandomBlurPatches(p=0.0)(image, disc[:1].expand(400, -1, -1, -1))[0], image)


@pytest.mark.parametrize("options", OPTIONS)
def test_value_drawing_with_the_same_generator_gives_the_patches_of_forward(options, disc, monkeypatch):
    seen = []
    monkeypatch.setattr(blur_patches, "blur", lambda target, source, patch: seen.append(patch))
    module = RandomBlurPatches(4, **options, generator=torch.Generator().manual_seed(5))
    module(torch.rand(2, 3, 65, 97), disc)
    generator = torch.Generator().manual_seed(5)
    drawn = [module.draw(places, generator) for places in module.places(disc[:, 0] > 0.5)]
    assert [patch for patches in drawn for patch in patches] == seen
    for patch in seen:
        assert patch.kind == options.get("kind", "box")
        assert patch.feather == options.get("feather", 0)
        assert (0 < patch.angle < math.pi) == (patch.kind == "motion")


def test_value_kinds_and_soft_edges_take_the_places_of_the_plain_one(disc):
    plain, soft, gaussian = (
        RandomBlurPatches(**options).draw(border(disc[:, 0] > 0.5)[0], torch.Generator().manual_seed(0))
        for options in ({}, {"feather": 0.5}, {"kind": "gaussian"})
    )
    assert [patch[:4] for patch in plain] == [patch[:4] for patch in soft] == [patch[:4] for patch in gaussian]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("size", [(65, 97), (1, 1), (3, 40)])
def test_shape_any_size_and_type(options, size):
    torch.manual_seed(0)
    mask = (torch.rand(2, 1, *size) > 0.5).float()
    module = RandomBlurPatches(kernel=(0.5, 1.0), **options)
    for kind in (torch.float32, torch.float64, torch.bfloat16):
        image = torch.rand(2, 3, *size).to(kind)
        blurred, same = module(image, mask)
        assert blurred.shape == image.shape
        assert blurred.dtype == kind
        assert same is mask
        assert blurred.min() >= image.min()
        assert blurred.max() <= image.max()


@pytest.mark.parametrize("options", OPTIONS)
def test_value_autocast_changes_nothing(options, disc):
    image = torch.rand(2, 3, 65, 97)
    results = []
    for enabled in (False, True):
        torch.manual_seed(3)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            results.append(RandomBlurPatches(**options)(image, disc)[0])
    assert torch.equal(*results)


@pytest.mark.parametrize("options", OPTIONS)
def test_value_repeatable_in_fit_whatever_the_workers(options, small_isnet):
    start = {key: value.clone() for key, value in small_isnet.state_dict().items()}
    augmentation = RandomBlurPatches(kernel=(0.1, 0.3), **options)
    losses = []
    for workers, seed in ((0, 1), (2, 1), (0, 2)):
        small_isnet.load_state_dict(start)
        history = fit(
            small_isnet,
            SyntheticDataset(4, size=64),
            batch_size=2,
            augmentation=augmentation,
            epochs=1,
            workers=workers,
            device="cpu",
            seed=seed,
        )
        losses.append(history[-1]["loss"])
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("options", OPTIONS)
def test_value_same_patches_on_cuda(options, disc):
    image = torch.rand(2, 3, 65, 97)
    results = []
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)
        results.append(RandomBlurPatches(**options)(image.to(device), disc.to(device))[0].cpu())
    torch.testing.assert_close(*results, atol=1e-5, rtol=0)


def test_value_repr_shows_the_arguments():
    assert repr(RandomBlurPatches(3, kind="motion", p=0.5)).startswith(
        "RandomBlurPatches(3, size=(0.06, 0.18), kernel="
    )
    assert "kind='motion', feather=0.0, p=0.5" in repr(RandomBlurPatches(3, kind="motion", p=0.5))
    with pytest.raises(ValueError, match=r"from 0 to 1, as fractions of the image; got \(9, 21\)"):
        RandomBlurPatches(kernel=(9, 21))


def test_error_an_argument_of_another_name():
    with pytest.raises(TypeError, match="^RandomBlurPatches has no argument 'num_patches'; wanted patches="):
        RandomBlurPatches(num_patches=3)
