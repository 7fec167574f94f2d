import pytest
import torch

from dichoseg.attention import AxialAttention, AxialContext, ConvNorm, LineAttention, ObjectContext


def test_shape_conv_norm_keeps_the_size():
    for options in ({"kernel_size": (1, 7)}, {"dilation": 5}, {"kernel_size": (7, 1), "dilation": 2}):
        assert ConvNorm(3, 5, **options)(torch.randn(2, 3, 9, 13)).shape == (2, 5, 9, 13)


def test_value_line_attention_starts_as_the_identity():
    features = torch.randn(2, 16, 9, 13)
    assert torch.equal(LineAttention(16, axis="width")(features), features)
    assert torch.equal(AxialAttention(16)(features), 2 * features)


def test_value_both_axes_are_the_same_on_a_square():
    torch.manual_seed(0)
    rows, columns = LineAttention(16, axis="width").eval(), LineAttention(16, axis="height").eval()
    torch.nn.init.ones_(rows.gamma)
    columns.load_state_dict(rows.state_dict())
    square, wide = torch.randn(1, 16, 8, 8), torch.randn(1, 16, 8, 12)
    assert torch.equal(rows(square), columns(square))
    assert not torch.allclose(rows(wide), columns(wide))


def test_value_line_attention_does_not_overflow_in_float16():
    torch.manual_seed(0)
    attention = LineAttention(64, axis="width").eval()
    torch.nn.init.ones_(attention.gamma)
    features = 300 * torch.randn(1, 64, 48, 48)
    with torch.no_grad():
        query, key = (layer(features).reshape(1, -1, 48) for layer in (attention.query, attention.key))
        assert (query.transpose(1, 2) @ key).abs().max() > torch.finfo(torch.float16).max
        wanted = attention(features)
        with torch.autocast("cpu", torch.float16):
            found = attention(features)
    assert found.isfinite().all()
    assert (found - wanted).abs().mean() < 0.02 * wanted.abs().mean()


def test_shape_axial_context():
    assert AxialContext(6, 16)(torch.randn(2, 6, 9, 13)).shape == (2, 16, 9, 13)


@pytest.mark.parametrize("detail", [False, True])
def test_gradient_object_context(detail):
    block = ObjectContext(6, 8, size=(10, 14), detail=detail)
    maps = [torch.randn(2, 1, 5, 7) for _ in range(1 + detail)]
    features, laplacian = block(torch.randn(2, 6, 9, 13), *maps)
    assert features.shape == (2, 8, 9, 13)
    assert laplacian.shape == (2, 1, 9, 13)
    laplacian.square().mean().backward()
    assert all(parameter.grad is not None for parameter in block.parameters())


def test_value_object_context_depends_on_its_size_only():
    torch.manual_seed(0)
    small, large = (ObjectContext(6, 8, size=(side, side), detail=False).eval() for side in (8, 32))
    large.load_state_dict(small.state_dict())
    features, logits = torch.rand(1, 6, 16, 16), torch.randn(1, 1, 8, 8)
    with torch.no_grad():
        keys = [block._context(features, block._regions(logits, None, (16, 16)))[0] for block in (small, large)]
    assert keys[1].norm() > 8 * keys[0].norm()  # sums over 16 times as many pixels


def test_value_object_context_does_not_overflow_in_float16():
    torch.manual_seed(0)
    block = ObjectContext(6, 8, size=(384, 384), detail=False).eval()
    for layer in (block.key[0], block.value[0]):
        layer.norm.running_var.fill_(1e10)
    features, logits = 10 * torch.rand(1, 6, 16, 16), torch.randn(1, 1, 8, 8)
    with torch.no_grad():
        wanted, _ = block(features, logits)
        with torch.autocast("cpu", torch.float16):
            found, _ = block(features, logits)
    torch.testing.assert_close(found.float(), wanted, rtol=0.05, atol=0.05)
