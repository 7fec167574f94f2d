import pytest
import torch
import torch.nn.functional as F

from dichoseg import Prediction, Target, create_model
from dichoseg.objectives import PyramidConsistency, PyramidSupervision
from dichoseg.pyramid import reduce


def test_value_targets_are_reduced_as_often_as_the_logits():
    torch.manual_seed(0)
    mask = torch.rand(2, 1, 32, 48)
    logits, full, quarter = (torch.randn(2, 1, 32 // s, 48 // s) for s in (1, 1, 4))
    terms = PyramidSupervision(torch.nn.BCEWithLogitsLoss())
    found = terms.terms(Prediction(logits, (full, quarter)), Target(mask))
    bce = F.binary_cross_entropy_with_logits
    assert float(found["side_1"]) == pytest.approx(float(bce(full, mask)), rel=1e-5)
    assert float(found["side_2"]) == pytest.approx(float(bce(quarter, reduce(reduce(mask)))), rel=1e-5)


def test_value_consistent_logits_cost_nothing():
    logits = torch.randn(1, 1, 32, 48)
    sides = (reduce(logits), reduce(reduce(logits)))
    terms = PyramidConsistency().terms(Prediction(logits, sides), Target(logits.sigmoid()))
    assert [float(value) for value in terms.values()] == pytest.approx([0, 0], abs=1e-6)
    terms = PyramidConsistency().terms(Prediction(logits, (sides[0] + 2, sides[1])), Target(logits.sigmoid()))
    assert [float(value) for value in terms.values()] == pytest.approx([2, 2], rel=1e-4)


def test_gradient_reaches_the_coarser_logits_only():
    logits, side = (torch.randn(1, 1, size, size, requires_grad=True) for size in (16, 8))
    PyramidConsistency().terms(Prediction(logits, (side,)), Target(torch.zeros(1, 1, 16, 16)))[
        "consistency_1"
    ].backward()
    assert logits.grad is None
    assert side.grad.abs().sum() == pytest.approx(1)


def test_error_no_side_logits():
    with pytest.raises(ValueError, match="no|none"):
        PyramidConsistency().terms(Prediction(torch.zeros(1, 1, 8, 8)), Target(torch.zeros(1, 1, 8, 8)))
    PyramidConsistency().check(create_model("u2netp"))
