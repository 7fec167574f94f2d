import json
import os
import re
import signal
import socket
import subprocess
import sys

import pytest

from dichoseg.service.server import address_of, listen

from .conftest import Server, serving


def test_value_listens_on_a_free_port():
    with listen("localhost", 0) as listener:
        assert listener.getsockname()[1] > 0
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_value_answers_while_weights_download(tmp_path):
    log = tmp_path / "log"
    command = [sys.executable, "-m", "dichoseg", "serve", "--port", "0", "--models", "u2netp"]
    with socket.create_server(("127.0.0.1", 0)) as mirror, log.open("w") as errors:  # it never answers
        address = f"http://127.0.0.1:{mirror.getsockname()[1]}"
        environment = {**os.environ, "DICHOSEG_MIRROR": address, "DICHOSEG_HOME": str(tmp_path)}
        environment |= {"DICHOSEG_OFFLINE": "", "HF_HUB_OFFLINE": "", "NO_PROXY": "127.0.0.1"}
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=environment) as process:
            server = Server(0, log, process)
            server.wait_for_log("downloading u2netp")
            port = int(re.search(r"loading u2netp; http://127\.0\.0\.1:(\d+) shows", log.read_text())[1])
            server = server._replace(port=port)
            state = json.loads(server.ask("/models").body)["loading"]
            assert re.fullmatch(r"downloading u2netp, [\d.]+ MB", state)
            health = server.ask("/health")
            assert (health.status, json.loads(health.body)) == (503, {"status": state, "waiting": 0})
            answer = server.ask("/predict", b"image")
            assert (answer.status, answer.headers["retry-after"]) == (503, "5")
            assert answer.error == f"the models are not ready: {state}; try again in 5 s"
            assert server.ask("/").status == 200
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) == 130
            assert process.stdout.read() == b""


def test_value_address_of():
    with listen("127.0.0.1", 0) as listener:
        assert address_of(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_error_address():
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1, port {port}: another program uses this port"):
            listen("127.0.0.1", port)
    with pytest.raises(OSError, match=r"cannot listen on no\.such\.host\.invalid, port 0: "):
        listen("no.such.host.invalid", 0)
    with pytest.raises(ValueError, match="port must be a number from 0 to 65535; got 70000"):
        listen("127.0.0.1", 70000)


def test_value_a_signal_stops_the_server(models):
    with serving(models, "--models", models / "first") as server, server.half_a_request(1000, 10):
        assert server.ask("/health").status == 200
        server.process.send_signal(signal.SIGINT)  # while an upload does not end
        assert server.process.wait(timeout=60) == 130
    assert server.log.read_text().endswith("stopped\n")
