import dataclasses
import logging
from pathlib import Path

import pytest

import dichoseg
from dichoseg.cli.options import as_arguments, size_of, tell

from .conftest import run_cli


@pytest.mark.parametrize("command", ["check", "train"])
def test_value_data_options_are_the_same(command):
    text = run_cli(command, "--help").output
    for option in ("--images", "--masks", "--foreground", "--resize-masks", "--val"):
        assert option in text


def test_value_a_message_is_shown_unless_only_errors_are(caplog, capsys):
    tell("one")
    with caplog.at_level(logging.ERROR, "dichoseg"):
        tell("two")
    assert capsys.readouterr().err == "one\n"


def test_value_version():
    result = run_cli("--version")
    assert (result.exit_code, result.output) == (0, f"dichoseg {dichoseg.__version__}\n")


@dataclasses.dataclass(frozen=True)
class Inner:
    loss: tuple[str, ...] = ()
    more: tuple[Path, ...] = ()
    check: bool = True


@dataclasses.dataclass(frozen=True)
class Outer:
    data: Path | None = None
    val: Path | None = None
    epochs: int = 10
    flips: bool = False
    sizes: tuple[str, ...] = ()
    inner: Inner = Inner()


def test_value_arguments_that_give_the_options_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert as_arguments(Outer()) == []
    options = Outer(
        data=Path("d"), val=Path("v"), epochs=3, flips=True, inner=Inner(("a", "b:0.5"), (Path("m"),), False)
    )
    assert as_arguments(options) == [
        str(tmp_path / "d"), f"--val={tmp_path}/v", "--epochs=3", "--flips", "--loss=a", "--loss=b:0.5",
        f"--more={tmp_path}/m", "--no-check",
    ]  # fmt: skip
    assert as_arguments(Outer(sizes=("384", "512x768"))) == ["--sizes", "384", "512x768"]


def test_value_sizes():
    assert size_of("384") == (384, 384)
    assert size_of("512x768") == (512, 768)
    for text in ("data", "512x", "x512", "1x2x3", "38.4", ""):
        with pytest.raises(ValueError, match=f"such as 512x768; got '{text}'"):
            size_of(text)
