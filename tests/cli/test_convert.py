import torch

from dichoseg import create_model, load_model

from .conftest import run_cli


def test_value_convert(tmp_path):
    torch.save(create_model("u2netp").state_dict(), tmp_path / "w.pth")
    result = run_cli("convert", tmp_path / "w.pth", tmp_path / "m", "--license", "apache-2.0")
    assert result.exit_code == 0, result.output
    assert "w.pth (torch checkpoint) holds u2netp, 1,131,181 parameters; written to" in result.output
    assert "license: apache-2.0" in (tmp_path / "m/README.md").read_text()
    assert load_model(tmp_path / "m").recipe == {"name": "u2netp"}
    again = run_cli("convert", tmp_path / "w.pth", tmp_path / "m")
    assert isinstance(again.exception, FileExistsError)
