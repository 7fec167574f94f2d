import logging

import pytest
import torch

from dichoseg import SyntheticDataset, fit
from dichoseg.losses import BCELoss, EdgeBCELoss
from dichoseg.objectives import DeepSupervision, WeightedSum
from dichoseg.training.first_epoch import FirstEpoch

DATA = SyntheticDataset(4, size=64)
BLACK = [(image, torch.zeros_like(mask)) for image, mask, _ in (DATA[index] for index in range(4))]


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_value_warns_of_empty_masks(small_isnet, caplog):
    fit(small_isnet, BLACK, epochs=1, batch_size=4)
    assert "4 of the first 4 training masks are empty" in caplog.text
    caplog.clear()
    fit(small_isnet, DATA, epochs=1, batch_size=4)
    assert warnings(caplog) == []


def test_value_warns_of_empty_masks_as_soon_as_there_are_enough(caplog):
    first = FirstEpoch()
    for _ in range(3):
        first.see(torch.zeros(50, 1, 2, 2))
    first.end({"main": 1.0})
    assert len(warnings(caplog)) == 1
    assert "100 of the first 100 training masks are empty" in caplog.text


def test_value_warns_of_a_term_that_dominates(small_isnet, caplog):
    objective = WeightedSum(bce=(1.0, DeepSupervision(BCELoss())), edge=(100.0, DeepSupervision(EdgeBCELoss())))
    fit(small_isnet, DATA, objective=objective, epochs=1, batch_size=4)
    assert "edge makes up 9" in caplog.text
    assert "lower its weight: WeightedSum(edge=(weight, objective), ...)" in caplog.text


def test_value_the_first_part_may_dominate(small_isnet, caplog):
    objective = WeightedSum(bce=(1.0, DeepSupervision(BCELoss())), edge=(0.01, DeepSupervision(EdgeBCELoss())))
    fit(small_isnet, DATA, objective=objective, epochs=1, batch_size=4)
    assert warnings(caplog) == []


@pytest.mark.parametrize(
    "terms",
    [
        {"main": 9.0, "side_1": 0.1},
        {"bce/main": 9.0},
        {"bce/main": 1.0, "edge/main": 0.9},
        {"a/main": 0.0, "b/main": 0.0},
    ],
)
def test_value_no_warning_without_a_dominant_term(terms, caplog):
    first = FirstEpoch()
    first.see(torch.ones(2, 1, 4, 4))
    first.end(terms)
    assert warnings(caplog) == []
