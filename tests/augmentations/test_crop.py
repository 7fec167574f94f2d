import pytest
import torch

from dichoseg import SyntheticDataset, fit
from dichoseg.augmentations import Compose, RandomBorderCrop, RandomCrop
from dichoseg.augmentations.crop import windows
from dichoseg.masks import border


def test_shape_sides_are_divided():
    image, mask = RandomBorderCrop(1.25)(torch.rand(3, 3, 81, 121), (torch.rand(3, 1, 81, 121) > 0.5).float())
    assert image.shape == (3, 3, 65, 97)
    assert mask.shape == (3, 1, 65, 97)
    assert Compose(RandomBorderCrop(2.0), RandomCrop(1.5)).input_scale == 3.0


def test_value_crop_reaches_every_offset():
    torch.manual_seed(0)
    ramp = torch.arange(5.0).expand(200, 1, 5, 5)
    corners = RandomCrop(1.25)(ramp, ramp)[0][:, 0, 0, 0]
    assert set(corners.tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
def test_value_windows_against_counting(share):
    torch.manual_seed(0)
    edge = border(torch.rand(1, 17, 13) > 0.9)[0]
    allowed = windows(edge, 6, 5, share)
    assert allowed.shape == (12, 9)
    counts = [[int(edge[top : top + 6, left : left + 5].sum()) for left in range(9)] for top in range(12)]
    most = max(max(row) for row in counts)
    assert allowed.tolist() == [[count >= share * most for count in row] for row in counts]


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_value_a_small_object_stays_in_view(share):
    torch.manual_seed(0)
    mask = torch.zeros(100, 1, 64, 96)
    mask[:, :, 50:54, 80:84] = 1
    total = int(border(mask[:1, 0] > 0.5).sum())
    _, cropped = RandomBorderCrop(4.0, share=share)(mask.expand(-1, 3, -1, -1), mask)
    seen = [int(one.sum()) for one in border(cropped[:, 0] > 0.5)]
    assert min(seen) >= share * total - 4, "a border that lies along the window's own edge is cut off"
    assert RandomCrop(4.0)(mask, mask)[1].sum(dim=(1, 2, 3)).min() == 0, "which an even crop misses"


def test_value_image_and_mask_are_cut_alike_and_each_for_itself():
    torch.manual_seed(0)
    mask = torch.rand(20, 1, 65, 97)
    image, cut = RandomBorderCrop(1.5)(mask.expand(-1, 3, -1, -1), mask)
    assert torch.equal(image, cut.expand(-1, 3, -1, -1))
    one = mask[:1].expand(20, -1, -1, -1)
    assert len({tuple(corner.tolist()) for corner in RandomBorderCrop(1.5)(one, one)[1][:, 0, 0, :2]}) > 10


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_value_without_border_every_window_is_as_likely(value):
    torch.manual_seed(0)
    ramp = torch.arange(36.0).view(1, 1, 6, 6).expand(900, 1, -1, -1)
    corners = RandomBorderCrop(1.5)(ramp, torch.full((900, 1, 6, 6), value))[0][:, 0, 0, 0].int()
    counts = corners.bincount(minlength=36).view(6, 6)
    assert int(counts[:3, :3].sum()) == 900
    assert int(counts[:3, :3].min()) > 60
    assert int(counts.max()) < 140


def test_value_one_changes_nothing():
    image, mask = torch.rand(2, 3, 65, 97), torch.rand(2, 1, 65, 97)
    assert all(
        torch.equal(cut, whole) for cut, whole in zip(RandomBorderCrop(1.0)(image, mask), (image, mask), strict=True)
    )


def test_value_repeatable_in_fit_whatever_the_workers(small_isnet):
    start = {key: value.clone() for key, value in small_isnet.state_dict().items()}
    losses = []
    for workers, seed in ((0, 1), (2, 1), (0, 2)):
        small_isnet.load_state_dict(start)
        history = fit(
            small_isnet,
            SyntheticDataset(4, size=80),
            batch_size=2,
            augmentation=RandomBorderCrop(1.25),
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
def test_value_same_draws_on_cuda(disc):
    results = []
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)
        results.append([part.cpu() for part in RandomBorderCrop(1.5)(disc.to(device), disc.to(device))])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
