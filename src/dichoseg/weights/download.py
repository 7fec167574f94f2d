"""Download one file from a web address, and resume earlier attempts. Importable without torch."""

from __future__ import annotations

import email.utils
import errno
import http.client
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHUNK = 1 << 20
WAITS = (1.0, 3.0, 10.0)
"""Seconds before each further attempt at an address that may recover; all of them again after each one that gained."""
LONGEST_WAIT = 120.0
"""Most seconds that a server may ask to wait."""


class Refused(Exception):
    """Reason why an address does not provide the file."""


class _Interrupted(Exception):
    """Failure that may pass, after which the next attempt continues the partial file."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


def download(address: str, part: Path, *, size: int | None, timeout: float, show_bar: bool) -> None:
    """Complete a partial file from an address; the caller checks its contents.

    A proxy, and certificates, are those of the environment (`HTTPS_PROXY`, `NO_PROXY`, `SSL_CERT_FILE`).

    Args:
        address: The address, `https://...`.
        part: The partial file, which may not exist yet.
        size: Size of the whole file in bytes, if known.
        timeout: Longest time without data, in seconds.
        show_bar: Whether to show a progress bar on stderr.

    Raises:
        Refused: The address does not provide the file; the partial file is kept.
        OSError: The file cannot be written.
    """
    waits = iter(WAITS)
    while True:
        before = _size(part)
        try:
            return _transfer(address, part, size=size, timeout=timeout, show_bar=show_bar)
        except _Interrupted as failure:
            if _size(part) > before:
                waits = iter(WAITS)
            wait = next(waits, None)
            if wait is None or failure.wait > LONGEST_WAIT:
                raise Refused(str(failure)) from failure
            time.sleep(max(wait, failure.wait))


def check_space(folder: Path, size: int) -> None:
    """Raise an OSError if a folder's disk has no room for a file."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise OSError(errno.ENOSPC, f"{size / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are free", str(folder))


def _transfer(address: str, part: Path, *, size: int | None, timeout: float, show_bar: bool) -> None:
    """Request the rest of a partial file, once, and append it."""
    from tqdm import tqdm

    offset = _size(part)
    headers = {"User-Agent": "dichoseg", "Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    response = _open(urllib.request.Request(address, headers=headers), timeout)
    if response is None:
        return
    with response:
        if not (response.headers.get("Content-Range") or "").startswith(f"bytes {offset}-"):
            offset = 0  # the server ignores the range
        length = response.headers.get("Content-Length")
        total = None if length is None else offset + int(length)
        if response.headers.get_content_type() == "text/html":
            raise Refused("sends an HTML page in place of the file, as a proxy or a login does")
        if size is not None and total is not None and total != size:
            raise Refused(f"offers {total} bytes in place of {size}; the file there may have changed")
        check_space(part.parent, (total or size or offset) - offset)
        bar = tqdm(desc=part.stem, total=total, initial=offset, unit="B", unit_scale=True, disable=not show_bar)
        with bar, part.open("ab" if offset else "wb") as file:
            for chunk in _chunks(response):
                if file.tell() == 0 and chunk.lstrip()[:9].lower().startswith((b"<!doctype", b"<html")):
                    raise Refused("sends an HTML page in place of the file, as a proxy or a login does")
                file.write(chunk)
                bar.update(len(chunk))
    if total is not None and _size(part) < total:
        raise _Interrupted(f"the connection ended after {_size(part)} of {total} bytes")


def _open(request: urllib.request.Request, timeout: float) -> Any:
    """Return the response to a request; None if the partial file lacks nothing, as far as the server knows."""
    try:
        return urllib.request.build_opener().open(request, timeout=timeout)  # urlopen keeps its first proxy
    except urllib.error.HTTPError as error:
        with error:
            reason = f"HTTP {error.code} {error.reason}"
            if error.code == 416:
                return None
            if error.code in (408, 429) or error.code >= 500:
                raise _Interrupted(reason, _seconds(error.headers.get("Retry-After"))) from error
            raise Refused(reason) from error
    except urllib.error.URLError as error:
        raise Refused(f"no connection: {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(_reason(error)) from error


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """Iterate over the contents of a response."""
    while True:
        try:
            chunk = response.read1(CHUNK)  # all that is available, so that a stall loses nothing
        except (OSError, http.client.HTTPException) as error:
            raise _Interrupted(_reason(error)) from error
        if not chunk:
            return
        yield chunk


def _reason(error: Exception) -> str:
    return "no data came in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__


def _seconds(text: str | None) -> float:
    """Return the seconds of a Retry-After header, a number or a date."""
    if text is None:
        return 0.0
    if text.strip().isdigit():
        return float(text)
    date = email.utils.parsedate_tz(text)
    return 0.0 if date is None else email.utils.mktime_tz(date) - time.time()


def _size(path: Path) -> int:
    return os.path.getsize(path) if path.exists() else 0
