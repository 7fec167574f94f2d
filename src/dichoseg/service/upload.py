"""Uploads: read within limits, and never written to a file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from fastapi import HTTPException, Request
from PIL import Image as PillowImage
from PIL import UnidentifiedImageError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from ..data.decoding import choose_picture, opened
from ..photographs.opened import OpenedPhotograph
from ..untrusted import UnusableFileError
from .limits import Limits

FIELD = "image"
"""Field of a form that holds the photograph."""


class _InMemoryParser(MultiPartParser):
    """Parser of forms whose files stay in memory."""

    spool_max_size = 0


class Uploads:
    """Uploads in memory, whose bytes are limited for each and for all together."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held = 0

    @asynccontextmanager
    async def photograph(self, request: Request) -> AsyncIterator[bytes]:
        """Read the file that a request uploads; its bytes count until the end of the block."""
        if int(request.headers.get("content-length", 0)) > self._limits.max_bytes:
            raise self._too_large()
        held = 0

        async def chunks() -> AsyncGenerator[bytes]:
            nonlocal held
            async for chunk in request.stream():
                held += len(chunk)
                self._held += len(chunk)
                if held > self._limits.max_bytes:
                    raise self._too_large()
                if self._held > self._limits.max_bytes * self._limits.queue:
                    raise HTTPException(429, "too many uploads at once; try again later", {"Retry-After": "1"})
                yield chunk

        try:
            try:
                async with asyncio.timeout(self._limits.timeout):
                    content = await _content(request, chunks())
            except TimeoutError:
                raise HTTPException(408, f"the upload took more than {self._limits.timeout:g} s") from None
            yield content
        finally:
            self._held -= held

    def _too_large(self) -> HTTPException:
        return HTTPException(413, f"the upload has more than {self._limits.max_bytes} bytes, which are the limit here")


async def _content(request: Request, chunks: AsyncGenerator[bytes]) -> bytes:
    """Return the file of a form, or the raw body."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "multipart/form-data":
        content = b"".join([chunk async for chunk in chunks])
    else:
        try:
            content = await _file_in(await _InMemoryParser(request.headers, chunks).parse())
        except MultiPartException as error:
            raise HTTPException(400, f"the form cannot be read: {error.message.rstrip('.')}") from error
    if not content:
        raise HTTPException(400, f"no image; wanted a photograph as the form's field {FIELD!r} or as the body")
    return content


async def _file_in(form: FormData) -> bytes:
    """Return the contents of the only field of a form."""
    names = [name for name, _ in form.multi_items()]
    if names and names != [FIELD]:
        raise HTTPException(
            400,
            f"the form must have the one field {FIELD!r}, and options belong into the address, such as ?kind=cutout; "
            f"got {', '.join(map(repr, names[:5]))}",
        )
    file = form.get(FIELD)
    if isinstance(file, str):
        raise HTTPException(400, f"the field {FIELD!r} must be a file, as in curl -F {FIELD}=@photo.jpg; got a text")
    return await file.read() if isinstance(file, UploadFile) else b""


def read_photograph(content: bytes, max_pixels: int) -> OpenedPhotograph:
    """Decode a photograph; raise an HTTPException if it is not one, or if its header has too many pixels.

    Some formats hold pictures of other sizes than their header says: `pixel_limit` refuses these, too.
    """
    try:
        with opened(content) as image:
            choose_picture(image)
            width, height = image.size
        if width * height > max_pixels:
            raise HTTPException(413, f"the image has {width}x{height} pixels; the limit here is {max_pixels} pixels")
        return OpenedPhotograph.read(content)
    except UnusableFileError as error:
        if isinstance(error.__cause__, PillowImage.DecompressionBombError):
            raise HTTPException(413, f"the image has more pixels than the limit here, {max_pixels}") from error
        status = 415 if isinstance(error.__cause__, UnidentifiedImageError) else 400
        raise HTTPException(status, str(error)) from error
