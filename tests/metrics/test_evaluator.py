import numpy as np
import pytest

from dichoseg.metrics import Evaluator, f_curve


def test_value_curve_is_averaged_before_its_maximum():
    rng = np.random.default_rng(0)
    pairs = [(rng.random((9, 7)), rng.random((9, 7)) > 0.5) for _ in range(3)]
    evaluator = Evaluator()
    for pair in pairs:
        evaluator.update(*pair)
    curve = np.mean([f_curve(*pair) for pair in pairs], axis=0)
    scores = evaluator.compute()
    assert set(scores) == {"mae", "max_f", "mean_f", "adaptive_f"}
    assert scores["max_f"] == pytest.approx(curve.max())
    assert scores["mean_f"] == pytest.approx(curve.mean())


def test_error_nothing_to_average():
    with pytest.raises(ValueError, match="nothing to average"):
        Evaluator().compute()
