import pytest
from torch import nn

from dichoseg import Preprocessing, create_model
from dichoseg.tracing import blank_image, evaluating, outline, predicts, predicts_edges

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
