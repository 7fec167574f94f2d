import asyncio

import pytest
import torch
from fastapi import HTTPException
from PIL import Image

from dichoseg import Predictor, save_model
from dichoseg.service import Limits
from dichoseg.service.line import Line
from dichoseg.service.pool import ModelPool
from dichoseg.service.query import PredictQuery

from .conftest import encoded


@pytest.fixture
def line(small_isnet, tmp_path):
    save_model(small_isnet, tmp_path / "m")
    return Line(ModelPool({"m": tmp_path / "m"}, Predictor, limit=0), Limits(queue=2, max_pixels=7000))


def refused(run):
    with pytest.raises(HTTPException) as caught:
        run()
    return caught.value


def result(line, content, size=None, **options):
    return asyncio.run(line.result(content, "m", size, PredictQuery(**options).rendering()))


def test_value_result(line, photograph):
    assert result(line, photograph).startswith(b"\x89PNG")
    assert result(line, photograph, 96, format="webp").startswith(b"RIFF")


def test_error_no_place(line):
    with line.place(), line.place():
        error = refused(line.check_place)
        assert (error.status_code, error.headers) == (429, {"Retry-After": "1"})
        assert "2 requests are waiting" in error.detail
    line.check_place()


def test_error_photograph(line):
    assert refused(lambda: result(line, encoded(Image.new("L", (100, 71))))).status_code == 413


def test_error_format_cannot_hold_the_result(line):
    error = refused(lambda: result(line, encoded(Image.new("L", (1, 16400))), format="webp"))
    assert error.status_code == 413  # of pixels
    line._limits = Limits()
    error = refused(lambda: result(line, encoded(Image.new("L", (1, 16400))), format="webp"))
    assert error.status_code == 400
    assert "16383" in error.detail


def test_error_out_of_memory(line, photograph, monkeypatch):
    def fail(*arguments):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Predictor, "__call__", fail)
    assert refused(lambda: result(line, photograph)).status_code == 503


def test_error_model_cannot_be_loaded(line, photograph, tmp_path):
    line._pool._loaded.clear()
    (tmp_path / "m/config.json").unlink()
    error = refused(lambda: result(line, photograph))
    assert error.status_code == 503
    assert str(tmp_path) not in error.detail
