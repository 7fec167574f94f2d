import pytest
import torch
from torch import nn

from dichoseg import Prediction, Target
from dichoseg.losses import BCELoss, EdgeBCELoss
from dichoseg.objectives import DeepSupervision, WeightedSum


def prediction(value=0.0, dtype=torch.float32, requires_grad=False):
    logits = torch.full((2, 1, 65, 97), value, dtype=dtype, requires_grad=requires_grad)
    return Prediction(logits, (logits[..., ::2, ::2], logits[..., ::4, ::4]))


def test_value_weighted_sum(disc):
    objective = WeightedSum(
        type=(2.0, DeepSupervision(BCELoss())), edge=(0.5, DeepSupervision(EdgeBCELoss(), side_weight=1))
    )
    terms = objective.terms(prediction(), Target(disc))
    assert float(terms["type/main"]) == pytest.approx(2 * 0.693147, rel=1e-5)
    assert float(terms["edge/side_2"]) == pytest.approx(0.5 * 0.693147 / 2, rel=1e-5)
    assert float(objective(prediction(), disc)) == pytest.approx(sum(float(term) for term in terms.values()))


def test_error_weights_that_are_no_weights():
    for weight in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"bce.*{weight}"):
            WeightedSum(bce=(weight, DeepSupervision(BCELoss())))
        with pytest.raises(ValueError, match=f"side_weight.*{weight}"):
            DeepSupervision(BCELoss(), side_weight=weight)
    with pytest.raises(TypeError, match=r"bce.*'0\.5'"):
        WeightedSum(bce=("0.5", DeepSupervision(BCELoss())))


def test_error_weighted_sum():
    with pytest.raises(TypeError, match="BCEWithLogitsLoss"):
        WeightedSum(bce=(1.0, nn.BCEWithLogitsLoss()))
    with pytest.raises(ValueError, match="needs a part"):
        WeightedSum()
    with pytest.raises(TypeError, match=r"takes parts by name.*got a DeepSupervision without a name"):
        WeightedSum(DeepSupervision(BCELoss()), DeepSupervision(EdgeBCELoss()))
