import logging
import re
from pathlib import Path

import pytest

from dichoseg import cli
from dichoseg.cli.common import options_of
from dichoseg.cli.hints import CALLS, HABITS, OPTIONS, Formatter, with_options

from .conftest import run_cli

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("resize_masks=True resizes them", "resize_masks=True (--resize-masks) resizes them"),
        ("a smaller batch_size=8 helps", "a smaller batch_size=8 (--batch-size) helps"),
        ("mask_suffix='_mask' pairs all", "mask_suffix='_mask' (--mask-suffix) pairs all"),
        ("foreground= says which", "foreground= (--foreground) says which"),
        ("report() lists all", "report() (dichoseg check) lists all"),
        ("out='o.png' would write it", "out='o.png' (--out) would write it"),
        ("epochs must be 1 or more", "--epochs must be 1 or more"),
        ("resized_masks=True, the batch_size", "resized_masks=True, the batch_size"),
    ],
)
def test_value_options_follow_arguments(text, shown):
    assert with_options(text) == shown


def test_value_every_option_exists():
    text = "".join(run_cli(command, "--help").output for command in cli.COMMANDS)
    known = set(re.findall(r"--[a-z][a-z-]+", text))
    assert {option for option in (*OPTIONS.values(), *CALLS.values()) if option.startswith("--")} <= known


def test_value_log_messages_have_them_too():
    record = logging.LogRecord("dichoseg", logging.WARNING, "", 0, "%d left out; strict=False", (3,), None)
    assert Formatter().format(record) == "3 left out; strict=False (--skip-broken)"


def test_value_the_library_names_no_options():
    library = [path for path in (ROOT / "src/dichoseg").rglob("*.py") if path.parent.name != "cli"]
    assert [path.name for path in library if any(option in path.read_text() for option in OPTIONS.values())] == []


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        (("train", "d", "--lr", "1e-3"), "no option --lr; it is --learning-rate here"),
        (("predict", "a.jpg", "--weights=m"), "no option --weights; it is --model here"),
        (("predict", "a.jpg", "-o", "b.png"), "no option -o; it is --out here"),
        (("list", "--debug"), "no option --debug; it is --traceback here"),
        (("predict", "a", "--cutout", "true"), "--cutout is a flag, which takes no value; got true"),
        (("train", "d", "--freeze-encoder", "False"), "--freeze-encoder is a flag, which takes no value; got False"),
        (("-V",), "no option -V; it is --version here"),
        (("serve", "u2netp"), "models of serve follow --models: dichoseg serve --models u2netp"),
    ],
)
def test_error_habits_of_other_programs(command, hint):
    assert str(run_cli(*command).exception) == hint


def test_value_habits_are_of_options_that_exist():
    known = {"--version"}.union(*map(options_of, cli.COMMANDS.values()))
    assert HABITS.keys() <= known
    result = run_cli("train", "nowhere", "--weights", "nowhere.pth", "--out", "x")  # one that has the other's name
    assert "no model at nowhere.pth" in str(result.exception)
    assert "no photograph or folder at none" in str(run_cli("predict", "none", "--out", "true").exception)
    assert "habit" not in str(run_cli("predict", "--", "-o").exception)
