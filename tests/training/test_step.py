import pytest
import torch

from dichoseg import Preprocessing, create_model
from dichoseg.contracts import Objective, Target
from dichoseg.training import Optimization
from dichoseg.training.ranks import Ranks
from dichoseg.training.step import NotFinite, Stepper


class Mean(Objective):
    def __init__(self, factor=1.0):
        super().__init__()
        self.factor = factor

    def terms(self, prediction, mask):
        return {"answer": prediction.logits.float().mean() * self.factor, "half": prediction.logits.float().mean() / 2}


def stepper(objective, **options):
    torch.manual_seed(0)
    args = {"channels": [8, 8], "mid_channels": [4, 4], "strides": [2, 4], "stem_channels": 8}
    model = create_model("isnet", encoder_args=args, preprocessing=Preprocessing(size=32))
    options = {"optimizer": torch.optim.SGD, "learning_rate": 0.1, "clip_norm": None, "precision": "float32"} | options
    return Stepper(model, objective, Optimization(**options), steps=10, ranks=Ranks())


def backward(one, weight=1.0, syncs=True):
    return one.backward(Target(MASK, IMAGE), weight=weight, syncs=syncs)


IMAGE, MASK = torch.rand(2, 3, 32, 32), torch.rand(2, 1, 32, 32)


def test_value_a_step_moves_weights_and_schedule():
    one = stepper(Mean())
    before = [value.detach().clone() for value in one.parameters]
    values = backward(one)
    assert list(values) == ["loss", "answer", "half"]
    assert values["loss"] == pytest.approx(values["answer"] + values["half"])
    one.update()
    assert any(not torch.equal(old, new) for old, new in zip(before, one.parameters, strict=True))
    assert one.schedule.get_last_lr()[0] < 0.1
    assert all(value.grad is None for value in one.parameters)


def test_value_two_halves_are_one_whole():
    gradients = []
    for shares in ((1.0,), (0.5, 0.5)):
        one = stepper(Mean())
        one.model.eval()
        for share in shares:
            backward(one, share, syncs=share == shares[-1])
        gradients.append([value.grad for value in one.parameters if value.grad is not None])
    for whole, halves in zip(*gradients, strict=True):
        torch.testing.assert_close(halves, whole)


class Steep(Objective):
    def terms(self, prediction, target):
        return {"steep": (prediction.logits.mean() * 0).sqrt()}  # 0, with a gradient that is not a number


def test_error_the_norm_is_checked_before_the_step():
    one = stepper(Steep())
    backward(one)
    before = [value.detach().clone() for value in one.parameters]
    with pytest.raises(NotFinite, match="gradient's norm is nan"):
        one.update()
    assert all(torch.equal(old, new) for old, new in zip(before, one.parameters, strict=True))


def test_error_the_term_is_named():
    with pytest.raises(NotFinite, match="loss is not finite: answer is nan"):
        backward(stepper(Mean(float("nan"))))


def test_value_a_step_that_overflows_float16_is_left_out():
    one = stepper(Mean(1e36), precision="float16", clip_norm=1.0, ema=0.5)
    before = [value.detach().clone() for value in one.parameters]
    backward(one)
    scale = one.scaler.get_scale()
    one.update()
    assert one.scaler.get_scale() < scale
    assert one.schedule.get_last_lr()[0] == 0.1
    assert one.average.n_averaged == 0
    assert all(torch.equal(old, new) for old, new in zip(before, one.parameters, strict=True))


def test_error_steps_skipped_without_end():
    one = stepper(Steep(), precision="float16")
    for _ in range(50):
        backward(one)
        one.update()
    backward(one)
    with pytest.raises(NotFinite, match="gradient's norm is nan"):
        one.update()


def test_value_the_average_follows_weights_and_buffers():
    one = stepper(Mean(), ema=0.5)
    for _ in range(2):
        old = {key: value.clone() for key, value in one.averaged.state_dict().items()}
        backward(one)
        one.update()
    for key, value in one.averaged.state_dict().items():
        new = one.model.state_dict()[key]
        torch.testing.assert_close(value, (old[key] + new) / 2 if value.is_floating_point() else new)
    assert one.averaged is not one.model
