import json

import numpy as np
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


@pytest.mark.parametrize("padding", ["end", "both"])
@pytest.mark.parametrize("policy", ["stretch", "letterbox", "longest_side"])
def test_shape_there_and_back(policy, padding):
    preprocessing = Preprocessing(size=64, resize_policy=policy, padding=padding)
    mask = torch.zeros(1, 1, 65, 97)
    mask[..., 20:50, 30:80] = 1
    resized = preprocessing.resize(mask)
    assert resized.shape[-2:] == {"longest_side": (43, 64)}.get(policy, (64, 64))
    back = preprocessing.restore(resized, 65, 97)
    assert back.shape == mask.shape
    assert ((back > 0.5) == (mask > 0.5)).float().mean() > 0.97


@pytest.mark.parametrize(("shape", "rows", "columns"), [((30, 60), (16, 48), (0, 64)), ((60, 30), (0, 64), (16, 48))])
def test_value_a_letterbox_with_centered_photograph(shape, rows, columns):
    preprocessing = Preprocessing(size=64, resize_policy="letterbox", padding="both")
    photograph = torch.ones(1, 1, *shape)
    photograph[..., : shape[0] // 2, :] = 0.5
    resized = preprocessing.resize(photograph)
    inside = torch.zeros(1, 1, 64, 64, dtype=torch.bool)
    inside[..., slice(*rows), slice(*columns)] = True
    assert torch.equal(resized > 0, inside)
    torch.testing.assert_close(preprocessing.restore(resized, *shape), photograph, rtol=0, atol=0.3)
    assert preprocessing.restore(inside.float(), *shape).min() > 0.999, "no padding comes back"
    assert Preprocessing.from_dict(preprocessing.to_dict()) == preprocessing


def test_value_round_trip_of_dict():
    preprocessing = Preprocessing(size=None, mean=(0.1, 0.2, 0.3))
    assert Preprocessing.from_dict(preprocessing.to_dict()) == preprocessing


def test_value_numbers_of_numpy_and_torch_are_kept_as_plain_ones():
    preprocessing = Preprocessing(
        size=np.int64(64), mean=np.float32([0.25, 0.5, 0.75]), std=torch.tensor([0.5, 0.25, 1.0])
    )
    assert json.loads(json.dumps(preprocessing.to_dict())) == {
        **Preprocessing(size=64).to_dict(), "mean": [0.25, 0.5, 0.75], "std": [0.5, 0.25, 1.0]
    }  # fmt: skip
    assert preprocessing == Preprocessing(size=64, mean=(0.25, 0.5, 0.75), std=(0.5, 0.25, 1.0))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("antialias", [True, False])
def test_value_resize_in_any_float_type(dtype, interpolation, antialias):
    preprocessing = Preprocessing(size=32, interpolation=interpolation, antialias=antialias)
    image = torch.rand(2, 3, 65, 97, generator=torch.Generator().manual_seed(0))
    resized = preprocessing.resize(image.to(dtype))
    assert resized.dtype == dtype
    torch.testing.assert_close(resized.float(), preprocessing.resize(image), rtol=0, atol=1e-2)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool])
def test_error_images_that_are_no_floats(dtype):
    image = torch.ones(1, 3, 8, 8, dtype=dtype)
    for method in (Preprocessing(size=4).resize, Preprocessing().normalize):
        with pytest.raises(TypeError, match=rf"float, in \[0, 1\]; got {dtype} \(divide bytes by 255\)"):
            method(image)


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"size": (512, 512, 3)}, ValueError, r"size .*\(512, 512, 3\)"),
        ({"size": (512, 0)}, ValueError, "size .*0"),
        ({"size": 0}, ValueError, "size .*0"),
        ({"size": (512, 2.5)}, TypeError, r"size .*2\.5"),
        ({"size": "512"}, TypeError, "size .*'512'"),
        ({"size": 2.5}, TypeError, r"size .*2\.5"),
        ({"mean": 0.5}, TypeError, r"mean .*0\.5"),
        ({"mean": (0.1, 0.2)}, ValueError, r"mean .*\(0.1, 0.2\)"),
        ({"mean": (float("nan"),)}, ValueError, "mean .*nan"),
        ({"std": (0.0,)}, ValueError, r"std .*\(0.0,\)"),
        ({"std": (-1.0,)}, ValueError, r"std .*\(-1.0,\)"),
        ({"source": "mask", "mean": (0.1, 0.2, 0.3)}, ValueError, r"mean .*\(0.1, 0.2, 0.3\)"),
        ({"resize_policy": "crop"}, ValueError, "resize_policy .*'crop'"),
    ],
)
def test_error_numbers(values, error, message):
    with pytest.raises(error, match=message):
        Preprocessing(**values)


def test_error_unknown_key():
    with pytest.raises(ValueError, match="colour"):
        Preprocessing.from_dict({"colour": 1})


def test_value_size_as_a_pair():
    assert Preprocessing(size=(64, 64)) == Preprocessing(size=64)
    preprocessing = Preprocessing(size=(40, 96))
    assert preprocessing.height_width == (40, 96)
    assert Preprocessing.from_dict(json.loads(json.dumps(preprocessing.to_dict()))) == preprocessing
    assert preprocessing.with_size(None) is preprocessing
    assert preprocessing.with_size(32).height_width == (32, 32)
    assert Preprocessing(size=None).height_width is None


@pytest.mark.parametrize("padding", ["end", "both"])
@pytest.mark.parametrize(
    ("policy", "resized", "content"),
    [("stretch", (40, 96), (40, 96)), ("letterbox", (40, 96), (40, 60)), ("longest_side", (40, 60), (40, 60))],
)
def test_shape_of_a_pair(policy, resized, content, padding):
    preprocessing = Preprocessing(size=(40, 96), resize_policy=policy, padding=padding)
    image = torch.ones(1, 3, 65, 97)
    assert preprocessing.content_size(65, 97) == content
    assert preprocessing.resize(image).shape[-2:] == resized
    assert preprocessing.resize(image, scale=1.25).shape[-2:] == tuple(round(1.25 * side) for side in resized)
    restored = preprocessing.restore(preprocessing.resize(image)[:, :1], 65, 97)
    assert restored.shape == (1, 1, 65, 97)
    assert restored.min() > 0.99, "no padding comes back"
