import numpy as np
import pytest

from dichoseg.checking import choice, function, number, unknown, whole, with_hints


def test_value_what_fits_is_returned():
    assert choice("kind", "box", ("box", "motion")) == "box"
    assert number("weight", 0) == 0
    assert number("p", np.float32(0.5), high=1) == 0.5
    assert type(whole("patches", np.int64(3))) is int
    assert whole("width", 3, least=3, odd=True) == 3
    assert function("loss", None, "BCELoss()") is None
    assert function("loss", len, "BCELoss()") is len


def test_error_choice():
    with pytest.raises(ValueError, match="kind must be one of box, motion; got 'gauss'"):
        choice("kind", "gauss", ("box", "motion"))


@pytest.mark.parametrize("value", [-0.1, float("inf"), float("nan")])
def test_error_number(value):
    with pytest.raises(ValueError, match=f"weight must be a finite number, 0 or more; got {value}"):
        number("weight", value)
    with pytest.raises(ValueError, match=f"p must be a number from 0 to 1; got {value}"):
        number("p", value, high=1)


def test_error_number_of_another_type():
    with pytest.raises(TypeError, match="weight must be a number; got 'much'"):
        number("weight", "much")


@pytest.mark.parametrize("value", [1, 4, -3])
def test_error_whole(value):
    with pytest.raises(ValueError, match=f"width must be odd and 3 or more; got {value}"):
        whole("width", value, least=3, odd=True)
    with pytest.raises(ValueError, match=f"count must be 5 or more; got {value}"):
        whole("count", value, least=5)


@pytest.mark.parametrize("value", [3.0, "3", None])
def test_error_whole_of_another_type(value):
    with pytest.raises(TypeError, match=f"count must be an int; got {value!r}"):
        whole("count", value)


def test_error_function():
    with pytest.raises(TypeError, match=r"loss must be a function, such as BCELoss\(\); got 'bce'"):
        function("loss", "bce", "BCELoss()")


def test_error_unknown_name():
    assert str(unknown("preset 'strog'", "strog", ["isnet", "strong"])) == (
        "no preset 'strog'; did you mean 'strong'? (known: isnet, strong)"
    )
    assert str(unknown("part 'xyz'", "xyz", ["rsu"], listed="installed")) == "no part 'xyz' (installed: rsu)"


def test_error_an_argument_of_other_libraries():
    @with_hints({"workers=": "num_workers n_workers"})
    def load(data, *, workers=0):
        return data, workers

    assert load(1, workers=2) == (1, 2)
    with pytest.raises(TypeError, match=r"load has no argument 'num_workers'; wanted workers=$"):
        load(1, num_workers=2)
    with pytest.raises(TypeError, match="unexpected keyword argument 'other'"):
        load(1, other=2)
