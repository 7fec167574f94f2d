import pytest
import torch
from torch import nn

from dichoseg import Optimization, Preprocessing, create_model
from dichoseg.contracts import FeatureInfo, Model, Objective, Prediction, Target
from dichoseg.objectives.default import default_objective
from dichoseg.planning import forecast_memory
from dichoseg.planning.forecast import FRAGMENTATION, RUNTIME
from dichoseg.planning.live_bytes import LiveBytes
from dichoseg.runtime.device import training_layout
from dichoseg.training import checkpoint_activations, freeze
from dichoseg.training.ranks import Ranks
from dichoseg.training.step import Stepper, placed

CPU = torch.device("cpu")
FLOAT32 = Optimization(precision="float32")
MAP = 4 * 64 * 64
"""Bytes of a float32 map of 64 by 64 pixels."""


class Scaled(Model):
    """The image's first channel times a weight."""

    def __init__(self):
        super().__init__()
        self.feature_info = FeatureInfo([1], [1])
        self.preprocessing = Preprocessing(size=64)
        self.encoder = nn.Linear(1, 1, bias=False)
        self.register_buffer("offset", torch.zeros(10))

    def forward(self, image):
        return Prediction(image[:, :1] * self.encoder.weight[0, 0])


class Sum(Objective):
    def terms(self, prediction, target):
        return {"sum": prediction.logits.sum()}


def small(**arguments):
    encoder = {"channels": [8, 8, 16], "mid_channels": [4, 4, 8], "strides": [2, 4, 8], "stem_channels": 8}
    return create_model("isnet", encoder_args=encoder, **{"size": 128} | arguments)


def test_value_parts_by_hand():
    found = forecast_memory(Scaled(), objective=Sum(), optimization=FLOAT32, device=CPU)
    assert found.parameters == pytest.approx(44e-9)
    assert found.gradients == pytest.approx(4e-9)
    assert found.optimizer == pytest.approx(8e-9)
    assert found.average == 0
    assert found.best == found.parameters
    # three channels of the image, the mask, and the logits, or in the backward pass the gradient of their size
    assert found.activations * 1e9 == pytest.approx(5 * MAP, abs=100)
    assert found.workspace == pytest.approx(RUNTIME + FRAGMENTATION * found.activations)
    assert found.base > 0.1
    assert found.total == pytest.approx(RUNTIME + found.base, abs=1e-3)
    averaged = forecast_memory(Scaled(), objective=Sum(), optimization=FLOAT32, base="average", device=CPU)
    assert averaged.best == 2 * found.best
    assert found.text().startswith(f"{found.total:.2f} GB: parameters 0.00, ")


def test_value_optimizer_average_and_accumulation():
    sgd = Optimization(optimizer=torch.optim.SGD, precision="float32", ema=0.9, accumulate=2)
    found = forecast_memory(Scaled(), objective=Sum(), optimization=sgd, device=CPU)
    assert found.optimizer == 0
    assert found.average == found.parameters


def test_value_optimizer_with_parameters_of_its_own():
    model = Scaled()
    own = Optimization(optimizer=lambda _, lr: torch.optim.AdamW(model.parameters(), lr=lr), precision="float32")
    assert forecast_memory(model, objective=Sum(), optimization=own, device=CPU).optimizer == pytest.approx(8e-9)
    assert model.encoder.weight.grad is None


@pytest.mark.parametrize(
    ("precision", "recompute", "frozen"),
    [("float32", False, False), ("bfloat16", False, False), ("bfloat16", True, False), ("float32", False, True)],
)
def test_value_equals_what_lives_in_a_real_step(precision, recompute, frozen):
    model, optimization = small(), Optimization(precision=precision)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    found = forecast_memory(
        model, batch_size=2, optimization=optimization, recompute=recompute, freeze_encoder=frozen, device=CPU
    )
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    if frozen:
        freeze(model.encoder)
    if recompute:
        checkpoint_activations(model)
    objective = default_objective(model)
    with placed(model, objective, CPU):
        stepper = Stepper(model.train(), objective, optimization, steps=1, ranks=Ranks())
        with LiveBytes([*model.parameters(), *model.buffers()]) as live:
            image = torch.rand(2, 3, 128, 128).contiguous(memory_format=training_layout(CPU))
            stepper.backward(Target(torch.rand(2, 1, 128, 128), image), weight=1.0, syncs=True)
        peak = found.gradients + found.activations
        assert peak * 1e9 == pytest.approx(live.peak, rel=0.02)
        learned = sum(value.numel() for value in model.parameters() if value.requires_grad)
        assert found.gradients == pytest.approx(4e-9 * learned)


def test_value_what_saves():
    model = small()
    plain, recomputed, frozen, twice = (
        forecast_memory(model, optimization=FLOAT32, device=CPU, **{"batch_size": 2} | way)
        for way in ({}, {"recompute": True}, {"freeze_encoder": True}, {"batch_size": 4})
    )
    assert recomputed.activations < 0.8 * plain.activations
    assert frozen.activations < 0.8 * plain.activations
    assert frozen.gradients + frozen.optimizer < 0.8 * (plain.gradients + plain.optimizer)
    assert frozen.parameters == pytest.approx(plain.parameters, rel=0.01)  # less the counters of batch norm
    assert twice.activations == pytest.approx(2 * plain.activations, rel=0.05)
    assert twice.gradients == plain.gradients


def test_value_a_model_without_memory():
    with torch.device("meta"):
        model = small()
    found, real = (forecast_memory(one, size=(65, 97), optimization=FLOAT32, device=CPU) for one in (model, small()))
    assert (found.parameters, found.activations) == (real.parameters, real.activations)


def test_error_arguments():
    with pytest.raises(ValueError, match="got a batch of 1"):
        forecast_memory(
            create_model(
                "isnet",
                encoder_args={"channels": [8, 8], "mid_channels": [4, 4], "strides": [2, 4], "stem_channels": 8},
            ),
            size=4,
            device=CPU,
        )
    with pytest.raises(ValueError, match="size must be given"):
        forecast_memory(small(size=None, preprocessing=Preprocessing(size=None)), device=CPU)
    with pytest.raises(ValueError, match="batch_size"):
        forecast_memory(small(), batch_size=0)
