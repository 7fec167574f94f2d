import pytest
import torch
from torch import nn

from dichoseg import FeatureInfo, Segmenter
from dichoseg.decoders import EdgeGuidedDecoder
from dichoseg.encoders import RSUEncoder, TimmEncoder
from dichoseg.heads import EdgeGuidedHeads

U2NET_LIKE = FeatureInfo((4, 8, 8, 16, 16, 16), (1, 2, 4, 8, 16, 32))
ISNET_LIKE = FeatureInfo((4, 4, 8, 16, 16, 16), (2, 4, 8, 16, 32, 64))
EGNET_LIKE = FeatureInfo((4, 8, 16, 16, 16), (2, 4, 8, 16, 16))
PAIR = FeatureInfo((4, 8), (4, 8))


def inputs(info, size=(65, 97), batch=2):
    return tuple(torch.rand(batch, c, *(-(-side // s) for side in size)) for c, s in zip(*info, strict=True))


def copy_through(module):
    """Make every convolution of one channel hand its input on."""
    for conv in module.modules():
        if isinstance(conv, nn.Conv2d):
            nn.init.zeros_(conv.weight)
            middle = conv.kernel_size[0] // 2
            conv.weight.data[..., middle, middle] = 1
    return module


@pytest.mark.parametrize("info", [U2NET_LIKE, ISNET_LIKE, EGNET_LIKE, PAIR])
@pytest.mark.parametrize("project", [True, False])
def test_shape_any_feature_info(info, project):
    channels = (6, 6, 8, 8, 10, 10)[: len(info.channels)] if project else None
    decoder = EdgeGuidedDecoder(info, channels=channels, project=project)
    assert decoder.feature_info == (channels or info.channels, info.strides)
    features = decoder(inputs(info))
    for feature, skip, width in zip(features, inputs(info), decoder.feature_info.channels, strict=True):
        assert feature.shape == (2, width, *skip.shape[-2:])
    prediction = EdgeGuidedHeads(decoder.feature_info)(features, (65, 97))
    assert len(prediction.edge_logits) == 1
    assert len(prediction.side_logits) == 2 * (len(info.channels) - 1)
    for logits in (prediction.logits, *prediction.side_logits, *prediction.edge_logits):
        assert logits.shape == (2, 1, 65, 97)
    assert prediction.features is features


@pytest.mark.parametrize(
    "make",
    [
        lambda: RSUEncoder(channels=(4,) * 6, mid_channels=(2,) * 6, stem_channels=4),
        lambda: RSUEncoder(channels=(4,) * 6, mid_channels=(2,) * 6, strides=(1, 2, 4, 8, 16, 32)),
        lambda: TimmEncoder("test_resnet"),
        lambda: TimmEncoder("test_convnext"),
    ],
)
def test_shape_behind_encoders(make):
    encoder = make()
    channels = (4, 4, 8, 8, 8, 8)[: len(encoder.feature_info.channels)]
    model = Segmenter(encoder, EdgeGuidedDecoder(encoder.feature_info, channels=channels)).eval()
    assert isinstance(model.heads, EdgeGuidedHeads)
    prediction = model(torch.rand(1, 3, 65, 97))
    assert prediction.edge_logits[0].shape == prediction.logits.shape == (1, 1, 65, 97)


@torch.no_grad()
def test_value_by_hand():
    info = FeatureInfo((1, 1, 1), (2, 4, 8))
    decoder = copy_through(EdgeGuidedDecoder(info, channels=(1, 1, 1)))
    heads = copy_through(EdgeGuidedHeads(decoder.feature_info))
    a, b, c = 1.0, 10.0, 100.0
    features = decoder(tuple(torch.full_like(x, v) for x, v in zip(inputs(info), (a, b, c), strict=True)))
    assert [float(feature.mean()) for feature in features] == [a + c, b + c, c]
    prediction = heads(features, (65, 97))
    assert float(prediction.logits.mean()) == pytest.approx(2 * a + b + 4 * c)
    sides = [float(logits.mean()) for logits in prediction.side_logits]
    assert sides == pytest.approx([a + b + 2 * c, a + 2 * c, c, b + c])  # guided finest first, salient coarsest first
    assert [float(logits.mean()) for logits in prediction.edge_logits] == pytest.approx([a + c])


@torch.no_grad()
def test_value_corners_are_aligned():
    decoder = copy_through(EdgeGuidedDecoder(FeatureInfo((1, 1), (1, 2)), project=False))
    edge, _ = decoder((torch.zeros(1, 1, 2, 5), torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]])))
    assert edge.tolist() == [[[[0, 0.25, 0.5, 0.75, 1]] * 2]]


def test_value_published_widths_and_kernels():
    with torch.device("meta"):
        decoder = EdgeGuidedDecoder(FeatureInfo((64, 256, 512, 1024, 2048), (2, 4, 8, 16, 16)))
        heads = EdgeGuidedHeads(decoder.feature_info)
    assert decoder.feature_info.channels == (128, 256, 512, 512, 512)
    assert [block[0].kernel_size[0] for block in decoder.up] == [3, 3, 5, 5, 7]
    assert [block[0].kernel_size[0] for block in heads.guided] == [3, 5, 5, 7]
    assert sum(parameter.numel() for parameter in decoder.project.parameters()) == 1_908_736
    assert sum(parameter.numel() for parameter in decoder.up.parameters()) == 80_074_368
    assert sum(parameter.numel() for parameter in heads.guided.parameters()) == 5_309_952


@torch.no_grad()
def test_value_start():
    decoder = EdgeGuidedDecoder(EGNET_LIKE, channels=(32, 32, 64, 64, 64))
    features = decoder(inputs(EGNET_LIKE))
    assert all(0.1 < float(feature.std()) < 10 for feature in features), "the signal vanishes or explodes"
    assert float(EdgeGuidedHeads(decoder.feature_info).logits(features, (65, 97)).abs().max()) < 3


@pytest.mark.parametrize("project", [True, False])
def test_gradient_reaches_every_parameter(project):
    torch.manual_seed(0)
    info = FeatureInfo((8, 8, 16, 16), (2, 4, 8, 16))
    decoder = EdgeGuidedDecoder(info, channels=(8, 8, 16, 16) if project else None, project=project)
    heads = EdgeGuidedHeads(decoder.feature_info)
    features = tuple(feature.requires_grad_() for feature in inputs(info))
    prediction = heads(decoder(features), (65, 97))
    sum(logits.mean() for logits in (prediction.logits, *prediction.side_logits, *prediction.edge_logits)).backward()
    for tensor in (*features, *decoder.parameters(), *heads.parameters()):
        assert torch.isfinite(tensor.grad).all()
        assert tensor.grad.abs().sum() > 0


def test_gradient_bfloat16():
    info = FeatureInfo((8, 8, 16), (2, 4, 8))
    decoder = EdgeGuidedDecoder(info, channels=(8, 8, 16))
    with torch.autocast("cpu", torch.bfloat16):
        prediction = EdgeGuidedHeads(decoder.feature_info)(decoder(inputs(info)), (65, 97))
    prediction.logits.float().mean().backward()
    assert all(torch.isfinite(p.grad).all() for p in decoder.parameters())


def test_error_arguments():
    for make in (EdgeGuidedDecoder, EdgeGuidedHeads):
        with pytest.raises(ValueError, match="features .*2.*1"):
            make(FeatureInfo((8,), (2,)))
    with pytest.raises(ValueError, match=r"2 features need 2 channels; got \(8, 8, 8\)"):
        EdgeGuidedDecoder(PAIR, channels=(8, 8, 8))
    with pytest.raises(ValueError, match="channels needs project=True"):
        EdgeGuidedDecoder(PAIR, channels=(8, 8), project=False)
