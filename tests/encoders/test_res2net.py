import torch

from dichoseg.encoders import Res2NetEncoder


def test_shape_first_two_features_have_one_stride():
    with torch.no_grad():
        features = Res2NetEncoder().eval()(torch.randn(1, 3, 65, 97))
    assert [tuple(feature.shape[1:]) for feature in features] == [
        (64, 17, 25),
        (256, 17, 25),
        (512, 9, 13),
        (1024, 5, 7),
        (2048, 3, 4),
    ]


def test_value_dilations():
    backbone = Res2NetEncoder().backbone
    found = [{conv.dilation for conv in block.convs} for stage in (2, 3, 4) for block in backbone[f"layer{stage}"]]
    assert found == 4 * [{(1, 1)}] + 6 * [{(2, 2)}] + [{(4, 4)}, {(8, 8)}, {(16, 16)}]
