import random

import torch

from dichoseg.runtime.seeding import seeded


def test_value_seeded_puts_the_state_back():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    with seeded(1, 2):
        inside = torch.rand(3), random.random()
    assert torch.equal(torch.rand(3), expected)
    with seeded(1, 2):
        assert torch.equal(torch.rand(3), inside[0])
        assert random.random() == inside[1]
