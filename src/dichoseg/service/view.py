"""FastAPI application of `dichoseg view`: what the folders of one or two runs hold, on a page."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException
from fastapi.responses import FileResponse, Response

from ..evaluation.worst import SHEET
from ..training.run_folder import PLAN
from .page import add_page

HISTORY, SCORES, SHEETS = "history.csv", "scores.json", "sheets"
PICTURES = re.compile(rf"{re.escape(SHEET)}|{SHEETS}/epoch_\d+\.jpg")
"""Pictures of a run that the page may ask for."""


def create_view(folders: Sequence[str | Path]) -> FastAPI:
    """Create the FastAPI application that shows runs; it reads their folders again at each request.

    Args:
        folders: Folders of one or two runs.
    """
    paths = [Path(folder) for folder in folders]
    if len(paths) not in (1, 2):
        raise ValueError(f"wanted one run, or two to compare; got {len(paths)}")
    for path in paths:
        if not (path / HISTORY).exists() and not (path / PLAN).exists():
            raise FileNotFoundError(f"{path} holds no run of dichoseg: neither {HISTORY} nor {PLAN} is there")
    names = [path.resolve().name for path in paths]
    if len(set(names)) < len(names):
        names = [str(path) for path in paths]
    app = FastAPI(title="dichoseg view", docs_url=None, redoc_url=None, openapi_url=None)
    add_page(app, "view")

    @app.get("/runs")
    def list_runs() -> list[dict[str, Any]]:
        return [{"name": name, **read_run(path)} for name, path in zip(names, paths, strict=True)]

    @app.get("/runs/{number}/{file:path}")
    def picture(number: int, file: str) -> Response:
        if number not in range(len(paths)) or not PICTURES.fullmatch(file) or not (paths[number] / file).is_file():
            raise HTTPException(404, "no such picture of a run")
        return FileResponse(paths[number] / file, headers={"Cache-Control": "no-cache"})

    return app


def read_run(folder: Path) -> dict[str, Any]:
    """Return the contents of a run's folder so far: rows of the history, scores, and names of pictures."""
    history: list[dict[str, float]] = []
    if (folder / HISTORY).exists():
        with (folder / HISTORY).open(newline="", encoding="utf-8") as file:
            history = [{key: float(text) for key, text in row.items() if text} for row in csv.DictReader(file)]
    scores = folder / SCORES
    return {
        "history": _finite(history),
        "scores": _finite(json.loads(scores.read_text(encoding="utf-8"))) if scores.exists() else {},
        "sheets": sorted(path.name for path in (folder / SHEETS).glob("epoch_*.jpg")),
        "worst": (folder / SHEET).exists(),
    }


def _finite(value: Any) -> Any:
    """Replace numbers that JSON does not have by None."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
