"""Server process: listen, serve, and stop on a signal."""

from __future__ import annotations

import errno
import logging
import socket

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


def run(app: FastAPI, listener: socket.socket) -> None:
    """Serve an application on a socket until a signal asks to stop."""
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=STOP_SECONDS
    )
    uvicorn.Server(config).run(sockets=[listener])
