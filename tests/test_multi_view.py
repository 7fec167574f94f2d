import math

import pytest
import torch

from dichoseg.multi_view import ViewLocalization, ViewRefinement, merge, quadrants, sine_positions


def test_value_quadrants():
    maps = torch.arange(2 * 3 * 4 * 6).reshape(2, 3, 4, 6).float()
    parts = quadrants(maps)
    assert torch.equal(parts[1], maps[..., :2, 3:])
    assert torch.equal(parts[2], maps[..., 2:, :3])
    assert torch.equal(merge(parts), maps)


def test_value_sine_positions():
    places = sine_positions(3, 5, 8, device=torch.device("cpu")).reshape(3, 5, 8)
    row, column = (2.5 / 3 * 2 * math.pi, 1.5 / 5 * 2 * math.pi)
    wanted = [f(phase / rate) for phase in (row, column) for rate in (1, 100) for f in (math.sin, math.cos)]
    assert places[2, 1].tolist() == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("size", [(2, 2), (6, 4), (16, 16)])
def test_gradient_blocks(size):
    views = torch.randn(5, 2, 8, *size)
    for block in (ViewLocalization(8, hidden=16), ViewRefinement(8, hidden=16)):
        block.train()
        out = block(views)
        out, gate = out if isinstance(out, tuple) else (out, None)
        assert out.shape == views.shape
        if gate is not None:
            assert gate.shape == (2, 1, 2 * size[0], 2 * size[1])
        (out * torch.randn_like(out)).sum().backward()
        assert all(parameter.grad is not None for parameter in block.parameters())


def test_value_close_ups_see_the_distant_view():
    torch.manual_seed(0)
    views = torch.randn(5, 1, 8, 4, 4)
    other = views.clone()
    other[4, ..., :2, :2] += 1  # seen by the first close-up in its quadrant
    for block in (ViewLocalization(8).eval(), ViewRefinement(8).eval()):
        with torch.no_grad():
            before, after = block(views), block(other)
        changed = (after[0] - before[0] if isinstance(before, tuple) else after - before).abs().amax(dim=(1, 2, 3, 4))
        assert changed[0] > 1e-3
        if isinstance(before, tuple):
            assert changed[1] == changed[2] == changed[3] == 0
