import numpy as np
import pytest

from dichoseg.records import Metric
from dichoseg.testing import ConformanceError, check_metric


def overlap(pair):
    both = (pair.values > 0.5) & pair.foreground
    either = (pair.values > 0.5) | pair.foreground
    return float(both.sum() / either.sum()) if either.any() else float("nan")


def changes(pair):
    pair.prediction[...] = 0
    return overlap(pair)


calls = iter(range(1000))
GOOD = Metric("overlap", overlap, True, "intersection over union above one half")


def test_value_a_good_metric_passes():
    check_metric(GOOD)
    check_metric(GOOD._replace(of_pair=lambda pair: 1 - overlap(pair), higher_is_better=False))


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (overlap, "wanted a Metric; got a function"),
        (GOOD._replace(name="over-lap"), "an identifier as name"),
        (GOOD._replace(definition=""), "a definition of one line"),
        (GOOD._replace(higher_is_better=False), "set higher_is_better to the direction"),
        (GOOD._replace(of_pair=lambda pair: np.inf), "a finite float, or NaN"),
        (GOOD._replace(of_pair=lambda pair: "1"), "a finite float, or NaN"),
        (GOOD._replace(of_pair=lambda pair: float(next(calls))), "the same value whenever it is called"),
        (GOOD._replace(of_pair=lambda pair: float(pair.foreground.mean())), "a mask from the same mask shifted"),
        (GOOD._replace(of_pair=changes), "inputs that are not changed"),
        (GOOD._replace(of_pair=lambda prediction, mask: 1.0), r"of_pair\(pair\) fails with TypeError"),
    ],
)
def test_error_says_what_to_change(metric, message):
    with pytest.raises(ConformanceError, match=message):
        check_metric(metric)
