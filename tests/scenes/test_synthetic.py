import pickle

import numpy as np
import pytest
import torch

from dichoseg import SyntheticDataset
from dichoseg.metrics import f_curve
from dichoseg.scenes.shapes import SHAPES


def test_value_deterministic_whatever_the_order():
    first, second = (
        SyntheticDataset(8, size=64, seed=3),
        pickle.loads(pickle.dumps(SyntheticDataset(8, size=64, seed=3))),
    )
    second[7]
    for index in (5, 0, -1):
        for one, other in zip(first[index], second[index], strict=True):
            assert one == other if isinstance(one, str) else torch.equal(one, other)
    assert not torch.equal(first[0].image, first[1].image)
    assert not torch.equal(first[0].image, SyntheticDataset(8, size=64, seed=4)[0].image)


def test_value_scenes():
    data = SyntheticDataset(150, size=64)
    samples = [data[index] for index in range(len(data))]
    assert {sample.name.split("_")[0] for sample in samples} == {shape.__name__ for shape in SHAPES}
    for image, mask, _ in samples:
        assert image.shape == (3, 64, 64)
        assert mask.shape == (1, 64, 64)
        assert image.dtype == mask.dtype == torch.float32
        assert 0 <= image.min() <= image.max() <= 1
        assert 0.003 < mask.mean() < 0.7
    rows, columns = np.mgrid[-1:1:64j, -1:1:64j]
    prior = np.exp(-2 * (rows**2 + columns**2))
    curve = np.mean([f_curve(prior, s.mask[0].numpy() > 0.5) for s in samples[:40]], axis=0)
    assert curve.max() < 0.5


def test_error_arguments():
    with pytest.raises(ValueError, match="length .*1.*0"):
        SyntheticDataset(0)
    with pytest.raises(ValueError, match="size .*32.*16"):
        SyntheticDataset(1, size=16)
    with pytest.raises(IndexError, match="index 2 is out of range for 2 scenes"):
        SyntheticDataset(2, size=32)[2]
