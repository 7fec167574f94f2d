import math

import pytest
import torch

from dichoseg.testing import ConformanceError
from dichoseg.testing.common import attempt, build, difference, require


def test_value_require():
    require(True, "Part", "a", "b", "c")
    with pytest.raises(ConformanceError, match="^Part: wanted a; got b; c$"):
        require(False, "Part", "a", "b", "c")
    assert issubclass(ConformanceError, AssertionError)


def test_value_attempt_keeps_the_cause():
    message = "^Part: trying fails with KeyError: 'x'; change it$"
    with pytest.raises(ConformanceError, match=message) as caught, attempt("Part", "trying", "change it"):
        {}["x"]
    assert isinstance(caught.value.__cause__, KeyError)
    with pytest.raises(ConformanceError, match="^Part: wanted"), attempt("Other", "trying", "change it"):
        require(False, "Part", "a", "b", "c")
    message = "^Part: trying fails with ValueError: first; c$"
    with pytest.raises(ConformanceError, match=message), attempt("Part", "trying", "c"):
        raise ValueError("first\nsecond")


def test_error_build():
    with pytest.raises(
        TypeError, match="check_loss takes a class or function that builds the .*got an instance of int"
    ):
        build("loss", 3)
    assert build("loss", lambda *values: values, 1, 2) == (1, 2)


def test_value_difference():
    ones = torch.ones(2, 2)
    assert difference([ones], [ones]) == 0
    assert difference([ones * 2], [ones]) == 1
    assert difference([ones * 20], [ones * 10]) == 1
    assert difference([ones * 0.1], [ones * 0.2]) == pytest.approx(0.1)
    assert difference([ones], [ones[0]]) == math.inf
    assert difference([ones], []) == math.inf
    assert difference([], []) == 0
    assert difference([ones * math.nan], [ones]) == math.inf
