import torch

from dichoseg.augmentations import RandomRotate90


def test_value_rotations_are_exact_and_per_image():
    torch.manual_seed(0)
    image = torch.rand(64, 1, 6, 6)
    turned, _ = RandomRotate90(1.0)(image, image)
    turns = [
        next(k for k in range(4) if torch.equal(a.rot90(k, (-2, -1)), b)) for a, b in zip(image, turned, strict=True)
    ]
    assert set(turns) == {0, 1, 2, 3}
    assert torch.equal(RandomRotate90(0.0)(image, image)[0], image)
