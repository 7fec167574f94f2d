import json
import re
import socket
import struct

from .conftest import FORM, form


def reset(client: socket.socket) -> None:
    """End a connection as the system does for a killed program."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def test_value_client_killed_in_mid_upload(server, photograph):
    before = server.log.read_text().count(" 499 ")
    for _ in range(5):
        reset(server.half_a_request(200_000, 100_000))
    server.wait_for_log(" 499 ")
    assert server.ask("/predict", photograph).status == 200
    while server.log.read_text().count(" 499 ") < before + 5:
        server.ask("/health")
    assert json.loads(server.ask("/health").body) == {"status": "ok", "waiting": 0}


def test_value_client_killed_during_the_work(server, photograph):
    request = f"POST /predict?size=2048 HTTP/1.1\r\nHost: a\r\nContent-Length: {len(photograph)}\r\n\r\n".encode()
    client = socket.create_connection(("127.0.0.1", server.port))
    client.sendall(request + photograph)
    while json.loads(server.ask("/health").body)["waiting"] == 0:
        pass
    before = server.log.read_text().count(" 499 ")
    reset(client)
    while json.loads(server.ask("/health").body)["waiting"]:
        pass
    assert server.log.read_text().count(" 499 ") == before + 1


def test_value_log_names_the_request_and_not_the_picture(server, photograph):
    answer = server.ask("/predict?model=second", form(photograph), **FORM)
    identity = answer.headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{12}", identity)
    server.wait_for_log(f"{identity} POST /predict 200 ")
    assert re.search(rf"^{identity} POST /predict 200 \d+ ms$", server.log.read_text(), re.MULTILINE)
    assert "a.png" not in server.log.read_text()
    assert "/health" not in server.log.read_text()
