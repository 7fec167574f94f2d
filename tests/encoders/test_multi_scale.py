import pytest
import torch

from dichoseg import load_component
from dichoseg.blocks import resize
from dichoseg.encoders import MultiScaleInput, TimmEncoder


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return TimmEncoder("test_resnet").eval()


@pytest.mark.parametrize("size", [(64, 64), (65, 97)])
def test_value_the_image_and_its_half(encoder, size):
    image = torch.randn(1, 3, *size)
    half = resize(image, (size[0] // 2, size[1] // 2), align_corners=True)
    joined, summed = MultiScaleInput(encoder), MultiScaleInput(encoder, joining="add")
    assert joined.feature_info.channels == tuple(2 * count for count in encoder.feature_info.channels)
    assert summed.feature_info == encoder.feature_info
    assert joined.preprocessing == encoder.preprocessing
    with torch.no_grad():
        results = zip(joined(image), summed(image), encoder(image), encoder(half), strict=True)
    for cat, total, full, small in results:
        enlarged = resize(small, tuple(full.shape[-2:]), align_corners=True)
        assert torch.equal(cat, torch.cat([full, enlarged], dim=1))
        assert torch.equal(total, full + enlarged)


def test_value_by_name():
    made = load_component("encoders", "multi_scale")(encoder="timm:test_resnet", joining="add")
    assert made.feature_info == TimmEncoder("test_resnet").feature_info


def test_error_joining(encoder):
    with pytest.raises(ValueError, match="joining .*'sum'"):
        MultiScaleInput(encoder, joining="sum")
