import pytest
import torch

from dichoseg import Segmenter
from dichoseg.decoders import RSUDecoder
from dichoseg.encoders import TimmEncoder


@pytest.mark.parametrize("name", ["test_resnet", "test_convnext", "test_efficientnet"])
@pytest.mark.parametrize("size", [(64, 64), (65, 97)])
def test_shape_any_size(name, size):
    encoder = TimmEncoder(name)
    model = Segmenter(encoder, RSUDecoder(encoder.feature_info)).eval()
    features = encoder(torch.rand(1, 3, *size))
    assert [feature.shape[1] for feature in features] == list(encoder.feature_info.channels)
    assert model(torch.rand(1, 3, *size)).logits.shape == (1, 1, *size)
    assert encoder.size_multiple == 1


def test_shape_channels_last_backbone_is_permuted():
    encoder = TimmEncoder(
        "swin_tiny_patch4_window7_224",
        strict_img_size=False,
        embed_dim=24,
        depths=(1, 1, 1, 1),
        num_heads=(1, 1, 2, 2),
    )
    features = encoder.eval()(torch.rand(1, 3, 65, 97))
    assert encoder.channels_last
    assert [feature.shape[1] for feature in features] == list(encoder.feature_info.channels)


def test_shape_backbone_that_needs_multiples():
    encoder = TimmEncoder("test_vit")
    assert encoder.size_multiple == 16
    assert encoder.eval()(torch.rand(1, 3, 65, 97))[0].shape[-2:] == (5, 7)


def test_error_fixed_size_and_unknown_names():
    with pytest.raises(ValueError, match="takes 224x224 pixels only.*strict_img_size=False"):
        TimmEncoder("swin_tiny_patch4_window7_224", embed_dim=24, depths=(1, 1, 1, 1), num_heads=(1, 1, 2, 2))
    with pytest.raises(ValueError, match="timm has no backbone 'resnet5O'; similar: resnet5"):
        TimmEncoder("resnet5O")
    with pytest.raises(ValueError, match="timm cannot create 'test_resnet.none' with features: Invalid pretrained"):
        TimmEncoder("test_resnet.none", pretrained=True)
