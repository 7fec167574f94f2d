import functools
import io
import warnings

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR

from dichoseg import Optimization, SyntheticDataset, fit
from dichoseg.training import constant, cosine, step_decay


def optimizer(*rates):
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates]
    return torch.optim.SGD(groups, lr=1.0)


def rates(schedule, steps, *base):
    """Every group's rate at every step, and after the last."""
    sgd = optimizer(*base)
    moving, seen = schedule(sgd, steps), []
    for _ in range(steps):
        seen.append([group["lr"] for group in sgd.param_groups])
        sgd.step()
        moving.step()
    return [*seen, [group["lr"] for group in sgd.param_groups]]


@pytest.mark.parametrize("steps", [1, 2, 7, 100])
def test_value_cosine_is_torchs(steps):
    ours = rates(cosine, steps, 0.1, 3.0)
    theirs = rates(CosineAnnealingLR, steps, 0.1, 3.0)
    assert torch.allclose(torch.tensor(ours), torch.tensor(theirs), rtol=1e-6, atol=1e-9)
    assert ours[-1] == [0, 0]


def test_value_warmup_by_hand():
    assert rates(functools.partial(constant, warmup=3), 5, 8.0) == [[2], [4], [6], [8], [8], [8]]
    assert rates(constant, 2, 8.0) == [[8]] * 3
    warm = [rate for (rate,) in rates(functools.partial(cosine, warmup=3), 7, 1.0)]
    assert warm == pytest.approx([0.25, 0.5, 0.75, 1, 0.8535534, 0.5, 0.1464466, 0], abs=1e-6)


def test_value_step_decay_by_hand():
    schedule = functools.partial(step_decay, at=(0.5, 0.8), factor=0.5)
    assert rates(schedule, 10, 8.0, 4.0) == [[8, 4]] * 5 + [[4, 2]] * 3 + [[2, 1]] * 3
    assert rates(functools.partial(schedule, warmup=1), 10, 8.0)[:2] == [[4], [8]]
    default = [round(rate, 6) for (rate,) in rates(step_decay, 10, 1.0)]
    assert default == [1] * 6 + [0.1] * 3 + [0.01] * 2


@pytest.mark.parametrize("schedule", [constant, cosine, step_decay])
def test_value_resumed(schedule):
    schedule = functools.partial(schedule, warmup=2)
    whole = rates(schedule, 9, 0.5, 0.1)
    first = optimizer(0.5, 0.1)
    moving = schedule(first, 9)
    for _ in range(4):
        first.step()
        moving.step()
    file = io.BytesIO()
    torch.save([first.state_dict(), moving.state_dict()], file)
    file.seek(0)
    second = optimizer(0.5, 0.1)
    resumed = schedule(second, 9)
    states = torch.load(file, weights_only=True)
    second.load_state_dict(states[0])
    resumed.load_state_dict(states[1])
    assert resumed.get_last_lr() == whole[4]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch cannot know that the optimiser has made steps
        resumed.step()
    assert [group["lr"] for group in second.param_groups] == whole[5]


def test_value_in_fit(small_isnet):
    history = fit(
        small_isnet,
        SyntheticDataset(4, size=64),
        epochs=2,
        batch_size=2,
        optimization=Optimization(
            optimizer=torch.optim.SGD, learning_rate=1.0, schedule=functools.partial(constant, warmup=3)
        ),
    )
    assert [row["learning_rate"] for row in history] == [0.25, 0.75]


def test_error_bad_input():
    sgd = optimizer(0.1)
    for schedule in (constant, cosine, step_decay):
        with pytest.raises(ValueError, match="steps must be 1 or more; got 0"):
            schedule(sgd, 0)
        for warmup in (5, -1):
            with pytest.raises(ValueError, match=f"warmup must be 0 or more, and less than the 5 steps.*got {warmup}"):
                schedule(sgd, 5, warmup=warmup)
    for at in ((), (0.0,), (0.5, 1.0)):
        with pytest.raises(ValueError, match="at must hold .*got"):
            step_decay(sgd, 5, at=at)
    for factor in (0.0, 1.0, float("nan")):
        with pytest.raises(ValueError, match="factor must be between 0 and 1; got"):
            step_decay(sgd, 5, factor=factor)
