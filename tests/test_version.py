from importlib import metadata

import dichoseg


def test_value_version_is_the_installed_one_and_no_public_name():
    assert dichoseg.__version__ == metadata.version("dichoseg")
    assert "__version__" not in dichoseg.__all__
