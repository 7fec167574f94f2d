"""Server process: listen, serve, and stop on a signal."""

from __future__ import annotations

import errno
import logging
import socket
import threading
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from ..checking import number, whole

logger = logging.getLogger(__name__)

STOP_SECONDS = 5
"""Seconds that requests in work have to end after a signal."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; raise an OSError that says what is wrong with the address.

    Args:
        host: Name or address of the interface.
        port: Port; 0 is any free one.
    """
    number("port", whole("port", port), high=65535)
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.create_server(address[:2], family=family, backlog=1024)
    except OSError as error:
        reason = "another program uses this port" if error.errno == errno.EADDRINUSE else error.strerror
        raise OSError(f"cannot listen on {host}, port {port}: {reason}") from error
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # connections inherit it, so dead ones end
    return listener


def address_of(listener: socket.socket) -> str:
    """Return the address of a socket for a browser."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def run(app: FastAPI, listener: socket.socket, *, prepare: Callable[[], None] | None = None) -> None:
    """Serve an application on a socket until a signal asks to stop.

    Args:
        app: Application to serve.
        listener: Socket that `listen` returned.
        prepare: Function to call in a thread meanwhile; if it fails, the server stops and its error is raised.
    """
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=STOP_SECONDS
    )
    server = uvicorn.Server(config)
    failures: list[BaseException] = []

    def prepare_or_stop() -> None:
        try:
            if prepare is not None:
                prepare()
        except BaseException as error:
            failures.append(error)
            server.should_exit = True

    threading.Thread(target=prepare_or_stop, daemon=True).start()
    server.run(sockets=[listener])
    if failures:
        raise failures[0]
