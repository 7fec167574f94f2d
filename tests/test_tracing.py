import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dichoseg import Preprocessing, create_model
from dichoseg.tracing import ShapesOnly, blank_image, evaluating, outline, predicts, predicts_edges

from .conftest import SMALL


def test_value_outline_has_shapes_only(small_isnet):
    empty = outline(small_isnet.train())
    assert {value.device.type for value in empty.state_dict().values()} == {"meta"}
    assert not empty.training
    assert small_isnet.training
    assert empty(blank_image(small_isnet)).logits.shape == (1, 1, 64, 64)


@pytest.mark.parametrize(("size", "shape"), [(32, (32, 32)), ((40, 96), (40, 96)), (None, (64, 64))])
def test_shape_blank_image(small_isnet, size, shape):
    small_isnet.preprocessing = Preprocessing(size=size)
    assert blank_image(small_isnet).shape == (1, 3, *shape)


def test_value_evaluating_restores_each_module():
    model = nn.Sequential(nn.Dropout(), nn.BatchNorm2d(2).eval())
    with evaluating(model):
        assert not any(module.training for module in model.modules())
    assert [module.training for module in model.modules()] == [True, True, False]


def test_value_predicts_edges(small_isnet):
    assert predicts_edges(small_isnet) is False
    edges = create_model("isnet", decoder="edge_guided", decoder_args={"channels": [4] * 3}, encoder_args=SMALL)
    assert predicts_edges(edges) is True
    small_isnet.forward = lambda image: image.numpy()  # which the meta device does not have
    assert predicts_edges(small_isnet) is None


def test_value_predicts(small_isnet):
    assert predicts(small_isnet, lambda prediction: prediction.side_logits) is True
    assert predicts(small_isnet, lambda prediction: prediction.extras) is False


def test_shape_shapes_only(small_isnet):
    empty = outline(small_isnet)
    with torch.no_grad(), ShapesOnly():
        prediction = empty(blank_image(small_isnet))
    wanted = empty(blank_image(small_isnet))
    assert [each.shape for each in prediction.side_logits] == [each.shape for each in wanted.side_logits]
    assert [each.shape for each in prediction.features] == [each.shape for each in wanted.features]


def test_value_shapes_only_leaves_other_devices_and_gradients_alone(small_isnet):
    image = torch.rand(1, 3, 64, 64)
    wanted = small_isnet.eval()(image).logits
    with ShapesOnly():
        assert torch.equal(small_isnet(image).logits, wanted)
        learned = torch.zeros(1, 1, 2, 2, device="meta", requires_grad=True)
        assert F.interpolate(learned, (4, 4)).grad_fn is not None


def test_error_shapes_only_still_sees_tensors_of_two_devices():
    with ShapesOnly(), pytest.raises(RuntimeError, match="device"):
        F.batch_norm(torch.zeros(1, 1, 2, 2, device="meta"), torch.zeros(1), torch.ones(1))
