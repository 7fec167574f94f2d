import pytest
import torch
from torch import nn

from dichoseg import Segmenter
from dichoseg.decoders import EdgeGuidedDecoder
from dichoseg.encoders import CaffeResNet50Encoder, VGG16Encoder

ENCODERS = {
    CaffeResNet50Encoder: ((64, 256, 512, 1024, 2048), (2, 4, 8, 16, 16)),
    VGG16Encoder: ((128, 256, 512, 512, 512), (2, 4, 8, 16, 32)),
}


@pytest.fixture(params=ENCODERS, scope="module")
def encoder(request):
    torch.manual_seed(0)
    return request.param()


@pytest.mark.parametrize("size", [(33, 33), (65, 97), (64, 64)])
def test_shape_features(encoder, size):
    assert encoder.feature_info == ENCODERS[type(encoder)]
    with torch.no_grad():
        features = encoder(torch.rand(1, 3, *size))
    for feature, channels, stride in zip(features, *encoder.feature_info, strict=True):
        height, width = feature.shape[-2:]
        # 64 -> 32 -> 17: Caffe's stem pooling takes one more where the side is even
        assert height - -(-size[0] // stride) in (0, 1)
        assert width - -(-size[1] // stride) in (0, 1)
        assert feature.shape[:2] == (1, channels)


def test_shape_stem_pooling_rounds_up():
    stem, stage1 = CaffeResNet50Encoder()(torch.rand(1, 3, 96, 96))[:2]
    assert (stem.shape[-1], stage1.shape[-1]) == (48, 25)


def test_value_caffe_layout():
    backbone = CaffeResNet50Encoder().backbone
    for stage, stride in ((backbone.layer1, 1), (backbone.layer2, 2), (backbone.layer3, 2), (backbone.layer4, 1)):
        assert [block.conv1.stride[0] for block in stage] == [stride, *[1] * (len(stage) - 1)]
        assert {block.conv2.stride for block in stage} == {(1, 1)}
        assert stage[0].downsample[0].stride == (stride, stride)
    assert {(block.conv2.dilation, block.conv2.padding) for block in backbone.layer4} == {((2, 2), (2, 2))}


def test_value_batch_norms_are_frozen():
    encoder = CaffeResNet50Encoder()
    assert not any(isinstance(module, nn.BatchNorm2d) for module in encoder.modules())
    assert sum("bn" in name or "downsample.1" in name for name, _ in encoder.named_parameters()) == 0
    affine = [key for key in encoder.state_dict() if ("bn" in key or "downsample.1" in key) and "running" not in key]
    assert sum(encoder.state_dict()[key].numel() for key in affine) == 53_120
    image = torch.rand(1, 3, 65, 97)
    with torch.no_grad():
        trained, evaluated = encoder.train()(image)[-1], encoder.eval()(image)[-1]
    assert torch.equal(trained, evaluated)


def test_value_vgg_layers():
    encoder = VGG16Encoder()
    convs = [index for index, layer in enumerate(encoder.convs) if isinstance(layer, nn.Conv2d)]
    assert convs == [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
    assert all(isinstance(encoder.convs[tap], nn.ReLU) for tap in encoder.taps)
    assert sum(parameter.numel() for parameter in encoder.parameters()) == 14_714_688 + 7_077_888
    image = torch.zeros(1, 1, 5, 5)
    image[..., 2, 2] = 1  # a 3x3 window with stride 2 meets the middle once, a 2x2 one would lose the border
    assert encoder.convs[4](image).tolist() == [[[[0, 0, 0], [0, 1, 0], [0, 0, 0]]]]


def test_value_preprocessing_is_caffes(encoder):
    assert encoder.preprocessing.size is None
    red = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)
    expected = torch.tensor([-104.00699, -116.66877, 255 - 122.67892]).view(1, 3, 1, 1)
    torch.testing.assert_close(encoder.preprocessing.normalize(red), expected)


def test_value_new_networks_have_features_near_one(encoder):
    image = encoder.preprocessing.normalize(torch.rand(1, 3, 65, 97))
    with torch.no_grad():
        assert all(0.02 < float(feature.std()) < 50 for feature in encoder(image))


def test_gradient_bfloat16(encoder):
    model = Segmenter(encoder, EdgeGuidedDecoder(encoder.feature_info, channels=(4, 4, 8, 8, 8)))
    with torch.autocast("cpu", torch.bfloat16):
        prediction = model(torch.rand(1, 3, 65, 97))
    prediction.logits.float().mean().backward()
    first = next(encoder.parameters())
    assert torch.isfinite(first.grad).all()
    assert first.grad.abs().sum() > 0
