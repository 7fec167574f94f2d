import numpy as np
import pytest
import torch
from PIL import Image

from dichoseg import Predictor, Preprocessing, SyntheticDataset, evaluate, predict
from dichoseg.inference.predictor import to_uint8


def test_value_predict_is_the_recipe_by_hand(small_isnet):
    image = torch.rand(3, 65, 97)
    small_isnet.preprocessing = Preprocessing(size=64, antialias=False, to_uint8=True)
    small_isnet.train()
    result = predict(small_isnet, image)
    assert small_isnet.training, "the caller's model stays as it is"
    net_input = (
        torch.nn.functional.interpolate((image[None] * 255).round(), (64, 64), mode="bilinear").floor() / 255 - 0.5
    )
    with torch.no_grad():
        probability = small_isnet.eval()(net_input).logits.sigmoid()
    expected = torch.nn.functional.interpolate(probability, (65, 97), mode="bilinear")[0, 0]
    np.testing.assert_allclose(result, expected.numpy(), atol=1e-6)
    assert result.dtype == np.float32


def test_value_every_kind_of_input(small_isnet, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (65, 97, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    predictor = Predictor(small_isnet)
    tensor = torch.from_numpy(pixels).permute(2, 0, 1) / 255
    results = [
        predictor(x) for x in (tmp_path / "a.png", str(tmp_path / "a.png"), Image.fromarray(pixels), pixels, tensor)
    ]
    assert all(np.array_equal(results[0], other) for other in results[1:])


@pytest.mark.parametrize("policy", ["letterbox", "longest_side", "stretch"])
def test_shape_resize_policies(small_isnet, policy):
    small_isnet.preprocessing = Preprocessing(size=64, resize_policy=policy)
    assert predict(small_isnet, torch.rand(3, 40, 97)).shape == (40, 97)


def test_value_gt_encoder_predicts_from_masks(small_isnet):
    from dichoseg import GTEncoder

    gt_encoder = GTEncoder.like(small_isnet)
    assert predict(gt_encoder, torch.rand(1, 65, 97)).shape == (65, 97)
    assert "max_f" in evaluate(gt_encoder, SyntheticDataset(2, size=64))


def test_error_inputs(small_isnet, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no image at nothing.jpg"):
        predict(small_isnet, "nothing.jpg")
    with pytest.raises(ValueError, match=r"a tensor must be \(3, H, W\).*got \(1, 3, 4, 4\)"):
        predict(small_isnet, torch.rand(1, 3, 4, 4))
    with pytest.raises(ValueError, match=r"an array must be \(H, W, 3\), RGB of uint8; got \(4, 4\)"):
        predict(small_isnet, np.zeros((4, 4), np.uint8))
    with pytest.raises(TypeError, match="wanted a model"):
        Predictor(torch.nn.Identity())


def test_value_to_uint8_rounds():
    assert to_uint8(np.array([0.0, 0.499 / 255, 0.501 / 255, 1.0], np.float32)).tolist() == [0, 0, 1, 255]
