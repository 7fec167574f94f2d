import math

import pytest
import torch

from dichoseg import Prediction, SyntheticDataset, Target, fit
from dichoseg.losses import BCELoss
from dichoseg.objectives import DeepSupervision, FinalEpochs, GradientSupervision, WeightedSum


def halves(epochs=2):
    return FinalEpochs(DeepSupervision(BCELoss()), factor=0.5, epochs=epochs)


def test_value_factors_compound_in_the_last_epochs():
    objective = halves()
    prediction, target = Prediction(torch.zeros(1, 1, 65, 97)), Target(torch.ones(1, 1, 65, 97))
    assert float(objective(prediction, target)) == pytest.approx(math.log(2))
    for epoch, weight in ((1, 1), (3, 1), (4, 0.5), (5, 0.25), (2, 1)):
        objective.start_epoch(epoch, 5)
        terms = objective.terms(prediction, target)
        assert list(terms) == ["main"]
        assert float(terms["main"]) == pytest.approx(weight * math.log(2))


def test_value_fit_tells_the_epoch_to_parts(small_isnet):
    scenes = SyntheticDataset(2, size=64)
    objective = WeightedSum(fading=(2.0, halves(epochs=1)), other=(1.0, DeepSupervision(BCELoss())))
    history = fit(small_isnet, scenes, objective=objective, epochs=2, batch_size=2)
    weights = [row["fading/main"] / row["other/main"] for row in history]
    assert weights == pytest.approx([2, 1], rel=1e-4)


def test_error_a_run_of_last_epochs_only():
    with pytest.raises(ValueError, match="last 2 epochs .* got 2"):
        halves().start_epoch(1, 2)
    with pytest.raises(ValueError, match="factor .*-1"):
        FinalEpochs(DeepSupervision(BCELoss()), factor=-1.0, epochs=2)
    with pytest.raises(ValueError, match="epochs .*0"):
        halves(epochs=0)


def test_error_the_model_is_checked(small_isnet):
    with pytest.raises(ValueError, match="gradient_logits"):
        FinalEpochs(GradientSupervision(), factor=0.5, epochs=1).check(small_isnet)
