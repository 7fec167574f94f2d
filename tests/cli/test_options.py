import logging

import pytest

import dichoseg
from dichoseg.cli.options import show_training_log

from .conftest import run_cli


@pytest.mark.parametrize("command", ["check", "train"])
def test_value_data_options_are_the_same(command):
    text = run_cli(command, "--help").output
    for option in ("--images", "--masks", "--foreground", "--resize-masks", "--val"):
        assert option in text


def test_value_training_log_is_shown(caplog):
    logger = logging.getLogger("dichoseg")
    before = logger.level
    try:
        show_training_log()
        assert logger.isEnabledFor(logging.INFO)
    finally:
        logger.setLevel(before)


def test_value_version():
    result = run_cli("--version")
    assert (result.exit_code, result.output) == (0, f"dichoseg {dichoseg.__version__}\n")
