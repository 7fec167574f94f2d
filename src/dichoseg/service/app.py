"""FastAPI application of the service, which uvicorn runs or another application mounts."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

try:
    import prometheus_client as prometheus_client
    import python_multipart as python_multipart
    from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
except ImportError as error:
    raise ImportError("the service needs fastapi and others: pip install 'dichoseg[serve]'") from error

import torch
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.requests import ClientDisconnect

from .. import __version__
from ..checking import number
from ..inference import Predictor
from ..runtime.device import Precision, choose_device
from .counters import MEDIA_TYPE, Counters
from .limits import Limits
from .line import Job, Line
from .page import add_examples, add_page
from .pool import ModelPool
from .query import MEDIA_TYPES, ModelQuery, PredictQuery
from .upload import FIELD, Uploads
from .watch import GONE, Watch

T = TypeVar("T")

SMALLEST = 32
"""Smallest side of a network's input, in pixels."""
_BEARER = HTTPBearer(auto_error=False)
_FILE = {"type": "string", "format": "binary"}
BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {"schema": {"type": "object", "properties": {FIELD: _FILE}, "required": [FIELD]}},
        "image/*": {"schema": _FILE},
    },
}
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The result.",
        "content": {media_type: {"schema": _FILE} for media_type in MEDIA_TYPES.values()},
    },
    400: {"description": "Wrong options, no image, or a broken one."},
    401: {"description": "Missing or wrong token."},
    404: {"description": "Unknown model."},
    408: {"description": "The upload took too long."},
    413: {"description": "Too many bytes or pixels."},
    415: {"description": "Not an image of a format that is read."},
    429: {"description": "Too many requests are waiting; Retry-After says when to try again."},
    503: {"description": "The work took too long, or memory or a model is missing for now."},
}


def create_app(
    models: Mapping[str, str | Path],
    *,
    limits: Limits = Limits(),
    token: str | None = None,
    device: str | None = None,
    precision: Precision = "auto",
    load: bool = True,
) -> FastAPI:
    """Load models, and create the FastAPI application that serves them.

    Args:
        models: Name by which clients ask for a model -> what `load_model` takes. The first is the default.
        limits: Limits on models, requests and uploads.
        token: Bearer token that requests must carry, except for `/health` and `/openapi.json`. Default: none.
        device: Device to run on, such as `"cuda"`. Default: the CPU.
        precision: Precision, as for `Predictor`, except `int8`.
        load: Whether to load the models before returning. Otherwise requests are refused until a call of
            `app.state.load()` has done so.
    """

    def prepare(model: Any) -> Predictor:
        return Predictor(model, device=device, precision=precision)

    pool = ModelPool(models, prepare, limit=limits.model_bytes)
    line = Line(pool, limits, on_cpu=choose_device(device, torch.device("cpu")).type == "cpu")
    if load:
        line.load()
    app = FastAPI(title="dichoseg", version=__version__, docs_url=None, redoc_url=None)  # their pages load scripts
    app.state.load = line.load
    for kind, handler in HANDLERS.items():
        app.add_exception_handler(kind, handler)
    guard = [Depends(_token_check(token))]
    _add_predict(app, pool, line, limits, guard)
    _add_reports(app, pool, line, guard)
    add_page(app, "page")
    add_examples(app)
    return app


def _add_predict(app: FastAPI, pool: ModelPool, line: Line, limits: Limits, guard: Sequence[Any]) -> None:
    """Add the addresses that take photographs."""
    uploads = Uploads(limits)

    async def answer(request: Request, query: ModelQuery, work: Callable[[bytes, Job], Awaitable[bytes]]) -> bytes:
        job = _job(query, pool, limits)
        line.check_place()  # before the upload
        async with uploads.photograph(request) as content:
            with line.place():
                return await _unless_gone(request, work(content, job), seconds=limits.timeout)

    @app.post("/predict", dependencies=guard, responses=ANSWERS, openapi_extra={"requestBody": BODY})
    async def predict(request: Request, query: Annotated[PredictQuery, Query()]) -> Response:
        """Predict the mask of a photograph; answer with the mask, a cut-out or a composite."""
        try:
            rendering = query.rendering()
        except ValueError as error:
            raise HTTPException(400, str(error)) from error
        result = await answer(request, query, lambda content, job: line.result(content, job, rendering))
        return Response(result, media_type=MEDIA_TYPES[rendering.format])

    @app.post("/side_outputs", dependencies=guard, responses=ANSWERS, openapi_extra={"requestBody": BODY})
    async def side_outputs(request: Request, query: Annotated[ModelQuery, Query()]) -> Response:
        """Draw the features and side outputs of a model for a photograph; answer with a PNG file."""
        return Response(await answer(request, query, line.side_outputs), media_type="image/png")


