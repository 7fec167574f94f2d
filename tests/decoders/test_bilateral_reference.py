import pytest
import torch

from dichoseg import FeatureInfo, GTEncoder, Target, create_model
from dichoseg.blocks import patch_stack, resize
from dichoseg.decoders import BilateralReferenceDecoder
from dichoseg.heads import GradientHeads
from dichoseg.objectives import IntermediateSupervision, WeightedSum
from dichoseg.objectives.birefnet import birefnet

INFO = FeatureInfo((3, 16, 32, 64), (1, 4, 8, 16))


def features_of(image, info=INFO):
    sides = [[-(-side // stride) for side in image.shape[-2:]] for stride in info.strides[1:]]
    pairs = zip(info.channels[1:], sides, strict=True)
    return (image, *(torch.randn(len(image), channels, *size) for channels, size in pairs))


@pytest.mark.parametrize("size", [(64, 96), (65, 97)])
def test_shape_features(size):
    decoder = BilateralReferenceDecoder(INFO).eval()
    assert decoder.default_heads is GradientHeads
    assert decoder.feature_info == ((8 + 2, 16, 16, 32, 16), (1, 8, 8, 16, 16))
    decoded = decoder(features_of(torch.randn(1, 3, *size)))
    sides = [[-(-side // stride) for side in size] for stride in decoder.feature_info.strides]
    assert [list(feature.shape[-2:]) for feature in decoded] == sides


def test_shape_widths_of_the_references():
    decoder = BilateralReferenceDecoder(INFO)
    convs = [(pair[0].in_channels, pair[1].out_channels) for pair in decoder.references]
    assert convs == [(3, 2), (3 * 16, 4), (3 * 64, 8), (3 * 256, 8)]


@pytest.mark.parametrize("order", ["rows", "columns"])
def test_value_patches_of_images_that_the_grid_does_not_divide(order):
    decoder = BilateralReferenceDecoder(INFO, patch_order=order).eval()
    seen = []
    decoder.references[3].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    image = torch.randn(1, 3, 65, 97)
    decoder(features_of(image))
    resized = resize(image, (80, 112), align_corners=True)
    assert torch.equal(seen[0], patch_stack(resized, (16, 16), order=order))


def test_value_gates_act_after_the_features_that_are_returned():
    torch.manual_seed(0)
    decoder = BilateralReferenceDecoder(INFO).eval()
    inputs = features_of(torch.randn(1, 3, 64, 64))
    with torch.no_grad():
        before = decoder(inputs)
        decoder.gates[1].bias += 5  # of the coarsest stage
        after = decoder(inputs)
    assert torch.equal(before[3], after[3])
    assert not torch.allclose(before[1], after[1])


def test_shape_context():
    wide, narrow = BilateralReferenceDecoder(INFO), BilateralReferenceDecoder(INFO, context=0)
    assert wide.squeeze.entry[0].in_channels == 16 + 32 + 64
    assert narrow.squeeze.entry[0].in_channels == 64


def test_gradient_behind_a_timm_encoder_with_a_gt_encoder():
    torch.manual_seed(0)
    model = create_model(
        "isnet", encoder="image_reference(encoder='timm:test_convnext')", decoder="bilateral_reference"
    )
    objective = WeightedSum(
        maps=(1.0, birefnet()), features=(1.0, IntermediateSupervision(GTEncoder.like(model), student=model))
    )
    image = torch.randn(2, 3, 65, 97)
    objective(model(image), Target((torch.rand(2, 1, 65, 97) > 0.5).float(), image)).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_error_arguments():
    with pytest.raises(ValueError, match="patch_order .*'diagonals'"):
        BilateralReferenceDecoder(INFO, patch_order="diagonals")
    with pytest.raises(ValueError, match="features .*1"):
        BilateralReferenceDecoder(FeatureInfo((3,), (1,)))
