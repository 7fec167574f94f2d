import json
import shlex
from pathlib import Path

import pytest

from dichoseg import save_model

from .conftest import run_cli


@pytest.fixture
def saved(small_isnet, tmp_path):
    save_model(small_isnet, tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize(
    "options", [("small.onnx", "--dynamic", "--half"), ("small.ONNX", "--size", 65), ("small.pt2",)]
)
def test_value_a_file_by_its_ending(saved, tmp_path, options):
    result = run_cli("export", saved, tmp_path / options[0], *options[1:])
    assert result.exit_code == 0, result.output
    assert "MiB; its probabilities differ from the model's by" in result.output
    assert "rembg" not in result.output
    assert (tmp_path / options[0]).is_file()


@pytest.mark.parametrize(("preset", "session"), [("rembg-dis", "dis_custom"), ("rembg-u2net", "u2net_custom")])
def test_value_the_line_for_rembg(saved, tmp_path, monkeypatch, preset, session):
    home = tmp_path / "a home"
    (home / "own").mkdir(parents=True)
    monkeypatch.setenv("U2NET_HOME", str(home))
    inside = run_cli("export", saved, home / "own/it's.onnx", "--preset", preset).output.splitlines()
    assert inside[-2] == "in rembg:"
    words = shlex.split(inside[-1])
    assert words[:5] == ["rembg", "i", "-m", session, "-x"]
    assert json.loads(words[5]) == {"model_path": str(home / "own/it's.onnx")}


def test_value_a_file_elsewhere_is_copied_to_rembgs_folder(saved, tmp_path, monkeypatch):
    monkeypatch.delenv("U2NET_HOME", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    lines = run_cli("export", saved, "small.onnx", "--preset", "rembg-u2net").output.splitlines()
    place = tmp_path / "data/.u2net"
    assert [shlex.split(line) for line in lines[-3:-1]] == [
        ["mkdir", "-p", str(place)],
        ["cp", str(tmp_path / "small.onnx"), str(place)],
    ]
    assert json.loads(shlex.split(lines[-1])[5]) == {"model_path": str(place / "small.onnx")}
    monkeypatch.delenv("XDG_DATA_HOME")
    lines = run_cli("export", saved, "small.onnx", "--preset", "rembg-u2net").output.splitlines()
    assert json.loads(shlex.split(lines[-1])[5]) == {"model_path": str(Path.home() / ".u2net/small.onnx")}


def test_error_options_that_do_not_go_together(saved, tmp_path):
    result = run_cli("export", saved, tmp_path / "small.bin")
    assert "ends in .onnx or .pt2; got" in str(result.exception)
    result = run_cli("export", saved, tmp_path / "small.pt2", "--half")
    assert "--dynamic, --preset and --half are for .onnx files" in str(result.exception)
    assert run_cli("export", saved, tmp_path / "small.onnx", "--preset", "other").exit_code == 2
