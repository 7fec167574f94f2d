import pytest
import timm
import torch
import torch.nn.functional as F
from torch import nn

from dichoseg import Segmenter
from dichoseg.decoders import DeconvDecoder
from dichoseg.encoders import SwinEncoder
from dichoseg.encoders.swin import WindowAttention, from_classifier, shift_mask
from dichoseg.training import checkpoint_activations


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return SwinEncoder().eval()


@pytest.mark.parametrize(
    ("variant", "channels", "parameters"),
    [("tiny", 96, 27_520_698), ("small", 96, 48_838_602), ("base", 128, 86_880_376), ("large", 192, 195_201_204)],
)
def test_shape_variants(variant, channels, parameters):
    with torch.device("meta"):
        encoder = SwinEncoder(variant)
    assert encoder.feature_info == ((channels, 2 * channels, 4 * channels, 8 * channels), (4, 8, 16, 32))
    assert sum(parameter.numel() for parameter in encoder.parameters()) == parameters


@pytest.mark.parametrize("size", [(65, 97), (64, 96), (1, 3), (56, 112)])
def test_shape_any_size(encoder, size):
    with torch.no_grad():
        features = encoder(torch.randn(1, 3, *size))
    sides = [-(-side // 4) for side in size]
    for feature in features:
        assert list(feature.shape[-2:]) == sides
        sides = [-(-side // 2) for side in sides]


def test_value_whole_windows_as_in_timm():
    side = 64 * 7  # two windows at the coarsest stage
    reference = timm.create_model("swin_tiny_patch4_window7_224", features_only=True, img_size=side).eval()
    for parameter in reference.parameters():
        nn.init.normal_(parameter, std=0.1)
    encoder = SwinEncoder().eval()
    state = {key.replace("layers_", "layers."): value for key, value in reference.state_dict().items()}
    result = encoder.load_state_dict(from_classifier(state), strict=False)
    assert result.unexpected_keys == []
    assert all(key.startswith("norms.") for key in result.missing_keys)
    image = torch.randn(1, 3, side, side)
    with torch.no_grad():
        for found, wanted in zip(encoder(image), reference(image), strict=True):
            wanted = F.layer_norm(wanted, wanted.shape[-1:]).permute(0, 3, 1, 2)
            torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)


def test_value_microsofts_merges_are_one_stage_earlier():
    value = torch.zeros(1)
    assert from_classifier({"layers.0.downsample.reduction.weight": value}) == {"merges.0.reduction.weight": value}
    timm_state = {f"layers.{stage}.downsample.reduction.weight": value for stage in (1, 2, 3)}
    assert list(from_classifier(timm_state)) == [f"merges.{stage}.reduction.weight" for stage in range(3)]
    assert from_classifier({"head.weight": value, "norm.weight": value}) == {}


def test_value_shift_mask():
    mask = shift_mask(torch.zeros(1, 3, 4, 1), 2)  # padded to 4 by 4: four windows
    apart = mask.isinf().tolist()
    assert not any(map(any, apart[0]))
    assert apart[1] == [[False, True] * 2, [True, False] * 2] * 2  # only columns differ
    assert apart[2] == [[False, False, True, True]] * 2 + [[True, True, False, False]] * 2
    assert apart[3] == [[column != row for column in range(4)] for row in range(4)]


def test_value_relative_position():
    attention = WindowAttention(4, heads=1, window=3)
    assert attention.index[0, 8] == 0  # the query is two rows above and two columns left of the key
    assert attention.index[8, 0] == 24
    assert attention.index[4, 4] == 12
    assert attention.index[4, 5] == 11  # one column left
    assert attention.index[4, 7] == 7  # one row above


def test_value_padding_takes_part_in_the_attention(encoder):
    """Tokens added to fill a window are zeros before the linear layer, so that its bias acts on all others."""
    attention = WindowAttention(4, heads=2, window=2)
    block = next(iter(encoder.stages[0]))
    before = block._attend(torch.ones(1, 5, 5, 96), shift_mask(torch.ones(1, 5, 5, 96), 7))
    with torch.no_grad():
        block.attention.qkv.bias[96:] += 1
        after = block._attend(torch.ones(1, 5, 5, 96), shift_mask(torch.ones(1, 5, 5, 96), 7))
        block.attention.qkv.bias[96:] -= 1
    assert float((after - before).detach().abs().max()) > 1e-3
    assert attention(torch.zeros(1, 1, 4, 4), None).shape == (1, 1, 4, 4)


def test_gradient_checkpointed_blocks():
    gradients = []
    for enabled in (False, True):
        torch.manual_seed(0)
        model = Segmenter(encoder := SwinEncoder(), DeconvDecoder(encoder.feature_info, channels=8)).train()
        if enabled:
            checkpoint_activations(model)
        torch.manual_seed(1)  # which blocks are skipped
        model(torch.randn(2, 3, 65, 97)).logits.square().mean().backward()
        gradients.append(encoder.embed.weight.grad)
    torch.testing.assert_close(*gradients)
    assert gradients[0].abs().sum() > 0


def test_error_variant():
    with pytest.raises(ValueError, match="huge"):
        SwinEncoder("huge")


def test_value_embedding_is_a_further_feature():
    torch.manual_seed(0)
    plain, embedded = SwinEncoder("tiny").eval(), SwinEncoder("tiny", embedding=True).eval()
    embedded.load_state_dict(plain.state_dict())
    assert embedded.feature_info.channels == (96, *plain.feature_info.channels)
    assert embedded.feature_info.strides == (4, *plain.feature_info.strides)
    image = torch.randn(1, 3, 65, 97)
    with torch.no_grad():
        first, *others = embedded(image)
        assert all(map(torch.equal, others, plain(image)))
        norm = first.mean(dim=1)  # of a layer norm that has not learned
    assert first.shape == (1, 96, 17, 25)
    assert norm.abs().max() < 1e-5
