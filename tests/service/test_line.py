import asyncio
import io
import threading

import numpy as np
import pytest
import torch
from fastapi import HTTPException
from PIL import Image

from dichoseg import Predictor, SyntheticDataset, save_model
from dichoseg.inference.predictor import to_uint8
from dichoseg.photographs.cutout import can_estimate_foreground
from dichoseg.service import Limits
from dichoseg.service.line import VIEWS, Job, Line
from dichoseg.service.pool import ModelPool
from dichoseg.service.query import PredictQuery
from dichoseg.visualize import side_outputs

from .conftest import encoded


@pytest.fixture
def line(small_isnet, tmp_path):
    save_model(small_isnet, tmp_path / "m")
    return Line(ModelPool({"m": tmp_path / "m"}, Predictor, limit=0), Limits(queue=2, max_pixels=7000))


def refused(run):
    with pytest.raises(HTTPException) as caught:
        run()
    return caught.value


def result(line, content, size=None, detail=None, **options):
    return asyncio.run(line.result(content, Job("m", size, detail), PredictQuery(**options).rendering()))


def test_value_result(line, photograph):
    assert result(line, photograph).startswith(b"\x89PNG")
    assert result(line, photograph, 96, format="webp").startswith(b"RIFF")


def test_value_only_one_thread_computes(small_isnet, tmp_path, photograph, monkeypatch):
    """A second one would make OpenMP let both sleep."""
    threads, counts = [], []

    def prepare(model):
        threads.append(threading.current_thread().name)
        return Predictor(model)

    def estimate(pixels, mask, *, threads):
        counts.append(threads)
        return pixels

    monkeypatch.setattr("dichoseg.photographs.cutout.estimate_foreground", estimate)
    save_model(small_isnet, tmp_path / "m")
    line = Line(ModelPool({"m": tmp_path / "m"}, prepare, limit=0), Limits())
    line.load()
    assert [name.rpartition("_")[0] for name in threads] == ["dichoseg-network"]
    if can_estimate_foreground():
        result(line, photograph, kind="cutout")
        assert counts == [1]


def test_value_detail(line):
    scene = SyntheticDataset(1, size=128)[0].image[:, :54]
    content = encoded(Image.fromarray((scene.permute(1, 2, 0) * 255).byte().numpy()))
    pixels = np.asarray(Image.open(io.BytesIO(content)))
    for detail in ("borders", "views"):
        expected = to_uint8(Predictor(line._pool.predictor("m").model, detail=detail)(pixels))
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(result(line, content, detail=detail)))), expected)
    assert line._pool.predictor("m").detail is None, "the detail was for one request"


def test_error_too_many_views(line, photograph):
    line._limits = Limits()
    error = refused(lambda: result(line, encoded(Image.new("RGB", (1000, 1000))), 32, "views"))
    assert error.status_code == 400
    assert f"up to 1764 views of this photograph, more than {VIEWS}" in error.detail


def test_value_dropped_work_stops(line):
    line._limits = Limits()
    content, passes = encoded(Image.new("RGB", (700, 700))), []
    next(line._pool.predictor("m").model.children()).register_forward_hook(lambda *_: passes.append(1))

    async def drop():
        work = line.result(content, Job("m", 32, "views"), PredictQuery().rendering())  # 841 views
        task = asyncio.ensure_future(work)
        while len(passes) < 3:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.get_running_loop().run_in_executor(line._network, str)  # until its thread is free

    asyncio.run(drop())
    assert 3 <= len(passes) < 200
    assert result(line, encoded(Image.new("RGB", (64, 64)))).startswith(b"\x89PNG")


def test_value_side_outputs(line, photograph, pixels):
    content = asyncio.run(line.side_outputs(photograph, Job("m")))
    expected = side_outputs(line._pool.predictor("m").model, torch.from_numpy(pixels).permute(2, 0, 1) / 255)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), np.asarray(expected))


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
