import socket

import pytest

from dichoseg import save_model
from dichoseg.cli.serve import _named

from .conftest import run_cli


def test_error_port_in_use(small_isnet, tmp_path):
    save_model(small_isnet, tmp_path / "m")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = run_cli("serve", "--models", tmp_path / "m", "--port", port)
    assert str(result.exception) == f"cannot listen on 127.0.0.1, port {port}: another program uses this port"


def test_error_options(tmp_path):
    assert "no model at absent" in str(run_cli("serve", "--models", "absent", "--port", 0).exception)
    assert "queue must be 1 or more; got 0" in str(run_cli("serve", "--queue", 0).exception)
    assert "invalid choice" in run_cli("serve", "--precision", "int8").stderr
    (tmp_path / "token").write_text("two words\n")
    assert "token must hold one token" in str(run_cli("serve", "--token-file", tmp_path / "token").exception)


def test_value_names_hide_paths(tmp_path):
    (tmp_path / "runs/mine").mkdir(parents=True)
    (tmp_path / "u2net.pth").touch()
    models = (str(tmp_path / "runs/mine"), str(tmp_path / "u2net.pth"), "isnet-general-use", "name/model")
    assert list(_named(models)) == ["mine", "u2net", "isnet-general-use", "name/model"]
    with pytest.raises(ValueError, match="would both be called mine"):
        _named((models[0], "mine"))
