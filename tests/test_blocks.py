import pytest
import torch
import torch.nn.functional as F

from dichoseg.blocks import RSU, ConvNormAct, full_precision, patch_stack, resize, rsu_stage, window_mean


@pytest.mark.parametrize("block", [RSU(3, 4, 5, depth=7), RSU(3, 4, 5, depth=2), RSU(3, 4, 5, depth=4, dilated=True)])
@pytest.mark.parametrize("size", [(33, 33), (65, 97), (1, 1)])
def test_shape_rsu(block, size):
    assert block.eval()(torch.rand(2, 3, *size)).shape == (2, 5, *size)


def test_value_rsu_dilations():
    dilations = [conv.conv.dilation[0] for conv in RSU(3, 4, 5, depth=4, dilated=True).down]
    assert dilations == [1, 2, 4, 8]
    assert [conv.conv.dilation[0] for conv in RSU(3, 4, 5, depth=4).down] == [1, 1, 1, 2]


def test_value_rsu_stage_depths():
    stages = [rsu_stage(3, 4, 5, index=index) for index in range(6)]
    assert [len(stage.down) for stage in stages] == [7, 6, 5, 4, 4, 4]
    assert [stage.dilated for stage in stages] == [False] * 4 + [True] * 2


def test_error_rsu_depth():
    with pytest.raises(ValueError, match="depth .*2.*1"):
        RSU(3, 4, 5, depth=1)


def test_shape_conv_norm_act():
    assert ConvNormAct(3, 4, kernel_size=7, stride=4).eval()(torch.rand(1, 3, 65, 97)).shape == (1, 4, 17, 25)


def test_value_window_mean_counts_pixels_of_the_image_only():
    image = torch.rand(3, 20, 30)
    padded, counted = (
        F.pad(maps, (2, 2, 4, 4)).unfold(1, 9, 1).unfold(2, 5, 1) for maps in (image, torch.ones(3, 20, 30))
    )
    torch.testing.assert_close(window_mean(image, 9, 5), padded.sum(dim=(3, 4)) / counted.sum(dim=(3, 4)))


def test_value_resize_to_own_size_changes_nothing():
    x = torch.randn(1, 2, 5, 7)
    assert torch.equal(resize(x, (5, 7)), x)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gradient_of_resize_comes_in_one_piece(layout):
    gradients, pieces = [], []
    for enlarge in (resize, lambda x, size: F.interpolate(x, size, mode="bilinear", align_corners=False)):
        x = torch.rand(2, 4, 5, 7, generator=torch.manual_seed(0)).contiguous(memory_format=layout).requires_grad_()
        enlarged = enlarge(x, (9, 14))
        enlarged.grad_fn.register_prehook(lambda g: pieces.append(g[0].is_contiguous(memory_format=layout)))
        joined = torch.cat([enlarged, torch.ones_like(enlarged)], dim=1)
        (joined.square() * torch.rand(joined.shape, generator=torch.manual_seed(1))).sum().backward()
        gradients.append(x.grad)
    torch.testing.assert_close(*gradients)
    assert pieces[0] is (layout == torch.channels_last)
    assert pieces[1] is False


def test_value_full_precision():
    with torch.autocast("cpu", torch.bfloat16), full_precision(torch.zeros(1, dtype=torch.float16)) as (x,):
        assert x.dtype == torch.float32
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
    with full_precision(torch.zeros(1).double(), torch.zeros(1)) as pair:
        assert [x.dtype for x in pair] == [torch.float64, torch.float64]


def test_error_full_precision_of_a_prediction():
    with pytest.raises(TypeError, match="such as the logits of a prediction; got tuple"), full_precision(()):
        pass


def test_value_patch_stack_by_hand():
    image = torch.arange(2 * 2 * 4.0).view(1, 2, 2, 4)  # two colors, 2 by 4 pixels
    rows = patch_stack(image, (2, 2))
    assert rows.shape == (1, 8, 1, 2)
    assert rows[0, :, 0].tolist() == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9], [10, 11], [12, 13], [14, 15]]
    columns = patch_stack(image, (2, 2), order="columns")
    assert columns[0, :, 0].tolist() == [[0, 1], [8, 9], [4, 5], [12, 13], [2, 3], [10, 11], [6, 7], [14, 15]]


def test_value_full_precision_on_the_meta_device():
    with full_precision(torch.zeros(1, dtype=torch.float16, device="meta")) as (value,):
        assert value.dtype == torch.float32