def _job(query: ModelQuery, pool: ModelPool, limits: Limits) -> Job:
    """Return the job for the network that a request describes; raise an HTTPException if it cannot be done."""
    model = query.model or pool.names[0]
    if model not in pool.names:
        raise HTTPException(404, f"no model {model[:100]!r} here; GET /models lists the names")
    if pool.loading is not None:
        raise HTTPException(503, f"the models are not ready: {pool.loading}; try again in 5 s", {"Retry-After": "5"})
    if query.size is not None:
        try:
            number("size", query.size, low=SMALLEST, high=limits.max_size)
        except ValueError as error:
            raise HTTPException(400, str(error)) from error
    return Job(model, query.size, getattr(query, "detail", None))


def _add_reports(app: FastAPI, pool: ModelPool, line: Line, guard: Sequence[Any]) -> None:
    """Count all requests, and add the addresses that tell about the service."""
    counters = Counters(waiting=lambda: line.waiting, model_bytes=lambda: pool.bytes)
    app.add_middleware(Watch, counters=counters)

    @app.get("/models", dependencies=guard)
    async def list_models() -> dict[str, Any]:
        """List the names of the models."""
        loaded, models = pool.loaded, list(pool.names)
        return {
            "default": models[0],
            "models": [{"name": name, "loaded": name in loaded} for name in models],
            "loading": pool.loading,
        }

    @app.get("/health")
    async def health(response: Response) -> dict[str, Any]:
        """Tell whether the service is ready, and how many requests wait."""
        response.status_code = 200 if pool.loading is None else 503
        return {"status": pool.loading or "ok", "waiting": line.waiting}

    @app.get("/metrics", dependencies=guard)
    async def metrics() -> Response:
        """Give figures in Prometheus's format."""
        return Response(counters.text(), media_type=MEDIA_TYPE)


def _token_check(token: str | None) -> Callable[..., Awaitable[None]]:
    async def check(given: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]) -> None:
        if token is None:
            return
        if given is None or not secrets.compare_digest(given.credentials.encode(), token.encode()):
            message = "wanted the header `Authorization: Bearer TOKEN` with the right token"
            raise HTTPException(401, message, {"WWW-Authenticate": "Bearer"})

    return check


async def _unless_gone(request: Request, work: Awaitable[T], *, seconds: float) -> T:
    """Return the result of some work; drop the work if it takes too long, or if the client goes away."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    tasks = asyncio.ensure_future(work), asyncio.ensure_future(gone())
    try:
        done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if tasks[0] in done:
            return tasks[0].result()
        if done:
            raise ClientDisconnect
        raise HTTPException(503, f"the work took more than {seconds:g} s", {"Retry-After": str(round(seconds))})
    finally:
        for task in tasks:
            task.cancel()


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, AnyHTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    message = f"{first['loc'][-1]}: {first['msg'].lower()}; got {str(first.get('input'))[:100]!r}"
    return JSONResponse({"error": message}, 400)


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=GONE)  # which nobody reads


async def _failed(request: Request, error: Exception) -> Response:
    message = f"an error of the server; its log has the id {request.state.request_id}"
    return JSONResponse({"error": message}, 500)


HANDLERS = {AnyHTTPException: _refused, RequestValidationError: _invalid, ClientDisconnect: _gone, Exception: _failed}
