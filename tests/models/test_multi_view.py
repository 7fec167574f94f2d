import pytest
import torch

from dichoseg.encoders import RSUEncoder, TimmEncoder
from dichoseg.models import MultiViewSegmenter


def small():
    return MultiViewSegmenter(TimmEncoder("test_resnet"), width=8)


def test_shape_maps_of_a_padded_image():
    prediction = small()(torch.randn(2, 3, 65, 97))
    assert prediction.logits.shape == (2, 1, 65, 97)
    assert [tuple(maps.shape[-2:]) for maps in prediction.side_logits] == [
        (-(-65 // stride), -(-97 // stride)) for stride in small().feature_info.strides
    ]
    assert len(prediction.extras["distant_logits"]) == len(prediction.side_logits)
    assert len(prediction.extras["gates"]) == len(prediction.side_logits) - 1
    assert all(0 <= gate.min() <= gate.max() <= 1 for gate in prediction.extras["gates"])


def test_value_padding_changes_nothing_that_is_a_multiple():
    torch.manual_seed(0)
    model = small().eval()
    image = torch.randn(1, 3, model.multiple, 2 * model.multiple)
    with torch.no_grad():
        assert torch.equal(model.logits(image), model._final(image, model._decode(image)))


def test_shape_encoder_of_another_finest_stride():
    encoder = RSUEncoder(channels=(4, 8, 8), mid_channels=(4, 4, 4), strides=(1, 2, 4))
    assert MultiViewSegmenter(encoder, width=8)(torch.randn(2, 3, 33, 49)).logits.shape == (2, 1, 33, 49)


def test_error_width():
    with pytest.raises(ValueError, match="got 6"):
        MultiViewSegmenter(TimmEncoder("test_resnet"), width=6)
