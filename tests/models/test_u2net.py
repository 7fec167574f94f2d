import pytest

from .names import check_names


@pytest.mark.parametrize("name", ["u2net", "u2netp"])
def test_value_every_key_of_the_authors_in_their_order(name):
    check_names(name)
