import json
from pathlib import Path

import numpy as np
import pytest

from dichoseg.metrics import Evaluator, adaptive_f, f_curve, mae

GOLDEN = Path(__file__).parents[1] / "golden/metrics"


def random_pairs(count):
    rng = np.random.default_rng(0)
    return [(rng.random((9, 7 + index)), rng.random((9, 7 + index)) > 0.5) for index in range(count)]


def filled(pairs, **options):
    evaluator = Evaluator(**options)
    for prediction, mask in pairs:
        evaluator.update(prediction, mask)
    return evaluator


def test_value_reference():
    expected = json.loads((GOLDEN / "values.json").read_text())["examples"]
    arrays = np.load(GOLDEN / "pairs.npz")
    pairs = [(arrays[f"{name}/prediction"], arrays[f"{name}/mask"]) for name in expected["names"]]
    scores = filled(pairs).compute()
    assert scores == pytest.approx({key: expected[key] for key in scores}, abs=1e-12)
    mean_of_maxima = np.mean([f_curve(*pair).max() for pair in pairs])
    assert mean_of_maxima == pytest.approx(expected["mean_of_per_image_max_f"], abs=1e-12)
    assert scores["max_f"] < mean_of_maxima


@pytest.mark.parametrize("normalize", [False, True])
def test_value_averages_over_images(normalize):
    pairs = random_pairs(3)
    scores = filled(pairs, normalize=normalize).compute()
    curve = np.mean([f_curve(*pair, normalize=normalize) for pair in pairs], axis=0)
    assert set(scores) == {"mae", "max_f", "mean_f", "adaptive_f"}
    assert all(type(score) is float for score in scores.values())
    assert scores["max_f"] == pytest.approx(curve.max())
    assert scores["mean_f"] == pytest.approx(curve.mean())
    assert scores["mae"] == pytest.approx(np.mean([mae(*pair, normalize=normalize) for pair in pairs]))
    adaptive = np.mean([adaptive_f(*pair, normalize=normalize) for pair in pairs])
    assert scores["adaptive_f"] == pytest.approx(adaptive)


def test_value_by_hand():
    mask = np.array([[0, 255]], np.uint8)
    scores = filled([(mask, mask), (mask, np.zeros_like(mask))]).compute()
    assert scores["mae"] == 0.25
    assert scores["max_f"] == scores["adaptive_f"] == 0.5  # a perfect image, and one without foreground
    assert scores["mean_f"] == pytest.approx((255 + 1.3 / 2.3) / 256 / 2)


def test_value_compute_does_not_end_it():
    pairs = random_pairs(4)
    evaluator = filled(pairs[:2])
    evaluator.compute()
    evaluator.update(*pairs[2])
    assert evaluator.compute() == filled(pairs[:3]).compute()
    assert evaluator.count == 3


def test_value_merge_equals_one_evaluator():
    pairs = random_pairs(5)
    evaluator, other = filled(pairs[:2]), filled(pairs[2:])
    alone = other.compute()
    evaluator.merge(other)
    evaluator.merge(Evaluator())
    assert evaluator.count == 5
    assert evaluator.compute() == pytest.approx(filled(pairs).compute(), abs=1e-15)
    evaluator.update(*pairs[0])
    assert other.compute() == alone


def test_value_reset_forgets():
    pairs = random_pairs(3)
    evaluator = filled(pairs[:2], normalize=False)
    evaluator.reset()
    evaluator.update(*pairs[2])
    assert evaluator.compute() == filled(pairs[2:], normalize=False).compute()


def test_error_nothing_to_average():
    evaluator = filled(random_pairs(1))
    evaluator.reset()
    for empty in (evaluator, Evaluator()):
        with pytest.raises(ValueError, match="nothing to average: update"):
            empty.compute()


def test_error_image_changes_nothing():
    evaluator = filled(random_pairs(1))
    before = evaluator.compute()
    with pytest.raises(ValueError, match="of one size"):
        evaluator.update(np.zeros((3, 4)), np.zeros((4, 3), bool))
    assert evaluator.compute() == before


def test_error_merge_of_two_protocols():
    with pytest.raises(ValueError, match="same normalize can be merged; got True and False"):
        Evaluator().merge(Evaluator(normalize=False))
