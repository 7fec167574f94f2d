import pytest
import torch

from dichoseg import Preprocessing, create_model
from dichoseg.contracts import Objective
from dichoseg.training.processes import Processes
from dichoseg.training.schedules import cosine
from dichoseg.training.step import Stepper


class Mean(Objective):
    def __init__(self, factor=1.0):
        super().__init__()
        self.factor = factor

    def terms(self, prediction, mask):
        return {"answer": prediction.logits.float().mean() * self.factor, "half": prediction.logits.float().mean() / 2}


def stepper(objective, *, dtype=None, clip_norm=None, ema=None):
    torch.manual_seed(0)
    args = {"channels": [8, 8], "mid_channels": [4, 4], "strides": [2, 4], "stem_channels": 8}
    model = create_model("isnet", encoder_args=args, preprocessing=Preprocessing(size=32))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return Stepper(
        model,
        objective,
        optimizer,
        cosine(optimizer, 10),
        dtype=dtype,
        clip_norm=clip_norm,
        ema=ema,
        processes=Processes(),
    )


IMAGE, MASK = torch.rand(2, 3, 32, 32), torch.rand(2, 1, 32, 32)


def test_value_a_step_moves_weights_and_schedule():
    one = stepper(Mean())
    before = [value.detach().clone() for value in one.parameters]
    seen = []
    values = one.backward(IMAGE, MASK, share=1.0, last=True, check=seen.append)
    assert list(values) == ["loss", "answer", "half"]
    assert values["loss"] == pytest.approx(values["answer"] + values["half"])
    assert seen == [values]
    one.move(check=seen.append)
    assert list(seen[1]) == ["the gradient's norm"]
    assert any(not torch.equal(old, new) for old, new in zip(before, one.parameters, strict=True))
    assert one.schedule.get_last_lr()[0] < 0.1
    assert all(value.grad is None for value in one.parameters)


def test_value_two_halves_are_one_whole():
    gradients = []
    for shares in ((1.0,), (0.5, 0.5)):
        one = stepper(Mean())
        one.model.eval()
        for share in shares:
            one.backward(IMAGE, MASK, share=share, last=share == shares[-1], check=lambda _: None)
        gradients.append([value.grad for value in one.parameters if value.grad is not None])
    for whole, halves in zip(*gradients, strict=True):
        torch.testing.assert_close(halves, whole)


def test_value_the_norm_is_checked_before_the_step():
    one = stepper(Mean(), clip_norm=1e-3)
    one.backward(IMAGE, MASK, share=1.0, last=True, check=lambda _: None)
    before = [value.detach().clone() for value in one.parameters]

    def check(values):
        assert list(values) == ["the gradient's norm"]
        raise FloatingPointError

    with pytest.raises(FloatingPointError):
        one.move(check=check)
    assert all(torch.equal(old, new) for old, new in zip(before, one.parameters, strict=True))


def test_value_a_step_that_overflows_float16_is_left_out():
    one = stepper(Mean(1e36), dtype=torch.float16, clip_norm=1.0, ema=0.5)
    before = [value.detach().clone() for value in one.parameters]
    one.backward(IMAGE, MASK, share=1.0, last=True, check=lambda _: None)
    scale = one.scaler.get_scale()
    one.move(check=lambda _: pytest.fail("a scaled gradient may overflow"))
    assert one.scaler.get_scale() < scale
    assert one.schedule.get_last_lr()[0] == 0.1
    assert one.average.n_averaged == 0
    assert all(torch.equal(old, new) for old, new in zip(before, one.parameters, strict=True))


def test_error_steps_left_out_without_end():
    one = stepper(Mean(float("nan")), dtype=torch.float16)

    def check(values):
        raise FloatingPointError

    def train():
        for _ in range(60):
            one.backward(IMAGE, MASK, share=1.0, last=True, check=lambda _: None)
            one.move(check=check)

    with pytest.raises(FloatingPointError):
        train()


def test_value_the_average_follows_weights_and_buffers():
    one = stepper(Mean(), ema=0.5)
    for _ in range(2):
        old = {key: value.clone() for key, value in one.averaged.state_dict().items()}
        one.backward(IMAGE, MASK, share=1.0, last=True, check=lambda _: None)
        one.move(check=lambda _: None)
    for key, value in one.averaged.state_dict().items():
        new = one.model.state_dict()[key]
        torch.testing.assert_close(value, (old[key] + new) / 2 if value.is_floating_point() else new)
    assert one.averaged is not one.model
