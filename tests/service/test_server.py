import signal
import socket

import pytest

from dichoseg.service.server import listen

from .conftest import serving


def test_value_listens_on_a_free_port():
    with listen("localhost", 0) as listener:
        assert listener.getsockname()[1] > 0
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


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
