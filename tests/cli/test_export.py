import json
import shlex
import shutil
from pathlib import Path

import onnx
import pytest
import torch

from dichoseg import save_model
from dichoseg.cli.hints import with_options

from ..export.conftest import with_contrast
from .conftest import run_cli


@pytest.fixture
def saved(small_isnet, tmp_path):
    save_model(small_isnet, tmp_path / "model")
    return tmp_path / "model"


def exported(saved, file, *options):
    result = run_cli("export", saved, file, *options)
    assert result.exit_code == 0, result.output
    assert "MiB; its probabilities differ from the model's by" in result.output
    assert "rembg" not in result.output
    return file


@pytest.mark.parametrize(
    ("name", "options", "sides"),
    [
        ("small.onnx", [], [1, 3, 64, 64]),
        ("small.ONNX", ["--size", 65], [1, 3, 65, 65]),
        ("small.onnx", ["--dynamic"], ["batch", 3, "height", "width"]),
        ("small.onnx", ["--half"], [1, 3, 64, 64]),
    ],
)
def test_value_an_onnx_file_as_the_options_say(saved, tmp_path, name, options, sides):
    graph = onnx.load(exported(saved, tmp_path / name, *options)).graph
    image = graph.input[0].type.tensor_type.shape.dim
    assert [side.dim_param or side.dim_value for side in image] == sides
    halved = any(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in graph.initializer)
    assert halved == ("--half" in options)


@pytest.mark.parametrize(("options", "side"), [([], 64), (["--size", 65], 65)])
def test_value_a_program_as_the_options_say(saved, tmp_path, options, side):
    program = torch.export.load(exported(saved, tmp_path / "small.pt2", *options)).module()
    assert program(torch.zeros(1, 3, side, side)).shape == (1, 1, side, side)


@pytest.mark.parametrize("name", ["small.onnx", "small.pt2"])
def test_value_a_file_that_is_there_is_replaced_on_request(saved, tmp_path, name):
    (tmp_path / name).write_text("old")
    result = run_cli("export", saved, tmp_path / name)
    assert isinstance(result.exception, FileExistsError)
    assert f"{tmp_path / name} is there already; wanted a new file, or --overwrite" in str(result.exception)
    assert (tmp_path / name).read_text() == "old"
    assert exported(saved, tmp_path / name, "--overwrite").stat().st_size > 1000


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
    lines = run_cli("export", saved, "small.onnx", "--preset", "rembg-u2net", "--overwrite").output.splitlines()
    assert json.loads(shlex.split(lines[-1])[5]) == {"model_path": str(Path.home() / ".u2net/small.onnx")}


def test_value_the_lines_for_rembgs_birefnet(saved, tmp_path):
    lines = run_cli("export", saved, tmp_path / "small.onnx", "--preset", "rembg-birefnet").output.splitlines()
    assert lines[-2].strip() == f"cp {tmp_path}/small.onnx {tmp_path}/birefnet-general.onnx"
    command = f"U2NET_HOME={tmp_path} MODEL_CHECKSUM_DISABLED=1 rembg i -m birefnet-general photo.jpg cutout.png"
    assert lines[-1].strip() == command
    named = tmp_path / "birefnet-general.onnx"
    assert run_cli("export", saved, named, "--preset", "rembg-birefnet").output.splitlines()[-2] == "in rembg:"


def test_value_a_file_of_8_bits(small_isnet, data, tmp_path):
    save_model(with_contrast(small_isnet), tmp_path / "model")
    photographs = tmp_path / "train/im"
    result = run_cli("export", tmp_path / "model", tmp_path / "few.onnx", "--precision", "int8")
    assert "needs calibration= (--calibration): 8 or more" in with_options(str(result.exception))
    command = (
        "export",
        tmp_path / "model",
        tmp_path / "small.onnx",
        "--precision",
        "int8",
        "--calibration",
        photographs,
    )
    assert "--calibration must hold 8 or more photographs; got 5" in with_options(str(run_cli(*command).exception))
    for index in range(3):
        shutil.copy(next(photographs.iterdir()), photographs / f"more{index}.jpg")
    result = run_cli(*command)
    assert result.exit_code == 0, result.output
    assert "differ from the model's by 0.00" in result.stdout
    assert "on average, on the calibration photographs" in result.stdout
    (entry,) = onnx.load(tmp_path / "small.onnx").metadata_props
    assert json.loads(entry.value)["int8"]["photographs"] == 8
    assert not (tmp_path / "few.onnx").exists()


def test_error_options_that_do_not_go_together(saved, tmp_path):
    result = run_cli("export", saved, tmp_path / "small.bin")
    assert "ends in .onnx or .pt2; got" in str(result.exception)
    result = run_cli("export", saved, tmp_path / "small.pt2", "--half")
    assert "--dynamic, --preset, --half and --deform-conv are for .onnx files" in str(result.exception)
    assert run_cli("export", saved, tmp_path / "small.onnx", "--preset", "other").exit_code == 2


def test_error_the_destination_is_looked_at_before_the_model(tmp_path):
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "old.onnx").write_text("old")
    for name, message in (
        ("absent/small.onnx", f"no folder {tmp_path / 'absent'} to write small.onnx to"),
        ("folder.onnx", f"{tmp_path / 'folder.onnx'} is a folder; wanted the name of a file"),
        ("old.onnx", f"{tmp_path / 'old.onnx'} is there already"),
    ):
        assert message in str(run_cli("export", tmp_path / "no model", tmp_path / name).exception)
