import time

import pytest
import torch

from dichoseg.weights.pickles import check_pickle
from dichoseg.weights.reading import read_weights


def nested(levels):
    pair = ()
    for _ in range(levels):
        pair = (pair, pair)
    return pair


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    "make", [lambda pair: {pair: 1}, lambda pair: {"model": {"x": {(1, pair)}}}, lambda pair: [pair]]
)
def test_error_tuples_that_would_be_hashed_for_ever(tmp_path, make, legacy):
    content = make(nested(12))
    torch.save(content, tmp_path / "n.pth", _use_new_zipfile_serialization=not legacy)
    data = (tmp_path / "n.pth").read_bytes()
    assert len(data) < 5000
    with pytest.raises(ValueError, match="tuples in each other"):
        check_pickle(tmp_path / "n.pth")
    with pytest.raises(ValueError, match=r"n.pth is not a complete checkpoint of tensors only"):
        read_weights(tmp_path / "n.pth")


@pytest.mark.parametrize("legacy", [False, True])
def test_value_checkpoints_pass(tmp_path, legacy):
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    optimizer = torch.optim.AdamW([{"params": [value]} for value in network.parameters()], betas=(0.9, 0.99))
    network(torch.rand(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    content = {
        "model": network.state_dict(),
        "parameters": dict(network.named_parameters()),
        "optimizer": optimizer.state_dict(),
        "shared": [nested(3), {(1, 2): torch.Size([3]), "mixed": {1, 2.5, "x", None}, "big": 2**70}],
        "double": torch.zeros(2, 3, dtype=torch.float64).T.requires_grad_(),
    }
    torch.save(content, tmp_path / "c.pth", _use_new_zipfile_serialization=not legacy)
    check_pickle(tmp_path / "c.pth")
    started = time.process_time()
    torch.save({f"{index}": torch.zeros(1) for index in range(3000)}, tmp_path / "c.pth")
    check_pickle(tmp_path / "c.pth")
    assert time.process_time() - started < 10
