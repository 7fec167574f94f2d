import logging

import pytest

from dichoseg import cli
from dichoseg.cli.common import with_common_options

from .conftest import TINY, run_cli


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_value_every_command_has_them(command):
    text = run_cli(command, "--help").stdout
    for option in ("--quiet", "--verbose", "--traceback"):
        assert text.count(f" {option} ") == 1, text  # in the table
    assert "Show the traceback of an error" in text


@pytest.mark.parametrize(
    ("options", "rank", "shown"),
    [
        ({}, "0", ["info", "warning", "error"]),
        ({"quiet": True}, "0", ["error"]),
        ({"verbose": True}, "0", ["debug", "info", "warning", "error"]),
        ({}, "1", ["error"]),
    ],
)
def test_value_messages_that_are_shown(options, rank, shown, monkeypatch, capsys):
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", "2")
    logger = logging.getLogger("dichoseg.cli")

    def command(value: int = 0) -> None:
        """Say something."""
        for level in ("debug", "info", "warning", "error"):
            getattr(logger, level)(level)

    with_common_options(command, logging.INFO)(traceback=False, **options)
    assert capsys.readouterr().err.split() == shown
    command()
    assert capsys.readouterr().err == ""  # as before


def test_error_quiet_and_verbose():
    assert "exclude each other" in str(run_cli("list", "--quiet", "--verbose").exception)


def test_value_quiet_training_says_nothing(data, monkeypatch):
    arguments = ("train", data, "--out", data / "run", *TINY, "--val-fraction", 0.4)
    result = run_cli(*arguments, "--quiet")
    assert (result.exit_code, result.output) == (0, "")
    assert (data / "run/scores.json").exists()
    predict = ("predict", data / "train/im", "--model", data / "run", "--out", data / "masks")
    (data / "train/im/broken.png").write_text("no picture")
    result = run_cli(*predict, "--quiet")
    assert (result.exit_code, result.stdout) == (1, "")
    assert [line.count("broken.png") for line in result.stderr.splitlines()] == [1]
