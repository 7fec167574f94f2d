import io

import pytest

from dichoseg import cli

from .conftest import TINY

PLUGIN = """
import torch
from dichoseg.decoders import FPNDecoder

class Broken(FPNDecoder):
    def forward(self, features):
        return super().forward(features[1:])

class Picky(FPNDecoder):
    def __init__(self, feature_info):
        raise ValueError("wanted three features")
"""
ENTRY_POINTS = "[dichoseg.decoders]\nbroken = picky_net:Broken\npicky = picky_net:Picky"


@pytest.fixture
def shown(monkeypatch, capsys):
    """Run the whole command line; return what it writes to standard error."""

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["dichoseg", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert stop.value.code == 1
        return capsys.readouterr().err

    return run


def test_value_one_line_for_what_a_user_gave(shown, monkeypatch):
    line = "error: no photograph or folder at nowhere.jpg"
    assert shown("predict", "nowhere.jpg") == f"{line}\n"
    for text in (shown("predict", "nowhere.jpg", "--traceback"), None):
        if text is None:
            monkeypatch.setenv("DICHOSEG_TRACEBACK", "1")
            text = shown("predict", "nowhere.jpg")
        assert text.startswith("Traceback (most recent call last):\n")
        assert text.splitlines()[-1] == line
    monkeypatch.setenv("DICHOSEG_TRACEBACK", "0")
    assert shown("predict", "nowhere.jpg") == f"{line}\n"


@pytest.mark.parametrize(("decoder", "told"), [("broken", "ValueError: zip()"), ("picky", "wanted three features")])
def test_value_a_plugin_is_named_with_its_traceback(decoder, told, install, shown, data):
    install("picky-net", ENTRY_POINTS, picky_net=PLUGIN)
    text = shown("train", data, "--out", data / "run", *TINY, "--decoder", decoder)
    assert "picky_net.py" in text
    assert text.splitlines()[-1].startswith("error in the package picky-net 1.5: ")
    assert told in text


def test_value_a_mistake_of_dichoseg_has_its_traceback(shown, monkeypatch):
    monkeypatch.setattr(cli, "run", lambda arguments: {}["plan"])
    text = shown("list")
    assert text.startswith("Traceback")
    assert text.splitlines()[-1] == "error in dichoseg, or a library that it uses: KeyError: 'plan'"


def test_value_names_that_the_encoding_of_the_output_lacks(monkeypatch):
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", output)
    monkeypatch.setattr("dichoseg.cli.run", lambda arguments: print("caf\udce9 \u00e9"))
    cli.main()
    assert output.buffer.getvalue() == b"caf\\udce9 \\xe9\n"
