import socket

from .conftest import run_cli


def test_error_runs_and_port(tmp_path):
    (tmp_path / "history.csv").write_text("epoch,loss\n1,2\n")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = run_cli("view", tmp_path, "--port", port)
    assert str(result.exception) == f"cannot listen on 127.0.0.1, port {port}: another program uses this port"
    assert "holds no run of dichoseg" in str(run_cli("view", tmp_path.parent, "--port", 0).exception)
    assert "wanted one run, or two to compare; got 3" in str(run_cli("view", tmp_path, tmp_path, tmp_path).exception)
