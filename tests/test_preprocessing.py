import pytest
import torch

from dichoseg import Preprocessing


def test_value_isnet_recipe_truncates():
    preprocessing = Preprocessing(size=2, antialias=False, to_uint8=True)
    image = torch.tensor([[0.0, 255, 10, 20], [0, 0, 30, 41]]).div(255)[None, None]
    resized = preprocessing.resize(image)
    expected = torch.nn.functional.interpolate((image * 255).round(), (2, 2), mode="bilinear").floor() / 255
    assert torch.equal(resized, expected)
    assert torch.equal(preprocessing.resize(torch.ones(1, 1, 37, 53)), torch.ones(1, 1, 2, 2))


def test_value_normalize():
    image = torch.tensor([0.2, 0.4, 0.8]).view(1, 3, 1, 1)
    normalized = Preprocessing(channel_order="bgr", scale="byte", mean=(1.0, 2.0, 3.0), std=(2.0,)).normalize(image)
    torch.testing.assert_close(normalized.flatten(), torch.tensor([(204 - 1) / 2, (102 - 2) / 2, (51 - 3) / 2]))
    peak = Preprocessing(scale="image_max", mean=(0.0,)).normalize(image)
    torch.testing.assert_close(peak.flatten(), torch.tensor([0.25, 0.5, 1.0]))


@pytest.mark.parametrize("policy", ["stretch", "letterbox", "longest_side"])
def test_shape_there_and_back(policy):
    preprocessing = Preprocessing(size=64, resize_policy=policy)
    mask = torch.zeros(1, 1, 65, 97)
    mask[..., 20:50, 30:80] = 1
    resized = preprocessing.resize(mask)
    assert resized.shape[-2:] == {"longest_side": (43, 64)}.get(policy, (64, 64))
    back = preprocessing.restore(resized, 65, 97)
    assert back.shape == mask.shape
    assert ((back > 0.5) == (mask > 0.5)).float().mean() > 0.97


def test_value_round_trip_of_dict():
    preprocessing = Preprocessing(size=None, mean=(0.1, 0.2, 0.3))
    assert Preprocessing.from_dict(preprocessing.to_dict()) == preprocessing


def test_error_bad_values():
    with pytest.raises(ValueError, match="resize_policy must be one of stretch, letterbox, longest_side; got 'crop'"):
        Preprocessing(resize_policy="crop")
    with pytest.raises(ValueError, match="size must be a positive"):
        Preprocessing(size=0)
    with pytest.raises(ValueError, match="knows no colour"):
        Preprocessing.from_dict({"colour": 1})
