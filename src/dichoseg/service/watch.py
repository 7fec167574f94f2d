"""Middleware for request ids, the log, the counters, and the remainder of refused uploads."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .counters import Counters

logger = logging.getLogger(__name__)

GONE = 499
"""Status in the log for a request whose client has gone away."""
LINGER = 2.0
"""Seconds for which the rest of a refused upload is read, without which the client would not see the answer."""
QUIET = ("/health", "/metrics")
"""Paths that monitors ask for all the time; they are logged with the debug level."""
PATHS = ("/", "/predict", "/side_outputs", "/models", "/openapi.json", *QUIET)


class Watch:
    """Middleware that logs and counts requests; it never reads what is in their bodies."""

    def __init__(self, app: ASGIApp, *, counters: Counters) -> None:
        self._app = app
        self._counters = counters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identity, start, status, is_read = uuid.uuid4().hex[:12], time.perf_counter(), GONE, False
        scope.setdefault("state", {})["request_id"] = identity

        async def receive_part() -> Message:
            nonlocal is_read
            message = await receive()
            is_read = not message.get("more_body", False)
            return message

        async def send_part(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if status >= 400 and not is_read and (b"expect", b"100-continue") not in scope["headers"]:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(LINGER):
                            while not is_read:
                                await receive_part()
                message.setdefault("headers", []).append((b"x-request-id", identity.encode()))
            await send(message)

        try:
            await self._app(scope, receive_part, send_part)
        except Exception:
            status = 500
            raise
        finally:
            path = scope["path"].removeprefix(scope.get("root_path", ""))
            path = path if path in PATHS else "other"
            seconds = time.perf_counter() - start
            self._counters.count(path, status, seconds)
            level = logging.DEBUG if path in QUIET else logging.INFO
            logger.log(level, "%s %s %s %d %.0f ms", identity, scope["method"], path, status, seconds * 1000)
