import pytest

from .names import check_names


@pytest.mark.parametrize("name", ["egnet_resnet50", "egnet_vgg16"])
def test_value_every_key_of_the_authors_in_their_order(name):
    check_names(name)
