import dataclasses
import json
import math

import numpy as np
import pytest
from PIL import Image

from dichoseg import SyntheticDataset, load_model, save_model
from dichoseg.export.runtimes import installed_runtimes
from dichoseg.inference import Benchmark, Timing, benchmark, timing

from ..export.conftest import with_contrast

ROW = Timing(
    runtime="torch",
    precision="float32",
    dtype="float32",
    first=3.0,
    latency=1.0,
    images_per_second=1.0,
    memory=0.5,
    mean_difference=0.0,
    max_difference=0.0,
)


def result(*changes):
    rows = [dataclasses.replace(ROW, **change) for change in changes]
    return Benchmark(timings=(ROW, *rows), failures={})


@pytest.mark.parametrize(
    ("changes", "best"),
    [
        ([], ("torch", "float32")),
        ([{"precision": "auto", "latency": 0.5}], ("torch", "auto")),
        ([{"precision": "auto", "latency": 0.5, "mean_difference": 0.003}], ("torch", "float32")),
        ([{"precision": "auto", "latency": 0.5, "mean_difference": math.nan}], ("torch", "float32")),
        ([{"runtime": "openvino", "latency": 0.5}], ("openvino", "float32")),
        ([{"runtime": "openvino", "latency": 0.97}], ("torch", "float32")),
        ([{"precision": "auto", "latency": 0.5}, {"runtime": "openvino", "latency": 0.49}], ("torch", "auto")),
    ],
)
def test_value_the_best_is_the_fastest_faithful_one(changes, best):
    found = result(*changes).best
    assert (found.runtime, found.precision) == best


def test_value_speedup_and_table():
    row = {"runtime": "openvino", "precision": "auto", "dtype": "bfloat16", "latency": 0.25, "mean_difference": 4e-5}
    found = dataclasses.replace(result(row), failures={"onnxruntime float32": "no memory"})
    assert found.speedup(found.best) == 4
    head, first, second, failed = found.text().splitlines()
    assert len(head) == len(first) == len(second)
    assert second.split() == ["openvino", "bfloat16", "3.00", "0.250", "1.00", "0.50", "4.0e-05", "0.0e+00"]
    assert failed == "onnxruntime float32: no memory"
    assert json.loads(json.dumps(found.to_dict()))["best"]["runtime"] == "openvino"


@pytest.fixture
def model(varied_isnet, tmp_path, monkeypatch):
    monkeypatch.setenv("DICHOSEG_HOME", str(tmp_path / "home"))
    save_model(varied_isnet, tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def in_this_process(monkeypatch):
    monkeypatch.setattr(timing, "_alone", lambda call, job, way: call(job, way))
    monkeypatch.setattr(timing, "keep_memory", lambda: None)


@pytest.fixture
def only_onnxruntime(monkeypatch):
    monkeypatch.setattr(timing, "installed_runtimes", lambda: ["onnxruntime"])


@pytest.mark.usefixtures("in_this_process")
def test_value_all_that_is_installed_is_measured(model):
    found = benchmark(model, repeat=1)
    assert found.failures == {}
    ways = [(each.runtime, each.precision) for each in found.timings]
    assert ways[0] == ("torch", "float32")
    assert {runtime for runtime, _ in ways} == {"torch", *installed_runtimes()}
    assert len(set(ways)) == len(ways)
    for each in found.timings:
        assert each.mean_difference <= each.max_difference < (1e-3 if each.dtype == "float32" else 0.1)
    assert all(each.max_difference > 0 for each in found.timings if each.runtime != "torch")


@pytest.mark.usefixtures("only_onnxruntime")
def test_value_each_way_has_a_process_of_its_own(model, monkeypatch):
    monkeypatch.setattr(timing, "_ways", lambda device: [timing.REFERENCE, timing.Way("onnxruntime", "float32")])
    ballast = np.ones(2**28)  # 2 GB of this process; torch alone takes about 1
    found = benchmark(model, repeat=1, threads=1)
    for each in found.timings:
        assert 0.1 < each.memory < ballast.nbytes / 1e9
        assert each.first > 0
        assert each.latency > 0


@pytest.mark.usefixtures("in_this_process", "only_onnxruntime")
def test_value_photographs_and_size(model, tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (65, 97, 3), np.uint8)
    for index in range(10):
        Image.fromarray(pixels).save(tmp_path / f"in/{index}.png")
    seen, images = [], timing._images

    def noted(paths, side):
        seen.append((len(paths), side))
        return images(paths, side)[:2]

    monkeypatch.setattr(timing, "_images", noted)
    benchmark(model, [tmp_path / "in", tmp_path / "in/9.png"], size=96, repeat=1, device="cpu")
    assert set(seen) == {(9, 96)}


@pytest.mark.usefixtures("in_this_process", "only_onnxruntime")
def test_value_a_way_that_fails_is_told(model, monkeypatch):
    def fail(job, way):
        raise RuntimeError("onnxruntime lacks an operator")

    monkeypatch.setattr(timing, "_prepare", fail)
    found = benchmark(model, repeat=1)
    assert found.failures == {"onnxruntime float32": "onnxruntime lacks an operator"}
    assert {each.runtime for each in found.timings} == {"torch"}


@pytest.mark.usefixtures("in_this_process")
def test_error_arguments(model, tmp_path):
    with pytest.raises(ValueError, match="repeat must be 1 or more; got 0"):
        benchmark(model, repeat=0)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"no photographs in .*empty"):
        benchmark(model, [tmp_path / "empty"])
    with pytest.raises(FileNotFoundError, match="absent"):
        benchmark(tmp_path / "absent")


@pytest.mark.usefixtures("in_this_process", "only_onnxruntime")
def test_value_8_bits_are_measured_with_photographs_to_calibrate_on(model, monkeypatch):
    monkeypatch.setattr(timing, "_ways", lambda device: [timing.REFERENCE])
    network = with_contrast(load_model(model))
    monkeypatch.setattr(timing, "load_model", lambda source, size: network)
    calibration = [sample.image for sample in SyntheticDataset(8, size=64)]
    found = benchmark(model, repeat=1, device="cpu", calibration=calibration)
    assert found.failures == {}
    assert [(each.runtime, each.precision, each.dtype) for each in found.timings] == [
        ("torch", "float32", "float32"),
        ("onnxruntime", "int8", "int8"),
    ]
    assert 1e-5 < found.timings[1].mean_difference < 0.05
