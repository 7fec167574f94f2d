import torch

from dichoseg import load_component
from dichoseg.encoders import ImageReference, TimmEncoder


def test_value_the_image_is_the_first_feature():
    inner = TimmEncoder("test_resnet").eval()
    encoder = ImageReference(inner)
    assert encoder.feature_info == ((3, *inner.feature_info.channels), (1, *inner.feature_info.strides))
    assert encoder.preprocessing == inner.preprocessing
    image = torch.randn(1, 3, 65, 97)
    with torch.no_grad():
        first, *features = encoder(image)
        assert first is image
        assert all(map(torch.equal, features, inner(image)))


def test_value_by_name():
    made = load_component("encoders", "image_reference")(encoder="multi_scale(encoder='timm:test_resnet')")
    assert made.feature_info.channels[1] == 2 * TimmEncoder("test_resnet").feature_info.channels[0]
