"""Pages of the service: static files, which load nothing from elsewhere, and example photographs."""

from __future__ import annotations

import functools
import io
from pathlib import Path

from fastapi import FastAPI, HTTPException
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles
from PIL import Image as PillowImage

from ..scenes import SyntheticDataset

STATIC = Path(__file__).with_name("static")
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
"""Headers of a page, by which the browser refuses to load, send or run anything from elsewhere."""
EXAMPLES = {"birdcage": 2, "ship": 14, "bicycle": 17, "tree": 18}
"""Name of an example -> index of its scene."""
SIDE = 640


def add_page(app: FastAPI, name: str) -> None:
    """Add a page at the address `/`, and the files that it loads.

    Args:
        app: Application.
        name: Name of the page's files.
    """
    app.mount("/static", StaticFiles(directory=STATIC))

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return FileResponse(STATIC / f"{name}.html", headers=HEADERS)


def add_examples(app: FastAPI) -> None:
    """Add the examples that the page offers."""

    @app.get("/examples/{name}.jpg", include_in_schema=False)
    def example(name: str) -> Response:
        if name not in EXAMPLES:
            raise HTTPException(404, f"no example {name[:100]!r}; there are {', '.join(EXAMPLES)}")
        return Response(draw_example(name), media_type="image/jpeg", headers={"Cache-Control": "max-age=3600"})


@functools.cache
def draw_example(name: str) -> bytes:
    """Draw an example photograph as a JPEG file, the same each time."""
    image = SyntheticDataset(max(EXAMPLES.values()) + 1, size=SIDE)[EXAMPLES[name]].image
    buffer = io.BytesIO()
    PillowImage.fromarray((image.permute(1, 2, 0) * 255).byte().numpy()).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()
