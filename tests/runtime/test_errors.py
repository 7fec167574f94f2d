import pytest
import torch

from dichoseg import checking
from dichoseg.runtime.errors import explains_itself, modules_in


def caught(function, *arguments):
    try:
        function(*arguments)
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def raised(error):
    raise error


@pytest.mark.parametrize(
    ("function", "arguments", "explained"),
    [
        (checking.whole, ("epochs", -1), True),
        (checking.choice, ("kind", 1, 5), False),  # a mistake of the caller: an int is not iterable
        (open, ("nowhere",), True),
        (raised, (MemoryError("full"),), True),
        (raised, (ValueError("of other code"),), False),
        (torch.nn.functional.conv2d, (torch.zeros(1, 3, 4, 4), torch.zeros(1, 2, 1, 1)), False),
    ],
)
def test_value_errors_that_explain_themselves(function, arguments, explained):
    assert explains_itself(caught(function, *arguments)) is explained


def test_value_an_error_that_was_never_raised():
    assert not explains_itself(ValueError("as it is"))


def test_value_modules_behind_an_error():
    def wrapped():
        try:
            torch.nn.functional.conv2d(torch.zeros(1, 3, 4, 4), None, stride=())
        except Exception as error:
            raise ValueError("no") from error

    def hidden():
        try:
            checking.whole("epochs", -1)
        except ValueError:
            raise ValueError("no") from None

    own = __name__.partition(".")[0]
    assert [*modules_in(caught(wrapped))][-2:] == [own, own]
    assert "dichoseg" in [*modules_in(caught(checking.whole, "epochs", -1))]
    assert "dichoseg" not in [*modules_in(caught(hidden))]
