import pytest
import torch

from dichoseg.training.ranks import Ranks, joined, launched

SCRIPT = """
import os, sys
import torch
from dichoseg import Preprocessing, SyntheticDataset, create_model, fit, fit_gt_encoder
from dichoseg.losses import BCELoss
from dichoseg.objectives import DeepSupervision
from dichoseg.training import Optimization, freeze_batch_norm

out, batch_size = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(1)
args = {"channels": [8, 8, 16], "mid_channels": [4, 4, 8], "strides": [2, 4, 8], "stem_channels": 8}

class Shaped(SyntheticDataset):
    def image_size(self, index):
        return 32, 48 if index % 3 == 0 else 32  # as if every third was wide

def train(batch_size, rate, name, **options):
    torch.manual_seed(0)
    model = create_model("isnet", encoder_args=args, preprocessing=Preprocessing(size=32))
    freeze_batch_norm(model)
    model.encoder.stages[0].requires_grad_(False)
    history = fit(
        model,
        Shaped(11, size=32),
        val_data=SyntheticDataset(5, size=32, seed=1),
        objective=DeepSupervision(BCELoss(), side_weight=0.0),  # which leaves the side heads without a gradient
        optimization=Optimization(optimizer=torch.optim.SGD, learning_rate=rate, accumulate=2, precision="float32"),
        batch_size=batch_size,
        epochs=4,
        out=f"{out}/{name}",
        resume=True,
        on_epoch=lambda _, row: row["epoch"] == 3,
        **options,
    )
    float32 = Optimization(precision="float32")
    gt_encoder = fit_gt_encoder(model, SyntheticDataset(4, size=32), epochs=1, batch_size=2, optimization=float32)
    assert not torch.distributed.is_initialized()
    if os.environ.get("RANK", "0") == "0":
        torch.save((list(history), model.state_dict(), gt_encoder.state_dict()), f"{out}/{name}.pt")

train(batch_size, 0.1, "learning")
train(2, 0.0, "standing")
train(batch_size, 0.1, "sizes", sizes=(32, 64, (32, 48)))
"""


@pytest.fixture(scope="module")
def trained(torchrun, tmp_path_factory):
    """What one process and what two have left, of the same steps and of steps that change nothing."""
    results = {}
    for processes, batch_size in ((1, 4), (2, 2)):
        folder = tmp_path_factory.mktemp("run")
        (folder / "script.py").write_text(SCRIPT)
        torchrun(processes, folder / "script.py", folder, batch_size)
        for name in ("learning", "standing", "sizes"):
            results[name, processes] = torch.load(folder / f"{name}.pt", weights_only=True)
    return results


@pytest.mark.parametrize("name", ["learning", "sizes"])
def test_value_two_processes_take_the_steps_of_one(trained, name):
    alone = trained[name, 1]
    history, weights, _ = trained[name, 2]
    assert len(history) == 3  # the first process's on_epoch speaks for both
    for row, expected in zip(history, alone[0], strict=True):
        assert row["loss"] == pytest.approx(expected["loss"], rel=1e-5)
        assert row["quick_mae"] == pytest.approx(expected["quick_mae"], rel=1e-5)
    for key, value in alone[1].items():
        torch.testing.assert_close(weights[key], value, rtol=1e-4, atol=1e-6, msg=key)


def test_value_validation_is_one_process_s_to_the_last_digit(trained):
    one, two = (trained["standing", processes][0] for processes in (1, 2))
    for row, expected in zip(two, one, strict=True):
        for name in ("val_loss", "quick_mae", "quick_max_f", "quick_iou"):
            assert row[name] == expected[name]


def test_value_alone_every_exchange_is_the_identity():
    ranks = Ranks()
    assert ranks.is_first
    assert ranks.share([3, 4]) == [3, 4]
    assert ranks.gather("own") == ["own"]
    assert ranks.from_first("own") == "own"
    assert ranks.sum({"loss": 2.0}) == {"loss": 2.0}
    assert ranks.any(True)
    assert not ranks.any(False)
    module = torch.nn.Linear(1, 1)
    assert ranks.wrap(module) is module


def test_value_shares_are_a_partition():
    group = list(range(7))
    parts = [list(Ranks(rank, 3).share(group)) for rank in range(3)]
    assert sorted(place for part in parts for place in part) == group
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_value_who_is_first(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert launched().is_first
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in (0, 1):
        monkeypatch.setenv("RANK", str(rank))
        assert launched().is_first == (rank == 0)


def test_value_joined_without_a_launcher(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined(torch.device("cpu")) as ranks:
        assert (ranks.rank, ranks.world_size) == (0, 1)
