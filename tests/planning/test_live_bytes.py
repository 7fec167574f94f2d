import torch

from dichoseg.deformable import DeformConv2d
from dichoseg.planning.live_bytes import LiveBytes


def test_value_by_hand():
    known = torch.ones(1000)
    with LiveBytes([known]) as live:
        first = known * 2
        view = first[:10]
        assert live.now == 4000
        second = first + known
        del first
        assert live.now == 8000  # the view keeps it
        del view
        assert live.now == 4000
        known.add_(second)
    assert live.now == 4000
    assert live.peak == 8000


def test_value_deformable_convolutions_need_their_samples():
    layer = DeformConv2d(5, 7, kernel_size=3)
    with LiveBytes(layer.parameters()) as live:
        layer(torch.rand(2, 5, 65, 97))
    assert live.peak > 4 * 2 * 5 * 9 * 65 * 97
